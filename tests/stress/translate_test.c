/* SPDX-License-Identifier: BSD-3-Clause */
/* Lookups without a lock, while others map and unmap: every answer was true at a moment between the
 * call and its return. L3, M1; threat 76.
 *
 * Pages come and go in groups, each by one list of the backend. Where a group leads to tells which
 * version of it that is, and each writer says before and after each call what it does. So whoever
 * looks up can judge: no version that was gone before or came after, no hole where all the time
 * something was, and, in one table, never a part of a group. */
#include <pthread.h>
#include <stdlib.h>

#include "stress.h"
#include "virtq/iommu/domain.h"

enum {
    PAGE = 4096,
    GROUP = 4,    /* Pages of a group. */
    GROUPS = 192, /* Enough for a tree of three levels, if each page is a mapping. */
    PLACES = 8,   /* Where versions lie, in turns. */
    REACH = 64 / GROUP + 2,
    WRITERS = 2,
    READERS = 2,
    PAGES = GROUP * GROUPS
};

#define FIRST ((virtq_addr_t)1 << 40)

/* Versions count from 1; the last call of each kind that has begun or has returned. */
struct group {
    uint64_t map_begun;
    uint64_t map_done;
    uint64_t unmap_begun;
    uint64_t unmap_done;
};

struct stage {
    struct virtq_domain domain;
    struct virtq_iommu_backend backend;
    struct group groups[GROUPS];
    unsigned count; /* So many of them are in use. */
    bool whole;     /* Nobody sees a part of a group. */
    double end;
    const char *wrong; /* What was seen that cannot be. */
    uint64_t answers;
};

struct hand {
    struct stage *stage;
    uint64_t seed;
    unsigned number;
};

static void claim(struct stage *stage, bool good, const char *text)
{
    if (!good) {
        __atomic_store_n(&stage->wrong, text, __ATOMIC_SEQ_CST);
    }
}

static bool is_over(const struct stage *stage)
{
    return stress_now() >= stage->end || __atomic_load_n(&stage->wrong, __ATOMIC_SEQ_CST) != NULL;
}

static uintptr_t place_of(unsigned page, uint64_t version)
{
    return (uintptr_t)PAGE * (1 + page + 2 * PAGES * (uintptr_t)(version % PLACES));
}

static uint32_t permissions_of(uint64_t version)
{
    return 1 + (uint32_t)(version / 2 % 3);
}

static void fill(struct virtq_region *ranges, unsigned group, uint64_t version)
{
    for (unsigned i = 0; i < GROUP; i++) {
        const unsigned page = group * GROUP + i;

        ranges[i].first = FIRST + (virtq_addr_t)page * PAGE;
        ranges[i].last = ranges[i].first + PAGE - 1;
        ranges[i].base = (void *)place_of(page, version);
        ranges[i].permissions = permissions_of(version);
    }
}

/* Every second group is its own; neighbours are another's. */
static void *writes(void *context)
{
    struct hand *hand = context;
    struct stage *stage = hand->stage;
    const struct virtq_iommu_backend *backend = &stage->backend;

    while (!is_over(stage)) {
        for (unsigned i = 0; i < 64; i++) {
            const unsigned at =
                (unsigned)random_below(&hand->seed, stage->count / WRITERS) * WRITERS +
                hand->number;
            struct group *group = &stage->groups[at];
            struct virtq_region ranges[GROUP];
            uint64_t version = group->map_done;

            if (version == group->unmap_done) {
                version++;
                fill(ranges, at, version);
                __atomic_store_n(&group->map_begun, version, __ATOMIC_SEQ_CST);
                claim(stage, backend->map(backend->context, ranges, GROUP) == 0, "a map failed");
                __atomic_store_n(&group->map_done, version, __ATOMIC_SEQ_CST);
            } else {
                fill(ranges, at, version);
                __atomic_store_n(&group->unmap_begun, version, __ATOMIC_SEQ_CST);
                claim(stage, backend->unmap(backend->context, ranges, GROUP) == 0,
                      "an unmap failed");
                __atomic_store_n(&group->unmap_done, version, __ATOMIC_SEQ_CST);
            }
        }
        (void)sched_yield();
    }
    return NULL;
}

/* What was known of the groups around before a lookup. */
struct before {
    unsigned low;
    uint64_t map_done[2 * REACH + 1];
    uint64_t unmap_done[2 * REACH + 1];
};

static void note(const struct stage *stage, unsigned at, struct before *before)
{
    before->low = at > REACH ? at - REACH : 0;
    for (unsigned i = 0; i <= 2 * REACH && before->low + i < GROUPS; i++) {
        const struct group *group = &stage->groups[before->low + i];

        before->map_done[i] = __atomic_load_n(&group->map_done, __ATOMIC_SEQ_CST);
        before->unmap_done[i] = __atomic_load_n(&group->unmap_done, __ATOMIC_SEQ_CST);
    }
}

/* Whether a version was there, at that place or anywhere (PLACES), that did or did not grant the
 * access. */
static bool was(const struct stage *stage, const struct before *before, unsigned at, unsigned place,
                uint32_t access, bool grants)
{
    uint64_t version = before->unmap_done[at - before->low] + 1;
    const uint64_t last = __atomic_load_n(&stage->groups[at].map_begun, __ATOMIC_SEQ_CST);

    for (; version <= last; version++) {
        if ((place == PLACES || version % PLACES == place) &&
            ((permissions_of(version) & access) == access) == grants) {
            return true;
        }
    }
    return false;
}

