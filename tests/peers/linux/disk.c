/* SPDX-License-Identifier: BSD-3-Clause */
/* In a Linux guest: reads, writes and compares /dev/vda, by direct I/O of several threads with
 * segments of unequal lengths. With more than one round the driver is taken from the device between
 * them and given back, from the disk and from its transport in turn.
 *
 * Arguments: threads=N ops=N (of each thread, in a round) rounds=N ballast=MIB (taken between the
 * buffers of one thread and those of the next, so that they lie far apart) keep=N (buffers of a
 * thread, used in turn: each is compared once more before its next use, so that memory which has
 * changed behind the disk's back is seen late too). Its last line is "guest: passed", or begins
 * with "guest: failed". */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/klog.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "load.h"

enum {
    THREADS_MAX = 16,
    KEEP_MAX = 64,
    PATIENCE = 120 /* seconds until a disk must be there or gone */
};

/* O_DIRECT wants this alignment; a start inside a page makes more segments of a buffer. */
enum { ARENA = (LOAD_RUN + LOAD_PIECES * 16u) * LOAD_SECTOR, PAGE = 4096 };

struct worker {
    pthread_t thread;
    uint8_t *arena;          /* `keep` of them */
    uint64_t sums[KEEP_MAX]; /* what is in each */
    uint32_t number;
    uint32_t round;
    bool failed;
};

static uint32_t threads = 4;
static uint32_t ops = 400;
static uint32_t rounds = 1;
static uint32_t ballast;
static uint32_t keep = 1;
static uint32_t sectors;
static uint32_t *generations;
static int disk = -1;
static struct worker workers[THREADS_MAX];
static pthread_mutex_t saying = PTHREAD_MUTEX_INITIALIZER;

static _Noreturn void failed(const char *what)
{
    printf("guest: failed: %s: %s\n", what, strerror(errno));
    exit(EXIT_FAILURE);
}

