/* SPDX-License-Identifier: BSD-3-Clause */
/* L3, proved: one thread pops, touches and pushes at full speed, some buffers late; another
 * withdraws the memory of one page after another and takes all access to it away the moment it may.
 * An access too late is a crash. */
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>

#include "stress.h"
#include "virtq/guard.h"
#include "virtq/space/iommu.h"

enum { SLOTS = 8, BURST = 8, SIZE = 16, PAGE = 4096, ENTRIES = 64, ROUNDS = 10000 };

/* Device address of a slot's page. */
#define SLOT_ADDR(slot) (UINT64_C(0x40000000) + (uint64_t)(slot)*PAGE)

struct world {
    struct virtq_guard_user user; /* First: it has lines of its own. */
    struct virtq_guard guard;
    unsigned char entries[VIRTQ_TREE_SIZE(ENTRIES)];
    struct virtq_iotlb iotlb;
    struct virtq_iommu_device iommu;
    struct virtq_direct direct;
    struct virtq_premapped premapped;
    struct virtq_driver *driver;
    struct virtq_device *device;
    unsigned char *pages;          /* Two for each slot, of which one is in use. */
    unsigned char *backing[SLOTS]; /* Guarded by `lock`. */
    pthread_mutex_t lock;
    uint32_t stop;
    uint64_t buffers;
    uint64_t misses; /* Both are read by who withdraws. */
    uint64_t late;   /* Buffers that were kept beyond their burst. */
    struct virtq_chain kept;
    bool keeps;
    void *memory[3]; /* The ring, the ends. */
};

static void *zeroed(size_t bytes)
{
    void *memory = NULL;

    cr_assert_eq(posix_memalign(&memory, PAGE, (bytes + PAGE - 1) / PAGE * PAGE), 0);
    memset(memory, 0, bytes);
    return memory;
}

static void open_queue(struct world *w, bool packed)
{
    struct virtq_driver_config driver = VIRTQ_DRIVER_CONFIG_INIT;
    struct virtq_device_config device = VIRTQ_DEVICE_CONFIG_INIT;
    struct virtq_layout layout;
    size_t bytes[2];

    cr_assert_eq(
        virtq_layout_init(packed ? VIRTQ_FORMAT_PACKED : VIRTQ_FORMAT_SPLIT, SIZE, &layout), 0);
    driver.format = packed ? VIRTQ_FORMAT_PACKED : VIRTQ_FORMAT_SPLIT;
    driver.size = SIZE;
    driver.features = VIRTQ_FEATURE(VIRTIO_F_VERSION_1);
    driver.features |= packed ? VIRTQ_FEATURE(VIRTIO_F_RING_PACKED) : 0;
    driver.segments_max = 1;
    driver.space = &w->premapped.space;
    w->memory[0] = zeroed(layout.size);
    virtq_layout_areas(&layout, w->memory[0], &driver.areas);
    device.format = driver.format;
    device.size = driver.size;
    device.features = driver.features;
    device.space = &w->iommu.space;
    device.areas = driver.areas;
    bytes[0] = virtq_driver_size(&driver);
    bytes[1] = virtq_device_size(&device);
    w->memory[1] = zeroed(bytes[0]);
    w->memory[2] = zeroed(bytes[1]);
    cr_assert_eq(virtq_driver_init(w->memory[1], bytes[0], &driver, &w->driver), 0);
    cr_assert_eq(virtq_device_init(w->memory[2], bytes[1], &device, &w->device, NULL), 0);
}

static struct world *open_world(bool packed, uint32_t scheme)
{
    struct world *w = zeroed(sizeof(*w));

