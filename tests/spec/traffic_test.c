/* SPDX-License-Identifier: BSD-3-Clause */
/* Random traffic through every kind of world: every buffer once, every byte right, nobody left
 * asleep, and nothing left over. */
#include <stdlib.h>

#include "support/fake_space.h"
#include "support/runner.h"
#include "support/world_traffic.h"

enum {
    SHORT = 100,    /* Buffers of a run in a row with many, beyond what fills the ring. */
    LONG = 1000,    /* The same in a row with few. */
    AROUND = 66000, /* More than indices count to. */
    LARGEST = 32768
};

static const uint32_t split_sizes[] = {1, 2, 4, 256};
static const uint32_t packed_sizes[] = {1, 2, 3, 4, 7, 256, 300};

enum {
    SPLIT_SIZES = sizeof(split_sizes) / sizeof(split_sizes[0]),
    PACKED_SIZES = sizeof(packed_sizes) / sizeof(packed_sizes[0]),
    FEATURES = 8 /* Combinations of EVENT_IDX, INDIRECT and IN_ORDER. */
};

/* Whether every instruction costs fifty: then fewer combinations, and no more buffers than needed.
 */
static bool hurried(void)
{
    return getenv("VIRTQ_TEST_HURRIED") != NULL;
}

static void check(const struct world_config *config, uint64_t buffers, struct world_tally *tally)
{
    const char *trouble = world_traffic(config, buffers, tally);

    cr_assert(trouble == NULL, "%s", trouble);
}

/* Shortly before indices wrap (split), or on the lap with the other wrap counter (packed). */
static uint32_t late_start(const struct world_config *config)
{
    return config->packed ? 2 * config->size - 1 : 65536 - 300;
}

static void check_features(struct world_config config, uint64_t buffers, struct world_tally *tally)
{
    for (unsigned bits = 0; bits < (unsigned)FEATURES; bits += hurried() ? 3 : 1) {
        config.event_idx = (bits & 1) != 0;
        config.indirect = (bits & 2) != 0;
        config.in_order = (bits & 4) != 0;
        config.start = bits % 3 == 0 ? late_start(&config) : 0;
        check(&config, buffers + config.size, tally);
    }
}

/* What every row has to have met, or it was no test. */
static void check_tally(const struct world_tally *tally, bool unpops)
{
    cr_assert(tally->full != 0, "no ring was ever full");
    cr_assert(tally->sleeps[0] != 0 && tally->sleeps[1] != 0, "nobody ever slept");
    cr_assert(tally->silent != 0, "notifications were never suppressed");
    cr_assert((tally->unpopped != 0) == unpops, "%u buffers were put back",
              (unsigned)tally->unpopped);
}

static void check_sizes(struct world_config config, uint64_t buffers)
{
    const uint32_t *sizes = config.packed ? packed_sizes : split_sizes;
    unsigned count = config.packed ? PACKED_SIZES : SPLIT_SIZES;
    struct world_tally tally = {0};

    for (unsigned i = 0; i < count; i++) {
        config.size = sizes[i];
        check_features(config, buffers, &tally);
    }
    check_tally(&tally, config.pairing == WORLD_OURS || config.pairing == WORLD_REFERENCE_DRIVER);
    cr_assert((tally.misses != 0) == (config.space->resolve != NULL), "%u misses",
              (unsigned)tally.misses);
}

/* ---- Direct: every pairing, tier and format ---- */

#define ROW(name, which, tier, ring)                                                          \
    Test(spec_traffic, name)                                                                  \
    {                                                                                         \
        struct world_config config = {                                                        \
            .space = &world_direct, .pairing = (which), .inlined = (tier), .packed = (ring)}; \
                                                                                              \
        check_sizes(config, hurried() ? SHORT : LONG);                                        \
    }

ROW(ours_to_ours_split_library_direct_every_size, WORLD_OURS, false, false)
ROW(ours_to_ours_split_inline_direct_every_size, WORLD_OURS, true, false)
ROW(ours_to_ours_packed_library_direct_every_size, WORLD_OURS, false, true)
ROW(ours_to_ours_packed_inline_direct_every_size, WORLD_OURS, true, true)
ROW(ours_to_reference_split_library_direct_every_size, WORLD_REFERENCE_DEVICE, false, false)
ROW(ours_to_reference_split_inline_direct_every_size, WORLD_REFERENCE_DEVICE, true, false)
ROW(ours_to_reference_packed_library_direct_every_size, WORLD_REFERENCE_DEVICE, false, true)
ROW(ours_to_reference_packed_inline_direct_every_size, WORLD_REFERENCE_DEVICE, true, true)
ROW(reference_to_ours_split_library_direct_every_size, WORLD_REFERENCE_DRIVER, false, false)
ROW(reference_to_ours_split_inline_direct_every_size, WORLD_REFERENCE_DRIVER, true, false)
ROW(reference_to_ours_packed_library_direct_every_size, WORLD_REFERENCE_DRIVER, false, true)
ROW(reference_to_ours_packed_inline_direct_every_size, WORLD_REFERENCE_DRIVER, true, true)

/* What the tests themselves need: two references get along in every world. */
ROW(reference_to_reference_split_direct_every_size, WORLD_REFERENCES, false, false)
ROW(reference_to_reference_packed_direct_every_size, WORLD_REFERENCES, false, true)