static double now(void)
{
    struct timespec time;

    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* The lowest and the highest physical address of some memory, as far as the kernel tells. */
static void say_memory(uint32_t number, const uint8_t *memory, size_t size)
{
    const int file = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    uint64_t lowest = UINT64_MAX;
    uint64_t highest = 0;
    uint64_t entry;

    for (size_t at = 0; at < size; at += PAGE) {
        const off_t place = (off_t)(((uintptr_t)memory + at) / PAGE * sizeof(entry));

        if (file >= 0 && pread(file, &entry, sizeof(entry), place) == (ssize_t)sizeof(entry)) {
            const uint64_t page = (entry & 0x7fffffffffffffu) * PAGE;

            lowest = page < lowest ? page : lowest;
            highest = page > highest ? page : highest;
        }
    }
    if (file >= 0) {
        (void)close(file);
    }
    printf("guest: thread %u has memory from %#llx to %#llx\n", (unsigned)number,
           (unsigned long long)lowest, (unsigned long long)highest);
}

/* Where the kernel has its pool of bounce buffers, if it says so. */
static void say_pool(void)
{
    const int most = 1 << 20;
    char *log = calloc((size_t)most + 1, 1);
    const char *said;

    if (log == NULL || klogctl(3 /* SYSLOG_ACTION_READ_ALL */, log, most) < 0) {
        failed("the kernel's log");
    }
    said = strstr(log, "software IO TLB: mapped [mem ");
    if (said != NULL) {
        unsigned long long first = 0;
        unsigned long long end = 0;

        (void)sscanf(strchr(said, '['), "[mem %llx-%llx", &first, &end);
        printf("guest: pool %#llx to %#llx\n", first, end - 1);
    }
    free(log);
}

/* Memory for each thread; it stays where it is. */
static void place_workers(void)
{
    const size_t between = (size_t)ballast << 20;
    const size_t size = (size_t)ARENA * keep;

    for (uint32_t i = 0; i < threads; i++) {
        if (posix_memalign((void **)&workers[i].arena, PAGE, size) != 0) {
            failed("memory");
        }
        memset(workers[i].arena, 1, size);
        (void)mlock(workers[i].arena, size);
        say_memory(i, workers[i].arena, size);
        if (between != 0 && i + 1 < threads &&
            mmap(NULL, between, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE,
                 -1, 0) == MAP_FAILED) {
            failed("ballast");
        }
    }
}

/* Cuts the data of a request into segments, at offsets within a page that differ. */
static void cut(struct load *load, const struct load_op *op, uint8_t *arena, struct iovec *segments)
{
    uint32_t left = op->sectors;
    uint8_t *at = arena;

    for (uint32_t i = 0; i < op->pieces; i++) {
        uint32_t spare = left - (op->pieces - i - 1u);
        uint32_t len = i + 1u == op->pieces ? left : 1u + load_random(load, spare);

        at += load_random(load, 8) * LOAD_SECTOR;
        segments[i] = (struct iovec){at, (size_t)len * LOAD_SECTOR};
        at += segments[i].iov_len;
        left -= len;
    }
}

/* Fills the segments of a write, or judges those of a read. */
static bool each_sector(const struct load_op *op, const struct iovec *segments)
{
    uint32_t sector = op->sector;

    for (uint32_t i = 0; i < op->pieces; i++) {
        uint8_t *data = segments[i].iov_base;

        for (size_t at = 0; at < segments[i].iov_len; at += LOAD_SECTOR, sector++) {
            if (op->writes) {
                load_fill(data + at, sector, ++generations[sector]);
            } else if (!load_is(data + at, sector, generations[sector])) {
                return false;
            }
        }
    }
    return true;
}

static bool say_once(const char *text)
{
    (void)pthread_mutex_lock(&saying);
    printf("guest: %s\n", text);
    (void)pthread_mutex_unlock(&saying);
    return false;
}

static uint64_t arena_sum(const uint8_t *arena)
{
    const uint64_t *words = (const uint64_t *)(const void *)arena;
    uint64_t sum = 0;

    for (size_t i = 0; i < ARENA / sizeof(*words); i++) {
        sum = (sum << 1 | sum >> 63) + words[i];
    }
    return sum;
}

/* Whether a buffer still holds what it held after its last use. */
static bool kept(const struct worker *worker, uint32_t slot)
{
    return keep == 1 || arena_sum(worker->arena + (size_t)slot * ARENA) == worker->sums[slot] ||
           say_once("a buffer has changed since its last use");
}

static bool request(struct load *load, struct load *cuts, uint8_t *arena)
{
    struct load_op op = load_next(load);
    struct iovec segments[LOAD_PIECES];
    const off_t at = (off_t)op.sector * LOAD_SECTOR;
    const ssize_t len = (ssize_t)(op.sectors * LOAD_SECTOR);
    ssize_t done;

    cut(cuts, &op, arena, segments);
    if (op.writes) {
        (void)each_sector(&op, segments);
        done = pwritev(disk, segments, (int)op.pieces, at);
    } else {
        /* With more buffers than one, their pages are to be written by the disk alone. */
        if (keep == 1) {
            memset(arena, 0xa5, ARENA);
        }
        done = preadv(disk, segments, (int)op.pieces, at);
    }
    if (done != len) {
        (void)pthread_mutex_lock(&saying);
        printf("guest: %s of %zd bytes at sector %u: %zd, %s\n", op.writes ? "write" : "read", len,
               op.sector, done, done < 0 ? strerror(errno) : "short");
        (void)pthread_mutex_unlock(&saying);
        return false;
    }
    return op.writes || each_sector(&op, segments) || say_once("a read brought something else");
}

static void *work(void *opaque)
{
    struct worker *worker = opaque;
    struct load load = load_of(worker->round, worker->number, threads, sectors);
    struct load cuts = {~load.state, 0, 0}; /* the host need not know these */

    for (uint32_t i = 0; i < keep; i++) {
        worker->sums[i] = arena_sum(worker->arena + (size_t)i * ARENA);
    }
    for (uint32_t i = 0; i < ops && !worker->failed; i++) {
        uint8_t *arena = worker->arena + (size_t)(i % keep) * ARENA;

        worker->failed = !kept(worker, i % keep) || !request(&load, &cuts, arena);
        worker->sums[i % keep] = keep == 1 ? 0 : arena_sum(arena);
    }
    for (uint32_t i = 0; i < keep && !worker->failed; i++) {
        worker->failed = !kept(worker, i);
    }
    return NULL;
}

static void load_all(uint32_t round)
{
    bool bad = false;

    for (uint32_t i = 0; i < threads; i++) {
        workers[i] = (struct worker){.number = i, .round = round, .arena = workers[i].arena};
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0) {
            failed("a thread");
        }
    }
    for (uint32_t i = 0; i < threads; i++) {
        (void)pthread_join(workers[i].thread, NULL);
        bad |= workers[i].failed;
    }
    errno = 0;
    if (bad || fsync(disk) != 0) {
        failed("load");
    }
}

/* Reads the whole disk and judges it: its sum. */
static uint64_t read_all(void)
{
    const size_t most = 64u * 1024u;
    uint64_t sum = 0;
    uint8_t *data;
    uint32_t sector = 0;

    if (posix_memalign((void **)&data, PAGE, most) != 0) {
        failed("memory");
    }
    while (sector < sectors) {
        ssize_t got = pread(disk, data, most, (off_t)sector * LOAD_SECTOR);

        if (got <= 0 || got % LOAD_SECTOR != 0) {
            failed("read");
        }
        for (ssize_t at = 0; at < got; at += LOAD_SECTOR, sector++) {
            if (!load_is(data + at, sector, generations[sector])) {
                errno = 0;
                failed("compare");
            }
            sum = load_sum(sum, data + at);
        }
    }
    free(data);
    return sum;
}