    w->pages = mmap(NULL, (size_t)2 * SLOTS * PAGE, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(w->pages, MAP_FAILED);
    for (unsigned i = 0; i < SLOTS; i++) {
        w->backing[i] = w->pages + (size_t)2 * i * PAGE;
        cr_assert_eq(mprotect(w->backing[i] + PAGE, PAGE, PROT_NONE), 0);
    }
    cr_assert_eq(pthread_mutex_init(&w->lock, NULL), 0);
    cr_assert_eq(virtq_iotlb_init(&w->iotlb, ENTRIES, w->entries, sizeof(w->entries)), 0);
    cr_assert_eq(virtq_iommu_device_init(&w->iommu, NULL, &w->iotlb), 0);
    cr_assert_eq(virtq_direct_init(&w->direct, NULL, 0, UINT64_MAX,
                                   (uint32_t)VIRTQ_PERMISSION_READ | VIRTQ_PERMISSION_WRITE),
                 0);
    virtq_premapped_init(&w->premapped, &w->direct.space);
    open_queue(w, packed);
    cr_assert_eq(virtq_guard_init(&w->guard, &w->iommu.space, scheme), 0);
    cr_assert_eq(virtq_guard_join(&w->guard, &w->user), 0);
    return w;
}

static void close_world(struct world *w)
{
    virtq_guard_part(&w->user);
    cr_assert_eq(virtq_guard_fini(&w->guard), 0);
    virtq_driver_destroy(w->driver);
    virtq_iommu_device_destroy(&w->iommu);
    cr_assert_eq(munmap(w->pages, (size_t)2 * SLOTS * PAGE), 0);
    cr_assert_eq(pthread_mutex_destroy(&w->lock), 0);
    for (unsigned i = 0; i < 3; i++) {
        free(w->memory[i]);
    }
    free(w);
}

/* ---- The queue's owner ---- */

static void leave(struct world *w)
{
    virtq_guard_leave(&w->user, virtq_device_outstanding(w->device), virtq_device_stale(w->device));
}

/* Outside of the burst: what was withdrawn meanwhile is asked for again. */
static void resolve(struct world *w)
{
    struct virtq_miss miss;
    unsigned slot;

    virtq_device_miss(w->device, &miss);
    slot = (unsigned)((miss.addr - SLOT_ADDR(0)) / PAGE);
    cr_assert_lt(slot, (unsigned)SLOTS);
    cr_assert_eq(pthread_mutex_lock(&w->lock), 0);
    cr_assert_eq(virtq_iotlb_update(&w->iotlb, SLOT_ADDR(slot), SLOT_ADDR(slot) + PAGE - 1,
                                    w->backing[slot],
                                    (uint32_t)VIRTQ_PERMISSION_READ | VIRTQ_PERMISSION_WRITE),
                 0);
    cr_assert_eq(pthread_mutex_unlock(&w->lock), 0);
    __atomic_store_n(&w->misses, w->misses + 1, __ATOMIC_RELAXED);
}

static void touch_and_push(struct world *w, const struct virtq_chain *chain)
{
    const struct virtq_used_buffer used = {chain->id, 8};

    cr_assert_eq(chain->reason, 0u);
    memset(chain->pieces[0].base, (int)w->buffers, 8);
    cr_assert_eq(*(unsigned char *)chain->pieces[0].base, (unsigned char)w->buffers);
    cr_assert_eq(virtq_device_push(w->device, &used, 1), 1);
    w->buffers++;
}

/* One burst. Now and then a buffer is kept beyond it. */
static bool burst(struct world *w, uint64_t *seed, struct virtq_chain *chains,
                  struct virtq_piece *pieces)
{
    bool kept = w->keeps;
    int popped;

