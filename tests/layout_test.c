/* SPDX-License-Identifier: BSD-3-Clause */
/* Sizes and alignments of a queue's areas, against the formulae of virtio 1.4, "Split Virtqueues",
 * "Structure Size and Alignment" and "Legacy Interfaces: A Note on Virtqueue Layout". */
#include "virtq/layout.h"

#include <stdbool.h>
#include <string.h>

#include "reference.h"
#include "runner.h"
#include "virtq/error.h"
#include "virtq/split.h"

static bool area_is(const struct virtq_area_layout *area, uint64_t size, uint32_t align)
{
    return area->size == size && area->align == align && area->offset % align == 0;
}

/* Descriptor, driver and device area stand in this order, apart, and inside the block. */
static bool in_row(const struct virtq_layout *l)
{
    return l->descriptor.offset + l->descriptor.size <= l->driver.offset &&
           l->driver.offset + l->driver.size <= l->device.offset &&
           l->device.offset + l->device.size <= l->size;
}

static uint64_t line_of(uint64_t offset)
{
    return offset / VIRTQ_CACHE_LINE;
}

static uint64_t last_line(const struct virtq_area_layout *area)
{
    return line_of(area->offset + area->size - 1);
}

/* Each on cache lines of its own. */
static bool apart(const struct virtq_layout *l)
{
    return l->align >= VIRTQ_CACHE_LINE && l->descriptor.offset % VIRTQ_CACHE_LINE == 0 &&
           last_line(&l->descriptor) < line_of(l->driver.offset) &&
           last_line(&l->driver) < line_of(l->device.offset) && l->size % VIRTQ_CACHE_LINE == 0;
}

static void untouched(int result, const struct virtq_layout *layout)
{
    struct virtq_layout pattern;

    memset(&pattern, 0xa5, sizeof(pattern));
    cr_assert_eq(result, VIRTQ_EINVAL);
    cr_assert(memcmp(&pattern, layout, sizeof(pattern)) == 0);
}

Test(core_layout, s1_split_areas_of_every_legal_size)
{
    for (uint64_t n = 1; n <= VIRTQ_SIZE_MAX; n *= 2) {
        struct virtq_layout l;

        cr_assert_eq(virtq_layout_init(VIRTQ_FORMAT_SPLIT, (uint32_t)n, &l), VIRTQ_OK);
        cr_assert(area_is(&l.descriptor, 16 * n, 16));
        cr_assert(area_is(&l.driver, 6 + 2 * n, 2));
        cr_assert(area_is(&l.device, 6 + 8 * n, 4));
        cr_assert(in_row(&l) && apart(&l));
        cr_assert_leq(l.size, 26 * n + 12 + 3 * 63 + 2 * 60);
        cr_assert_eq(l.descriptor.offset, 0u);
    }
}

/* Else a burst of 32 touches a line more in each ring, and the other end, which reads the last ones
 * of it, takes away the line in which the next burst is being written. */
Test(core_layout, the_first_slot_and_the_first_element_of_a_split_queue_begin_a_line)
{
    for (uint64_t n = 1; n <= VIRTQ_SIZE_MAX; n *= 2) {
        struct virtq_layout l;

        cr_assert_eq(virtq_layout_init(VIRTQ_FORMAT_SPLIT, (uint32_t)n, &l), VIRTQ_OK);
        cr_assert_eq((l.driver.offset + sizeof(struct virtq_avail)) % VIRTQ_CACHE_LINE, 0u);
        cr_assert_eq((l.device.offset + sizeof(struct virtq_used)) % VIRTQ_CACHE_LINE, 0u);
    }
}

Test(core_layout, p1_packed_areas_of_every_legal_size)
{
    for (uint64_t n = 1; n <= VIRTQ_SIZE_MAX; n++) {
        struct virtq_layout l;
        int result = virtq_layout_init(VIRTQ_FORMAT_PACKED, (uint32_t)n, &l);

        cr_assert(result == VIRTQ_OK && area_is(&l.descriptor, 16 * n, 16) &&
                      area_is(&l.driver, 4, 4) && area_is(&l.device, 4, 4) && in_row(&l) &&
                      apart(&l) && l.size <= 16 * n + 3 * 64,
                  "size %u", (unsigned)n);
    }
}

Test(core_layout, an_illegal_size_or_format_is_refused_and_nothing_is_written)
{
    static const uint32_t sizes[] = {0, 32769, 40000, 65535, 65536, 65537, 0x80000000, UINT32_MAX};
    struct virtq_layout l;

    memset(&l, 0xa5, sizeof(l));
    for (unsigned i = 0; i < 8; i++) {
        untouched(virtq_layout_init(VIRTQ_FORMAT_SPLIT, sizes[i], &l), &l);
        untouched(virtq_layout_init(VIRTQ_FORMAT_PACKED, sizes[i], &l), &l);
        untouched(virtq_layout_init_legacy(sizes[i], 4096, &l), &l);
    }
    for (uint32_t n = 3; n < VIRTQ_SIZE_MAX; n++) {
        if ((n & (n - 1)) != 0) {
            untouched(virtq_layout_init(VIRTQ_FORMAT_SPLIT, n, &l), &l);
            untouched(virtq_layout_init_legacy(n, 4096, &l), &l);
        }
    }
    untouched(virtq_layout_init((enum virtq_format)2, 8, &l), &l);
    untouched(virtq_layout_init((enum virtq_format)255, 8, &l), &l);
    cr_assert_eq(virtq_layout_init(VIRTQ_FORMAT_SPLIT, 8, NULL), VIRTQ_EINVAL);
    cr_assert_eq(virtq_layout_init(VIRTQ_FORMAT_PACKED, 8, NULL), VIRTQ_EINVAL);
    cr_assert_eq(virtq_layout_init_legacy(8, 4096, NULL), VIRTQ_EINVAL);
}

