/* SPDX-License-Identifier: BSD-3-Clause */
/* In a Linux guest: random reads of 4 KiB from each of its disks, by direct I/O. All disks in turn,
 * again and again, so that what else the machine does falls on all alike; of each the upper quarter
 * of the rounds begins with the rate that is printed. Every block begins with its number and is
 * looked at.
 *
 * Arguments: rounds=N milliseconds=N (of each) depth=N (several) */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/fs.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { BLOCK = 4096, DEPTH_MAX = 64, DISKS_MAX = 4, DEPTHS_MAX = 4, ROUNDS_MAX = 64 };

struct disk {
    int file;
    char name[24]; /* Its serial number. */
    uint64_t blocks;
    double rates[DEPTHS_MAX][ROUNDS_MAX];
};

static struct disk disks[DISKS_MAX];
static unsigned disk_count;
static unsigned char *data;
static uint64_t wanted[DEPTH_MAX];
static uint64_t random_state = 1;

static _Noreturn void fail(const char *what)
{
    printf("guest: failed: %s\n", what);
    exit(EXIT_FAILURE);
}

static double now(void)
{
    struct timespec time;

    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void prepare(const struct disk *disk, struct iocb *request, unsigned slot)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    wanted[slot] = (random_state >> 33) % disk->blocks;
    memset(request, 0, sizeof(*request));
    memset(data + (size_t)slot * BLOCK, 0xff, 8);
    request->aio_data = slot;
    request->aio_lio_opcode = IOCB_CMD_PREAD;
    request->aio_fildes = (uint32_t)disk->file;
    request->aio_buf = (uintptr_t)(data + (size_t)slot * BLOCK);
    request->aio_nbytes = BLOCK;
    request->aio_offset = (int64_t)(wanted[slot] * BLOCK);
}

static void submit(aio_context_t context, struct iocb **requests, long count)
{
    if (count != 0 && syscall(SYS_io_submit, context, count, requests) != count) {
        fail("io_submit");
    }
}

/* Reads a second. */
static double measure(const struct disk *disk, unsigned depth, double seconds)
{
    static struct iocb requests[DEPTH_MAX];
    struct iocb *pointers[DEPTH_MAX];
    struct io_event events[DEPTH_MAX];
    const double began = now();
    const double end = began + seconds;
    aio_context_t context = 0;
    uint64_t reads = 0;
    unsigned left = depth;

    if (syscall(SYS_io_setup, DEPTH_MAX, &context) != 0) {
        fail("io_setup");
    }
    for (unsigned i = 0; i < depth; i++) {
        prepare(disk, &requests[i], i);
        pointers[i] = &requests[i];
    }
    submit(context, pointers, depth);
    while (left != 0) {
        const long got = syscall(SYS_io_getevents, context, 1, DEPTH_MAX, events, NULL);
        const int again = now() < end;

        for (long i = 0; i < got; i++) {
            const unsigned slot = (unsigned)events[i].data;
            uint64_t number;

            memcpy(&number, data + (size_t)slot * BLOCK, sizeof(number));
            if (events[i].res != BLOCK || number != wanted[slot]) {
                fail("a read came back wrong");
            }
            prepare(disk, &requests[slot], slot);
            pointers[i] = &requests[slot];
        }
        reads += (uint64_t)got;
        left -= again ? 0 : (unsigned)got;
        submit(context, pointers, again ? got : 0);
    }
    (void)syscall(SYS_io_destroy, context);
    return (double)reads / (now() - began);
}

static int compare(const void *left, const void *right)
{
    const double a = *(const double *)left;
    const double b = *(const double *)right;

    return a < b ? -1 : a > b;
}

/* Which of the disks it is: their order is no matter. */
static void read_name(struct disk *disk, char letter)
{
    char path[] = "/sys/block/vda/serial";
    FILE *file;

    path[13] = letter;
    file = fopen(path, "r");
    if (file == NULL || fscanf(file, "%20s", disk->name) != 1) {
        memcpy(disk->name, "?", 2);
    }
    if (file != NULL) {
        (void)fclose(file);
    }
}

static void open_disks(void)
{
    for (; disk_count < DISKS_MAX; disk_count++) {
        char path[] = "/dev/vda";
        uint64_t bytes = 0;
        int file = -1;

        path[7] = (char)('a' + disk_count);
        /* The first one may still be on its way. */
        for (unsigned i = 0; i < 500 && file < 0 && (disk_count == 0 || i < 50); i++) {
            file = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
            (void)usleep(file < 0 ? 10000 : 0);
        }
        if (file < 0) {
            return;
        }
        if (ioctl(file, BLKGETSIZE64, &bytes) != 0 || bytes < BLOCK) {
            fail(path);
        }
        disks[disk_count].file = file;
        read_name(&disks[disk_count], path[7]);
        disks[disk_count].blocks = bytes / BLOCK;
    }
}

int main(int argc, char **argv)
{
    unsigned rounds = 5;
    unsigned milliseconds = 500;
    unsigned depths[DEPTHS_MAX];
    unsigned count = 0;

    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    for (int i = 1; i < argc; i++) {
        if (sscanf(argv[i], "rounds=%u", &rounds) != 1 &&
            sscanf(argv[i], "milliseconds=%u", &milliseconds) != 1 &&
            (count == DEPTHS_MAX || sscanf(argv[i], "depth=%u", &depths[count++]) != 1 ||
             depths[count - 1] == 0 || depths[count - 1] > DEPTH_MAX)) {
            fail(argv[i]);
        }
    }
    open_disks();
    if (rounds == 0 || rounds > ROUNDS_MAX || disk_count == 0 ||
        posix_memalign((void **)&data, BLOCK, (size_t)BLOCK * DEPTH_MAX) != 0) {
        fail("no disk, or no memory");
    }
    for (unsigned round = 0; round < rounds; round++) {
        for (unsigned i = 0; i < count; i++) {
            for (unsigned disk = 0; disk < disk_count; disk++) {
                disks[disk].rates[i][round] =
                    measure(&disks[disk], depths[i], milliseconds / 1000.0);
            }
        }
    }
    for (unsigned i = 0; i < count; i++) {
        for (unsigned disk = 0; disk < disk_count; disk++) {
            double *rates = disks[disk].rates[i];

            qsort(rates, rounds, sizeof(*rates), compare);
            printf("guest: reads depth=%u disk=%s rate=%.0f\n", depths[i], disks[disk].name,
                   rates[rounds * 3 / 4]);
        }
    }
    printf("guest: passed\n");
    return EXIT_SUCCESS;
}