static void open_disk(void)
{
    const double until = now() + PATIENCE;
    uint64_t bytes = 0;

    while ((disk = open("/dev/vda", O_RDWR | O_DIRECT | O_CLOEXEC)) < 0 && now() < until) {
        (void)usleep(2000);
    }
    if (disk < 0 || ioctl(disk, BLKGETSIZE64, &bytes) != 0) {
        failed("/dev/vda");
    }
    if (sectors == 0) {
        sectors = (uint32_t)(bytes / LOAD_SECTOR);
        generations = calloc(sectors, sizeof(*generations));
    }
    if (generations == NULL || bytes != (uint64_t)sectors * LOAD_SECTOR) {
        failed("the size of /dev/vda");
    }
}

/* How the disk's addresses are translated, in the kernel's words: DMA, DMA-FQ (lazily), identity;
 * or none. */
static void iommu_type(char *type, int room)
{
    FILE *file = fopen("/sys/block/vda/device/../iommu_group/type", "r");

    (void)snprintf(type, (size_t)room, "none");
    if (file != NULL) {
        if (fgets(type, room, file) != NULL) {
            type[strcspn(type, "\n")] = '\0';
        }
        (void)fclose(file);
    }
}

static void say_features(void)
{
    char iommu[16];
    char text[80] = "";
    uint64_t features = 0;
    unsigned queues = 0;
    FILE *file = fopen("/sys/block/vda/device/features", "r");
    DIR *folder = opendir("/sys/block/vda/mq");

    if (file == NULL || fgets(text, sizeof(text), file) == NULL || folder == NULL) {
        failed("/sys/block/vda");
    }
    for (unsigned i = 0; i < 64 && text[i] != '\0'; i++) {
        features |= (uint64_t)(text[i] == '1') << i;
    }
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        queues += entry->d_name[0] != '.';
    }
    (void)closedir(folder);
    (void)fclose(file);
    iommu_type(iommu, sizeof(iommu));
    printf("guest: features %#llx packed=%u event=%u indirect=%u platform=%u queues=%u iommu=%s\n",
           (unsigned long long)features, (unsigned)(features >> 34 & 1),
           (unsigned)(features >> 29 & 1), (unsigned)(features >> 28 & 1),
           (unsigned)(features >> 33 & 1), queues, iommu);
}

static void tell(const char *path, const char *name)
{
    int file = open(path, O_WRONLY | O_CLOEXEC);

    if (file < 0 || write(file, name, strlen(name)) != (ssize_t)strlen(name)) {
        failed(path);
    }
    (void)close(file);
}

/* Takes the driver from the disk, or from its transport, and gives it back. */
static void rebind(bool transport)
{
    char path[PATH_MAX];
    char device[PATH_MAX];
    char driver[PATH_MAX];
    const char *name;
    const double until = now() + PATIENCE;

    (void)close(disk);
    if (realpath(transport ? "/sys/block/vda/device/.." : "/sys/block/vda/device", device) ==
            NULL ||
        snprintf(path, sizeof(path), "%s/driver", device) >= (int)sizeof(path) ||
        realpath(path, driver) == NULL ||
        snprintf(path, sizeof(path), "%s/unbind", driver) >= (int)sizeof(path)) {
        failed("the disk's device");
    }
    name = strrchr(device, '/') + 1;
    tell(path, name);
    while (access("/dev/vda", F_OK) == 0) {
        if (now() > until) {
            failed("the disk does not go");
        }
        (void)usleep(2000);
    }
    (void)snprintf(path, sizeof(path), "%.4000s/bind", driver);
    tell(path, name);
    open_disk();
    printf("guest: %s unbound and bound\n", name);
}

int main(int argc, char **argv)
{
    double started;

    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    for (int i = 1; i < argc; i++) {
        if (sscanf(argv[i], "threads=%u", &threads) != 1 && sscanf(argv[i], "ops=%u", &ops) != 1 &&
            sscanf(argv[i], "rounds=%u", &rounds) != 1 &&
            sscanf(argv[i], "ballast=%u", &ballast) != 1 &&
            sscanf(argv[i], "keep=%u", &keep) != 1) {
            printf("guest: failed: not an argument: %s\n", argv[i]);
            return EXIT_FAILURE;
        }
    }
    if (threads == 0 || threads > THREADS_MAX || keep == 0 || keep > KEEP_MAX) {
        printf("guest: failed: 1 to %u threads, of 1 to %u buffers\n", (unsigned)THREADS_MAX,
               (unsigned)KEEP_MAX);
        return EXIT_FAILURE;
    }
    say_pool();
    place_workers();
    open_disk();
    say_features();
    printf("guest: before %016llx\n", (unsigned long long)read_all());
    for (uint32_t round = 0; round < rounds; round++) {
        if (round != 0) {
            rebind(round % 2 == 0);
        }
        started = now();
        load_all(round);
        printf("guest: round %u: %u requests in %.2f s\n", (unsigned)round,
               (unsigned)(threads * ops), now() - started);
        if (round + 1 < rounds) {
            (void)read_all();
        }
    }
    printf("guest: after %016llx\n", (unsigned long long)read_all());
    printf("guest: passed\n");
    return EXIT_SUCCESS;
}
