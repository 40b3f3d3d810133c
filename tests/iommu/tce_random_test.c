/* SPDX-License-Identifier: BSD-3-Clause */
/* Random calls, legal and not, against one word an entry: what is granted is what the model says,
 * and a window is the model's run of pages. */
#include <stdio.h>
#include <stdlib.h>

#include "iommu/tce_fixture.h"
#include "support/random.h"

enum { PAGE = 4096, PAGES = TCE_MEMORY / PAGE, SIDE = 64, MOST = 40 };

static struct tce_world world;

static struct {
    uint64_t seed;
    uint64_t entries[TCE_ENTRIES];
} model;

/* An entry, and whether it is legal. Often a neighbour of the one before, so that runs arise. */
static uint64_t some_entry(uint64_t at, bool *legal)
{
    uint64_t dice = random_below(&model.seed, 100);
    uint64_t page = dice < 60 ? at % PAGES : random_below(&model.seed, PAGES);
    uint64_t entry = TCE_REAL + page * PAGE;

    *legal = true;
    if (dice >= 97) {
        *legal = false;
        entry = dice == 97   ? entry | (uint64_t)4 << random_below(&model.seed, 10)
                : dice == 98 ? TCE_REAL + TCE_MEMORY + page * PAGE
                             : TCE_REAL - (page + 1) * PAGE;
        return entry | TCE_BOTH;
    }
    return dice % 7 == 0 ? entry * (dice & 1)
                         : entry | (dice % 5 == 0 ? 1 + random_below(&model.seed, 3) : TCE_BOTH);
}

static uint64_t some_place(uint64_t *count)
{
    uint64_t index = random_below(&model.seed, TCE_ENTRIES);

    *count = 1 + random_below(&model.seed, MOST);
    return index;
}

static void put_one(uint64_t index)
{
    bool legal;
    uint64_t entry = some_entry(index, &legal);

    cr_assert_eq(tce_put(&world, TCE_BUS + index * PAGE, entry) == 0, legal);
    if (legal) {
        model.entries[index] = entry;
    }
}

static void put_list(uint64_t index, uint64_t count)
{
    bool all_legal = index + count <= TCE_ENTRIES;
    uint64_t entries[MOST];
    uint64_t moved = random_below(&model.seed, 8);

    for (unsigned i = 0; i < count; i++) {
        bool legal;

        entries[i] = some_entry(index + i + moved, &legal);
        tce_list(tce_guest(), i, entries[i]);
        all_legal = all_legal && legal;
    }
    cr_assert_eq(tce_raw(&world, VIRTQ_TCE_PUT_INDIRECT, TCE_LIOBN, TCE_BUS + index * PAGE,
                         TCE_REAL, count) == 0,
                 all_legal);
    for (unsigned i = 0; i < count && all_legal; i++) {
        model.entries[index + i] = entries[i];
    }
}

static void stuff(uint64_t index, uint64_t count)
{
    bool legal;
    uint64_t entry = random_below(&model.seed, 4) == 0 ? some_entry(index, &legal) : 0;

    legal = entry == 0 || legal;
    legal = legal && index + count <= TCE_ENTRIES;
    cr_assert_eq(
        tce_raw(&world, VIRTQ_TCE_STUFF, TCE_LIOBN, TCE_BUS + index * PAGE, entry, count) == 0,
        legal);
    for (unsigned i = 0; i < count && legal; i++) {
        model.entries[index + i] = entry;
    }
}

/* Whether the entry at `at` continues the one at `from`, and grants the same access. */
static bool continues(uint64_t from, uint64_t at, uint32_t permission)
{
    return (model.entries[at] & permission) == permission &&
           (model.entries[at] & ~(uint64_t)(PAGE - 1)) ==
               (model.entries[from] & ~(uint64_t)(PAGE - 1)) + (at - from) * PAGE;
}

static void look(uint64_t index, uint32_t permission)
{
    uint64_t entry = model.entries[index];
    uint64_t low = index;
    uint64_t high = index;
    struct virtq_window window;
    int error = tce_window(&world, TCE_BUS + index * PAGE + random_below(&model.seed, PAGE),
                           permission, &window);

    if ((entry & permission) != permission) {
        cr_assert_eq(error, (entry & TCE_BOTH) == 0 ? VIRTQ_EFAULT : VIRTQ_EPERM);
        return;
    }
    cr_assert_eq(error, 0);
    while (low > 0 && index - low < SIDE && continues(index, low - 1, permission)) {
        low--;
    }
    while (high + 1 < TCE_ENTRIES && high - index < SIDE &&
           continues(index, high + 1, permission)) {
        high++;
    }
    cr_assert_eq(window.first, TCE_BUS + low * PAGE);
    cr_assert_eq(window.last, TCE_BUS + high * PAGE + (PAGE - 1));
    cr_assert(window.base ==
              tce_guest() + ((model.entries[low] & ~(uint64_t)(PAGE - 1)) - TCE_REAL));
    for (; low <= high; low++) {
        cr_assert_eq(window.permissions & ~(uint32_t)model.entries[low], 0u);
    }
}

