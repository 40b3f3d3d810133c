/* SPDX-License-Identifier: BSD-3-Clause */
/* Where the three areas of a queue lie in one block, from the tables of the specification. */
#include "reference.h"

static uint64_t round_up(uint64_t value, uint64_t alignment)
{
    while (value % alignment != 0) {
        value++;
    }
    return value;
}

static struct reference_area place(uint64_t after, uint64_t size, uint64_t alignment)
{
    return (struct reference_area){round_up(after, alignment), size, alignment};
}

static uint64_t end_of(struct reference_area area)
{
    return area.offset + area.size;
}

struct reference_layout reference_split_layout(uint32_t size)
{
    struct reference_layout layout;

    layout.descriptor = place(0, UINT64_C(16) * size, 16);
    layout.driver = place(end_of(layout.descriptor), 6 + UINT64_C(2) * size, 2);
    layout.device = place(end_of(layout.driver), 6 + UINT64_C(8) * size, 4);
    layout.total = end_of(layout.device);
    return layout;
}

struct reference_layout reference_packed_layout(uint32_t size)
{
    struct reference_layout layout;

    layout.descriptor = place(0, UINT64_C(16) * size, 16);
    layout.driver = place(end_of(layout.descriptor), 4, 4);
    layout.device = place(end_of(layout.driver), 4, 4);
    layout.total = end_of(layout.device);
    return layout;
}

/* "Legacy Interfaces: A Note on Virtqueue Layout": the used ring starts at the next multiple of
 * Queue Align, and the whole ends at one. (The listing's ALIGN takes its qalign as a mask.) */
struct reference_layout reference_legacy_layout(uint32_t size, uint32_t align)
{
    struct reference_layout layout = reference_split_layout(size);

    layout.device = place(end_of(layout.driver), 6 + UINT64_C(8) * size, align);
    layout.total = round_up(end_of(layout.device), align);
    return layout;
}