/* virtio 1.4, Legacy Interfaces: A Note on Virtqueue Layout: `qalign` is the mask of Queue Align,
 * and `used` begins at ALIGN of what stands before it. */
static uint64_t spec_align(uint64_t x, uint64_t qalign)
{
    return (x + qalign) & ~qalign;
}

static uint64_t spec_virtq_size(uint64_t qsz, uint64_t qalign)
{
    return spec_align(16 * qsz + 2 * (3 + qsz), qalign) + spec_align(2 * 3 + 8 * qsz, qalign);
}

Test(core_layout, s2_legacy_areas_of_every_size_at_every_queue_align)
{
    for (uint64_t n = 1; n <= VIRTQ_SIZE_MAX; n *= 2) {
        for (uint64_t align = 4; align <= 0x80000000; align *= 2) {
            struct virtq_layout l;

            cr_assert_eq(virtq_layout_init_legacy((uint32_t)n, (uint32_t)align, &l), VIRTQ_OK);
            cr_assert_eq(l.descriptor.offset, 0u);
            cr_assert_eq(l.driver.offset, 16 * n);
            cr_assert_eq(l.device.offset, spec_align(18 * n + 6, align - 1));
            cr_assert(area_is(&l.descriptor, 16 * n, 16));
            cr_assert(area_is(&l.driver, 6 + 2 * n, 2));
            cr_assert(area_is(&l.device, 6 + 8 * n, 4));
            cr_assert(in_row(&l));
            cr_assert_eq(l.size, spec_virtq_size(n, align - 1));
            cr_assert(l.align >= 16 && l.align >= align);
        }
    }
}

Test(core_layout, s2_the_numbers_everybody_knows)
{
    struct virtq_layout l;

    /* 256 entries on a PCI device: 10246 bytes in three pages. */
    cr_assert_eq(virtq_layout_init_legacy(256, 4096, &l), VIRTQ_OK);
    cr_assert_eq(l.driver.offset, 4096u);
    cr_assert_eq(l.device.offset, 8192u);
    cr_assert_eq(l.size, 12288u);
    cr_assert_eq(virtq_layout_init_legacy(128, 4096, &l), VIRTQ_OK);
    cr_assert_eq(l.driver.offset, 2048u);
    cr_assert_eq(l.device.offset, 4096u);
    cr_assert_eq(l.size, 8192u);
}

Test(core_layout, s2_the_largest_queue_at_the_largest_alignment_does_not_overflow)
{
    struct virtq_layout l;

    cr_assert_eq(virtq_layout_init_legacy(32768, 0x80000000, &l), VIRTQ_OK);
    cr_assert_eq(l.device.offset, (uint64_t)1 << 31);
    cr_assert_eq(l.size, (uint64_t)1 << 32);
    cr_assert_eq(l.align, 0x80000000u);
}

Test(core_layout, s2_an_illegal_queue_align_is_refused_and_nothing_is_written)
{
    static const uint32_t aligns[] = {0,  1,    2,    3,    5,          6,
                                      12, 4095, 4097, 6144, 0x80000001, UINT32_MAX};
    struct virtq_layout l;

    memset(&l, 0xa5, sizeof(l));
    for (unsigned i = 0; i < 12; i++) {
        untouched(virtq_layout_init_legacy(256, aligns[i], &l), &l);
    }
}

Test(core_layout, an_area_is_as_large_as_the_reference_says)
{
    for (uint32_t n = 1; n <= VIRTQ_SIZE_MAX; n *= 2) {
        const struct reference_layout split = reference_split_layout(n);
        const struct reference_layout packed = reference_packed_layout(n);
        const struct reference_layout legacy = reference_legacy_layout(n, 4096);
        struct virtq_layout l;

        cr_assert_eq(virtq_layout_init(VIRTQ_FORMAT_SPLIT, n, &l), VIRTQ_OK);
        cr_assert(area_is(&l.driver, split.driver.size, (uint32_t)split.driver.alignment));
        cr_assert(area_is(&l.device, split.device.size, (uint32_t)split.device.alignment));
        cr_assert_eq(virtq_layout_init(VIRTQ_FORMAT_PACKED, n, &l), VIRTQ_OK);
        cr_assert_eq(l.descriptor.size, packed.descriptor.size);
        cr_assert(area_is(&l.driver, packed.driver.size, (uint32_t)packed.driver.alignment));
        cr_assert_eq(virtq_layout_init_legacy(n, 4096, &l), VIRTQ_OK);
        cr_assert_eq(l.device.offset, legacy.device.offset);
        cr_assert_eq(l.driver.offset, legacy.driver.offset);
    }
}

Test(core_layout, areas_stand_at_their_offsets_in_the_block)
{
    static unsigned char block[16384] __attribute__((aligned(64)));
    struct virtq_layout l;
    struct virtq_areas areas;

    for (unsigned packed = 0; packed < 2; packed++) {
        cr_assert_eq(virtq_layout_init(packed ? VIRTQ_FORMAT_PACKED : VIRTQ_FORMAT_SPLIT, 256, &l),
                     VIRTQ_OK);
        virtq_layout_areas(&l, block, &areas);
        cr_assert_eq((uintptr_t)areas.descriptor - (uintptr_t)block, l.descriptor.offset);
        cr_assert_eq((uintptr_t)areas.driver - (uintptr_t)block, l.driver.offset);
        cr_assert_eq((uintptr_t)areas.device - (uintptr_t)block, l.device.offset);
    }
}