Test(tce_random, random_calls_leave_the_table_that_a_plain_array_says)
{
    /* Under Valgrind and emulators (VIRTQ_TEST_HURRIED) fewer have to do. */
    const unsigned rounds = getenv("VIRTQ_TEST_HURRIED") != NULL ? 5000 : 300000;

    model.seed = 20261121;
    (void)printf("seed %llu\n", (unsigned long long)model.seed);
    tce_open(&world, TCE_BUS, TCE_SMALL);
    for (unsigned round = 0; round < rounds; round++) {
        uint64_t generation = world.table.space.generation;
        uint64_t count;
        uint64_t index = some_place(&count);
        struct virtq_window before = {0};
        bool had = tce_window(&world, TCE_BUS + index * PAGE, SPACES_READ, &before) == 0;

        switch (random_below(&model.seed, 4)) {
        case 0:
            put_one(index);
            break;
        case 1:
            put_list(index, count);
            break;
        default:
            stuff(index, count);
            break;
        }
        /* L3: a page that was granted and is another one now was withdrawn. */
        if (had) {
            struct virtq_window after = {0};
            int error = tce_window(&world, TCE_BUS + index * PAGE, SPACES_READ, &after);

            if (error != 0 || after.base + (TCE_BUS + index * PAGE - after.first) !=
                                  before.base + (TCE_BUS + index * PAGE - before.first)) {
                cr_assert_gt(world.table.space.generation, generation);
            }
        }
        index = random_below(&model.seed, TCE_ENTRIES);
        cr_assert_eq(tce_get(&world, TCE_BUS + index * PAGE), model.entries[index]);
        look(index, 1 + (uint32_t)random_below(&model.seed, 3));
    }
}

/* The guest's end over the hypervisor's: random lists of ranges, calls that fail at random, and the
 * table holds what succeeded and nothing else. */
static unsigned some_ranges(struct virtq_region *ranges, unsigned *owner, unsigned number)
{
    unsigned count = 0;
    uint64_t at = random_below(&model.seed, TCE_ENTRIES);

    while (count < 6 && at < TCE_ENTRIES) {
        uint64_t pages = 1 + random_below(&model.seed, 9);
        uint64_t page = 1 + random_below(&model.seed, PAGES - 10);
        bool taken = at + pages > TCE_ENTRIES;

        for (uint64_t i = at; i < at + pages && !taken; i++) {
            taken = owner[i] != 0;
        }
        if (taken) {
            break;
        }
        for (uint64_t i = at; i < at + pages; i++) {
            owner[i] = number;
        }
        ranges[count++] = (struct virtq_region){
            TCE_BUS + at * PAGE, TCE_BUS + (at + pages) * PAGE - 1, tce_guest() + page * PAGE,
            1 + (uint32_t)random_below(&model.seed, 3)};
        at += pages + (random_below(&model.seed, 3) == 0);
    }
    return count;
}

static void set_model(const struct virtq_region *ranges, unsigned count, bool mapped)
{
    for (unsigned i = 0; i < count; i++) {
        uint64_t pages = (ranges[i].last - ranges[i].first + 1) / PAGE;
        uint64_t real = TCE_REAL + (uint64_t)((unsigned char *)ranges[i].base - tce_guest());

        for (uint64_t page = 0; page < pages; page++) {
            model.entries[(ranges[i].first - TCE_BUS) / PAGE + page] =
                mapped ? (real + page * PAGE) | ranges[i].permissions : 0;
        }
    }
}

Test(tce_random, random_lists_are_mapped_as_a_whole_or_not_at_all)
{
    enum { LIVE = 64 };
    static struct {
        struct virtq_region ranges[6];
        unsigned count;
    } live[LIVE];
    static unsigned owner[TCE_ENTRIES];
    const unsigned rounds = getenv("VIRTQ_TEST_HURRIED") != NULL ? 400 : 20000;
    const struct virtq_iommu_backend *backend = &world.backend.backend;

    model.seed = 42;
    (void)printf("seed %llu\n", (unsigned long long)model.seed);
    memset(model.entries, 0, sizeof(model.entries));
    tce_open(&world, TCE_BUS, TCE_SMALL);
    world.failure = VIRTQ_TCE_NOT_ENOUGH;
    for (unsigned round = 0; round < rounds; round++) {
        unsigned which = (unsigned)random_below(&model.seed, LIVE);
        bool failing = random_below(&model.seed, 4) == 0;
        int error = 0;

        if (live[which].count != 0) {
            cr_assert_eq(backend->unmap(backend->context, live[which].ranges, live[which].count),
                         0);
            set_model(live[which].ranges, live[which].count, false);
            for (unsigned i = 0; i < TCE_ENTRIES; i++) {
                owner[i] = owner[i] == which + 1 ? 0 : owner[i];
            }
            live[which].count = 0;
        } else {
            live[which].count = some_ranges(live[which].ranges, owner, which + 1);
            world.fail_at = failing ? world.calls + 1 + (unsigned)random_below(&model.seed, 4) : 0;
            error = live[which].count == 0
                        ? 0
                        : backend->map(backend->context, live[which].ranges, live[which].count);
            world.fail_at = 0;
            cr_assert(error == 0 || (failing && error == VIRTQ_ENOMEM));
            set_model(live[which].ranges, live[which].count, error == 0);
            for (unsigned i = 0; i < TCE_ENTRIES && error != 0; i++) {
                owner[i] = owner[i] == which + 1 ? 0 : owner[i];
            }
            live[which].count = error == 0 ? live[which].count : 0;
        }
        for (unsigned i = 0; i < TCE_ENTRIES && round % 16 == 0; i++) {
            cr_assert_eq(tce_get(&world, TCE_BUS + (uint64_t)i * PAGE), model.entries[i]);
        }
    }
    cr_assert_eq(world.backend.usage.lost, 0u);
}