/* ---- Every other space: every pairing, tier and format ---- */

static void check_space(const struct world_space_kind *space)
{
    for (unsigned bits = 0; bits < 12; bits++) {
        struct world_config config = {.space = space,
                                      .pairing = (enum world_pairing)(bits / 4),
                                      .inlined = bits % 2 != 0,
                                      .packed = bits / 2 % 2 != 0};

        check_sizes(config, SHORT);
    }
}

Test(spec_traffic, every_pairing_on_regions_that_cut_segments)
{
    check_space(&world_regions);
}

Test(spec_traffic, every_pairing_on_premapped)
{
    check_space(&world_premapped);
}

Test(spec_traffic, every_pairing_on_bar)
{
    check_space(&world_bar);
}

Test(spec_traffic, every_pairing_on_swiotlb)
{
    check_space(&world_swiotlb);
}

Test(spec_traffic, every_pairing_on_iommu)
{
    check_space(&world_iommu);
}

Test(spec_traffic, every_pairing_on_a_fifth_space)
{
    check_space(&world_fake);
}

Test(spec_traffic, a_pool_that_is_too_small_for_a_full_ring)
{
    struct world_config config = {.space = &world_swiotlb, .size = 256, .indirect = true};
    struct world_tally tally = {0};

    for (unsigned packed = 0; packed < 2; packed++) {
        config.packed = packed != 0;
        check(&config, LONG, &tally);
    }
    cr_assert(tally.shortages != 0, "the pool was never short");
}

/* ---- Far positions ---- */

/* Indices and wrap counters go round by traffic alone, not by a start near the end. */
static void go_around(bool packed, bool inlined)
{
    const uint32_t *sizes = packed ? packed_sizes : split_sizes;

    for (unsigned i = 0; i < 2; i++) {
        struct world_config config = {.space = &world_direct, .packed = packed};

        config.size = sizes[i + inlined];
        config.inlined = inlined;
        config.event_idx = i == 0;
        check(&config, hurried() ? LONG : AROUND, NULL);
    }
}

Test(spec_traffic, ours_to_ours_split_past_65536_buffers)
{
    go_around(false, false);
    go_around(false, true);
}

Test(spec_traffic, ours_to_ours_packed_past_65536_buffers)
{
    go_around(true, false);
    go_around(true, true);
}

Test(spec_traffic, the_wrap_is_met_from_every_start_around_it)
{
    for (unsigned bits = 0; bits < 64; bits++) {
        struct world_config config = {.space = &world_direct,
                                      .pairing = (enum world_pairing)(bits % 3),
                                      .inlined = bits % 2 != 0,
                                      .packed = bits / 2 % 2 != 0,
                                      .event_idx = bits / 4 % 2 != 0,
                                      .in_order = bits / 8 % 2 != 0};

        config.size = config.packed ? 7 : 8;
        config.start = config.packed ? bits % 14 : 65536 - 1 - bits % 16;
        check(&config, SHORT, NULL);
    }
}

/* ---- The largest queue ---- */

static void check_largest(enum world_pairing pairing, bool packed)
{
    for (unsigned bits = 0; bits < 2; bits++) {
        struct world_config config = {.space = &world_direct,
                                      .pairing = pairing,
                                      .inlined = bits != 0,
                                      .packed = packed,
                                      .size = LARGEST,
                                      .event_idx = bits == 0,
                                      .indirect = bits != 0};

        config.start = 2 * LARGEST - 1000; /* Indices and wrap counters alike. */
        check(&config, LARGEST + 7000, NULL);
    }
}

Test(spec_traffic, the_largest_split_queue)
{
    check_largest(WORLD_OURS, false);
    check_largest(WORLD_REFERENCE_DEVICE, false);
    check_largest(WORLD_REFERENCE_DRIVER, false);
}

Test(spec_traffic, the_largest_packed_queue)
{
    check_largest(WORLD_OURS, true);
    check_largest(WORLD_REFERENCE_DEVICE, true);
    check_largest(WORLD_REFERENCE_DRIVER, true);
}

/* ---- Legacy byte order, barriers of device strength ---- */

static const struct world_space_kind *const all_spaces[] = {
    &world_direct,  &world_regions, &world_premapped, &world_bar,
    &world_swiotlb, &world_iommu,   &world_fake};

enum { ALL_SPACES = sizeof(all_spaces) / sizeof(all_spaces[0]) };

Test(spec_traffic, a_big_endian_guest_on_every_space)
{
    for (unsigned i = 0; i < 6 * (unsigned)ALL_SPACES; i++) {
        struct world_config config = {.space = all_spaces[i / 6],
                                      .pairing = (enum world_pairing)(i % 3),
                                      .inlined = i / 3 % 2 != 0,
                                      .big_endian = true};

        check_sizes(config, SHORT);
    }
}

Test(spec_traffic, barriers_of_device_strength)
{
    for (unsigned i = 0; i < 12; i++) {
        struct world_config config = {.space = i % 2 == 0 ? &world_direct : &world_fake,
                                      .pairing = (enum world_pairing)(i / 4),
                                      .inlined = i % 2 == 0,
                                      .packed = i / 2 % 2 != 0,
                                      .order_platform = true};

        check_sizes(config, SHORT);
    }
}