static bool was_a_hole(const struct stage *stage, const struct before *before, unsigned at)
{
    const struct group *group = &stage->groups[at];
    const uint64_t there = before->map_done[at - before->low];

    return there == before->unmap_done[at - before->low] ||
           __atomic_load_n(&group->unmap_begun, __ATOMIC_SEQ_CST) >= there;
}

static void judge_window(struct stage *stage, const struct before *before,
                         const struct virtq_window *window, uint32_t access)
{
    const uint64_t first = (window->first - FIRST) / PAGE;
    const uint64_t last = (window->last - FIRST) / PAGE;
    const uintptr_t base = (uintptr_t)window->base / PAGE;

    if (window->first % PAGE != 0 || (window->last + 1) % PAGE != 0 || last >= PAGES ||
        base < 1 + first || (base - 1 - first) % (uintptr_t)(2 * PAGES) != 0) {
        claim(stage, false, "a window that nobody mapped");
        return;
    }
    claim(stage, (window->permissions & access) == access, "a window without the permission");
    claim(stage, !stage->whole || (first % GROUP == 0 && (last + 1) % GROUP == 0),
          "a part of a list");
    for (uint64_t at = first / GROUP; at <= last / GROUP; at++) {
        claim(stage,
              was(stage, before, (unsigned)at,
                  (unsigned)((base - 1 - first) / (uintptr_t)(2 * PAGES)), access, true),
              "a window of another time");
    }
}

static void *reads(void *context)
{
    struct hand *hand = context;
    struct stage *stage = hand->stage;
    uint64_t answers = 0;

    do {
        for (unsigned i = 0; i < 64; i++) {
            const unsigned page =
                (unsigned)random_below(&hand->seed, (uint64_t)stage->count * GROUP);
            const uint32_t access = 1 + (uint32_t)random_below(&hand->seed, 3);
            struct virtq_window window = {.first = 0};
            struct before before;
            int error;

            note(stage, page / GROUP, &before);
            error = virtq_domain_lookup(&stage->domain, FIRST + page * (virtq_addr_t)PAGE + page,
                                        access, &window);
            answers++;
            switch (error) {
            case 0:
                judge_window(stage, &before, &window, access);
                break;
            case VIRTQ_EFAULT:
                claim(stage, was_a_hole(stage, &before, page / GROUP), "a hole where none was");
                break;
            default:
                claim(stage,
                      error == VIRTQ_EPERM &&
                          was(stage, &before, page / GROUP, PLACES, access, false),
                      "refused what was granted");
                break;
            }
        }
        (void)sched_yield();
    } while (!is_over(stage));
    __atomic_add_fetch(&stage->answers, answers, __ATOMIC_RELAXED);
    return NULL;
}

static void run(struct stage *stage)
{
    struct hand hands[WRITERS + READERS];
    pthread_t threads[WRITERS + READERS];

    virtq_domain_backend(&stage->domain, &stage->backend);
    stage->end = stress_now() + stress_seconds();
    for (unsigned i = 0; i < WRITERS + READERS; i++) {
        hands[i] = (struct hand){stage, 76 + i, i};
        cr_assert_eq(pthread_create(&threads[i], NULL, i < WRITERS ? writes : reads, &hands[i]), 0);
    }
    for (unsigned i = 0; i < WRITERS + READERS; i++) {
        cr_assert_eq(pthread_join(threads[i], NULL), 0);
    }
    cr_assert_null(stage->wrong, "%s", stage->wrong == NULL ? "" : stage->wrong);
    cr_assert_gt(stage->answers, (uint64_t)0);
}

Test(stress_translate, threat_76_one_table_is_never_seen_half_changed)
{
    static struct stage stage;
    void *memory = malloc(virtq_domain_size(PAGES));

    stage.whole = true;
    stage.count = GROUPS;
    cr_assert_eq(virtq_domain_init(&stage.domain, PAGES, memory, virtq_domain_size(PAGES)), 0);
    run(&stage);
    free(memory);
}

static void run_shards(unsigned shards, unsigned groups, unsigned pages)
{
    static struct stage stage;
    struct virtq_domain_config config = VIRTQ_DOMAIN_CONFIG_INIT;

    memset(&stage, 0, sizeof(stage));
    stage.count = groups;
    stage.whole = pages % GROUP == 0;
    config.first = FIRST;
    config.last = FIRST + (virtq_addr_t)shards * pages * PAGE - 1;
    config.shards = shards;
    config.capacity = PAGES;
    config.memory_size = virtq_domain_shards_size(shards, PAGES);
    config.memory = malloc(config.memory_size);
    cr_assert_eq(virtq_domain_init_shards(&stage.domain, &config), 0);
    cr_assert_eq(stage.domain.parts.count, shards);
    run(&stage);
    free(config.memory);
}

Test(stress_translate, threat_76_shards_tell_what_was_true)
{
    run_shards(4, GROUPS, 64);
}

/* Cuts go through groups, so that windows are put together from several shards. */
Test(stress_translate, threat_76_windows_over_shards_tell_what_was_true)
{
    run_shards(64, 32, 2);
}