    virtq_guard_enter(&w->user);
    popped = virtq_device_pop(w->device, chains, BURST, pieces, BURST);
    if (kept) {
        touch_and_push(w, &w->kept);
        w->keeps = false;
        __atomic_store_n(&w->late, w->late + 1, __ATOMIC_RELAXED);
    }
    for (int i = 0; i < popped; i++) {
        if (!kept && i == popped - 1 && random_below(seed, 4) == 0) {
            w->kept = chains[i];
            w->keeps = true;
        } else {
            touch_and_push(w, &chains[i]);
        }
    }
    (void)virtq_device_publish(w->device);
    leave(w);
    if (popped == VIRTQ_EMISS) {
        resolve(w);
    }
    return popped > 0;
}

static void *owner(void *argument)
{
    /* A kept buffer's piece must outlive the next pop. */
    struct virtq_piece pieces[2][BURST];
    struct virtq_chain chains[BURST];
    struct virtq_completion done[SIZE];
    struct world *w = argument;
    uint64_t seed = 1;
    uint64_t sent = 0;
    unsigned turn = 0;
    unsigned flying = 0;

    while (__atomic_load_n(&w->stop, __ATOMIC_ACQUIRE) == 0 || flying != 0) {
        while (flying < BURST && __atomic_load_n(&w->stop, __ATOMIC_RELAXED) == 0) {
            struct virtq_segment segment = {
                .addr = SLOT_ADDR(sent % SLOTS) + random_below(&seed, 4000), .len = 8};
            const struct virtq_buffer buffer = {.segments = &segment, .cookie = w, .writable = 1};

            cr_assert_eq(virtq_driver_add(w->driver, &buffer, 1), 1);
            sent++;
            flying++;
        }
        (void)virtq_driver_publish(w->driver);
        turn ^= burst(w, &seed, chains, pieces[turn]) ? 1u : 0u;
        flying -= (unsigned)virtq_driver_poll(w->driver, done, SIZE);
    }
    return NULL;
}

/* ---- Who withdraws ---- */

static void withdraw(struct world *w, unsigned slot)
{
    unsigned char *old;
    unsigned char *other;

    cr_assert_eq(pthread_mutex_lock(&w->lock), 0);
    old = w->backing[slot];
    other = w->pages + (size_t)2 * slot * PAGE;
    other += old == other ? PAGE : 0;
    cr_assert_eq(mprotect(other, PAGE, PROT_READ | PROT_WRITE), 0);
    w->backing[slot] = other;
    cr_assert_eq(virtq_iotlb_invalidate(&w->iotlb, SLOT_ADDR(slot), SLOT_ADDR(slot) + PAGE - 1), 0);
    cr_assert_eq(pthread_mutex_unlock(&w->lock), 0);
    while (virtq_guard_held(&w->guard) != 0) {
        (void)sched_yield();
    }
    cr_assert_eq(mprotect(old, PAGE, PROT_NONE), 0);
}

/* Whether what is to be proved has happened at all. The scheduler may let all withdrawals be over
 * before the owner's first burst: nothing would have been tried. */
static bool both_met(const struct world *w)
{
    return __atomic_load_n(&w->misses, __ATOMIC_RELAXED) != 0 &&
           __atomic_load_n(&w->late, __ATOMIC_RELAXED) != 0;
}

/* Of each of the four tests; scripts/test asks for a million in all where nothing slows us down. */
static unsigned rounds_wanted(void)
{
    const char *word = getenv("VIRTQ_STRESS_ROUNDS");
    const int rounds = word != NULL ? atoi(word) : 0;

    return rounds > 0 ? (unsigned)rounds / 4 : ROUNDS;
}

static void run(bool packed, uint32_t scheme)
{
    const unsigned wanted = rounds_wanted();
    const double end = stress_now() + (wanted > ROUNDS ? 120 : 8 * stress_seconds());
    struct world *w = open_world(packed, scheme);
    uint64_t seed = 2;
    unsigned rounds = 0;
    pthread_t thread;

    cr_assert_eq(pthread_create(&thread, NULL, owner, w), 0);
    while ((rounds < wanted && (rounds % 256 != 0 || stress_now() < end)) || !both_met(w)) {
        withdraw(w, (unsigned)random_below(&seed, SLOTS));
        rounds++;
    }
    __atomic_store_n(&w->stop, 1u, __ATOMIC_RELEASE);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    (void)fprintf(stderr, "%u withdrawals, %llu buffers, %llu late, %llu misses\n", rounds,
                  (unsigned long long)w->buffers, (unsigned long long)w->late,
                  (unsigned long long)w->misses);
    cr_assert_gt(rounds, 100u);
    cr_assert(wanted <= ROUNDS || rounds >= wanted, "%u of %u", rounds, wanted);
    close_world(w);
}

Test(stress_withdraw, L3_memory_goes_while_a_split_queue_runs_by_epochs)
{
    run(false, VIRTQ_GUARD_EPOCH);
}

Test(stress_withdraw, L3_memory_goes_while_a_packed_queue_runs_by_epochs)
{
    run(true, VIRTQ_GUARD_EPOCH);
}

Test(stress_withdraw, L3_memory_goes_while_a_split_queue_runs_by_a_lock)
{
    run(false, VIRTQ_GUARD_LOCK);
}

Test(stress_withdraw, L3_memory_goes_while_a_packed_queue_runs_by_a_lock)
{
    run(true, VIRTQ_GUARD_LOCK);
}
