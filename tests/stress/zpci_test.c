/* SPDX-License-Identifier: BSD-3-Clause */
/* Two of a guest's processors map, unmap and refresh while a device translates: what a refresh has
 * taken away no burst uses any more. L3, L5, M1, M7. */
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "iommu/zpci_pair.h"
#include "virtq/guard.h"

enum { MAPPERS = 2, SLOTS = 4, PAGES = 3, DATA = 0x100 };

static struct zpci_pair pair;
static struct virtq_guard guard;
static struct virtq_guard_user user;
static uint32_t live[MAPPERS][SLOTS]; /* 1: the device may be there */
static uint32_t wrong[MAPPERS + 1];
static uint32_t running;

struct mapper {
    pthread_t thread;
    unsigned number;
};

/* Slots are a segment apart, and the shadow has no room for more than are mapped at once: leaves
 * pass from one segment to another all the time. */
static virtq_addr_t address(unsigned mapper, unsigned slot)
{
    return ((virtq_addr_t)mapper * SLOTS + slot) * 0x100000 + 0x5000;
}

static unsigned data_of(unsigned mapper, unsigned slot)
{
    return DATA + (mapper * SLOTS + slot) * PAGES;
}

/* The fixture's own counts its calls, which is for one thread. */
static uint32_t call(void *context, uint64_t function, virtq_addr_t first, uint64_t len,
                     uint32_t *status)
{
    struct virtq_zpci_answer answer;

    (void)context;
    virtq_zpci_host_refresh(&pair.stand.host, function, first, len, &answer);
    *status = answer.status;
    return answer.condition;
}

static void *map_and_unmap(void *context)
{
    const struct mapper *mapper = context;
    const unsigned rounds = getenv("VIRTQ_TEST_HURRIED") != NULL ? 100 : 1000;

    for (unsigned round = 0; round < rounds; round++) {
        const unsigned slot = round % SLOTS;
        uint32_t *alive = &live[mapper->number][slot];
        const struct virtq_region range = pair_range(&pair, address(mapper->number, slot), PAGES,
                                                     data_of(mapper->number, slot), SPACES_BOTH);

        __atomic_store_n(alive, 1, __ATOMIC_SEQ_CST);
        wrong[mapper->number] += pair_map(&pair, &range, 1) != 0;
        wrong[mapper->number] += pair_unmap(&pair, &range, 1) != 0;
        wrong[mapper->number] += pair_flush(&pair, &range, 1) != 0;
        __atomic_store_n(alive, 0, __ATOMIC_SEQ_CST);
    }
    (void)__atomic_sub_fetch(&running, 1, __ATOMIC_SEQ_CST);
    return NULL;
}

/* Within a burst what was found stays. */
static void burst(unsigned mapper, unsigned slot)
{
    struct virtq_space *space = &pair.stand.host.space;
    const unsigned char *expected = pair.stand.memory + (size_t)data_of(mapper, slot) * 4096;
    struct virtq_window window;

    virtq_guard_enter(&user);
    if (space->ops->window(space, address(mapper, slot) + 0x1000, SPACES_READ, &window) == 0) {
        const unsigned char *at = window.base + (address(mapper, slot) + 0x1000 - window.first);

        wrong[MAPPERS] += at != expected + 0x1000;
        wrong[MAPPERS] += __atomic_load_n(&live[mapper][slot], __ATOMIC_SEQ_CST) != 1;
    }
    virtq_guard_leave(&user, 0, 0);
}

static void *translate(void *context)
{
    (void)context;
    while (__atomic_load_n(&running, __ATOMIC_SEQ_CST) != 0) {
        for (unsigned i = 0; i < MAPPERS * SLOTS; i++) {
            burst(i / SLOTS, i % SLOTS);
        }
    }
    return NULL;
}

Test(stress_zpci, m1_no_burst_uses_what_a_refresh_has_taken_away)
{
    static struct mapper mappers[MAPPERS];
    pthread_t device;

    pair_open(&pair, VIRTQ_ZPCI_REFRESH_MAP);
    pair.config.rpcit = call;
    pair.config.busy_tries = UINT32_MAX;
    pair.stand.config.pin = NULL;
    pair.stand.config.unpin = NULL;
    pair.stand.config.segments = MAPPERS;
    pair_start(&pair);
    cr_assert_eq(virtq_guard_init(&guard, &pair.stand.host.space, VIRTQ_GUARD_EPOCH), 0);
    cr_assert_eq(virtq_guard_join(&guard, &user), 0);
    running = MAPPERS;
    cr_assert_eq(pthread_create(&device, NULL, translate, NULL), 0);
    for (unsigned i = 0; i < MAPPERS; i++) {
        mappers[i].number = i;
        cr_assert_eq(pthread_create(&mappers[i].thread, NULL, map_and_unmap, &mappers[i]), 0);
    }
    for (unsigned i = 0; i < MAPPERS; i++) {
        cr_assert_eq(pthread_join(mappers[i].thread, NULL), 0);
    }
    cr_assert_eq(pthread_join(device, NULL), 0);
    for (unsigned i = 0; i <= MAPPERS; i++) {
        cr_assert_eq(wrong[i], 0u, "thread %u", i);
    }
    cr_assert_eq(pair.stand.host.usage.pages, 0u);
    virtq_guard_part(&user);
    cr_assert_eq(virtq_guard_fini(&guard), 0);
    pair_close(&pair);
}

static uint32_t left;
static uint32_t too_early;

static void *unmap_and_flush(void *context)
{
    const struct virtq_region *range = context;

    wrong[0] += pair_unmap(&pair, range, 1) != 0;
    wrong[0] += pair_flush(&pair, range, 1) != 0;
    too_early = __atomic_load_n(&left, __ATOMIC_SEQ_CST) == 0;
    return NULL;
}

Test(stress_zpci, m1_a_refresh_returns_after_the_burst_that_has_what_it_takes_away)
{
    struct virtq_region range;
    pthread_t thread;

    pair_open(&pair, VIRTQ_ZPCI_REFRESH_MAP);
    pair_start(&pair);
    cr_assert_eq(virtq_guard_init(&guard, &pair.stand.host.space, VIRTQ_GUARD_EPOCH), 0);
    cr_assert_eq(virtq_guard_join(&guard, &user), 0);
    range = pair_range(&pair, 0x5000, PAGES, DATA, SPACES_BOTH);
    cr_assert_eq(pair_map(&pair, &range, 1), 0);
    virtq_guard_enter(&user);
    cr_assert_eq(pair_finds(&pair, 0x6000), (DATA + 1) * 4096u | SPACES_BOTH);
    cr_assert_eq(pthread_create(&thread, NULL, unmap_and_flush, &range), 0);
    while (__atomic_load_n(&pair.stand.host.space.generation, __ATOMIC_ACQUIRE) == 0) {
        (void)sched_yield();
    }
    /* Time enough for one that does not wait. */
    for (unsigned i = 0; i < 1000; i++) {
        (void)sched_yield();
    }
    cr_assert_eq(__atomic_load_n(&pair.stand.pinned, __ATOMIC_RELAXED), (unsigned)PAGES,
                 "in the burst it is pinned still");
    __atomic_store_n(&left, 1, __ATOMIC_SEQ_CST);
    virtq_guard_leave(&user, 0, 0);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    cr_assert_eq(too_early, 0u);
    cr_assert_eq(wrong[0], 0u);
    cr_assert_eq(pair.stand.pinned, 0u);
    virtq_guard_part(&user);
    cr_assert_eq(virtq_guard_fini(&guard), 0);
    pair_close(&pair);
}
