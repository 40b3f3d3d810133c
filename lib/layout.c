/* SPDX-License-Identifier: BSD-3-Clause */
#include "virtq/layout.h"

#include "virtq/error.h"
#include "virtq/split.h"

static uint64_t round_up(uint64_t value, uint64_t align)
{
    return (value + align - 1u) & ~(align - 1u);
}

static struct virtq_area_layout area(uint64_t offset, uint64_t size, uint32_t align)
{
    struct virtq_area_layout result = {offset, size, align, 0};

    return result;
}

static int is_power_of_two(uint32_t value)
{
    return value != 0u && (value & (value - 1u)) == 0u;
}

VIRTQ_API int virtq_layout_init(enum virtq_format format, uint32_t size,
                                struct virtq_layout *layout)
{
    const uint64_t line = VIRTQ_CACHE_LINE;
    uint64_t n = size;
    uint64_t at;

    if (layout == NULL || n == 0u || n > VIRTQ_SIZE_MAX) {
        return VIRTQ_EINVAL;
    }
    at = round_up(n * 16u, line);
    if (format == VIRTQ_FORMAT_PACKED) {
        layout->descriptor = area(0, n * 16u, 16);
        layout->driver = area(at, 4, 4);
        layout->device = area(at + line, 4, 4);
        layout->size = at + 2u * line;
    } else if (format == VIRTQ_FORMAT_SPLIT && is_power_of_two(size)) {
        layout->descriptor = area(0, n * 16u, 16);
        /* Flags and index are the last bytes of a line, and slots and elements begin the next. */
        at += line - sizeof(struct virtq_avail);
        layout->driver = area(at, n * 2u + 6u, 2);
        at = round_up(at + layout->driver.size, line) + line - sizeof(struct virtq_used);
        layout->device = area(at, n * 8u + 6u, 4);
        layout->size = round_up(at + layout->device.size, line);
    } else {
        return VIRTQ_EINVAL;
    }
    layout->align = VIRTQ_CACHE_LINE;
    layout->reserved_ = 0;
    return VIRTQ_OK;
}

VIRTQ_API int virtq_layout_init_legacy(uint32_t size, uint32_t align, struct virtq_layout *layout)
{
    uint64_t n = size;

    if (layout == NULL || n > VIRTQ_SIZE_MAX || !is_power_of_two(size) || !is_power_of_two(align) ||
        align < 4u) {
        return VIRTQ_EINVAL;
    }
    layout->descriptor = area(0, n * 16u, 16);
    layout->driver = area(n * 16u, n * 2u + 6u, 2);
    layout->device = area(round_up(n * 18u + 6u, align), n * 8u + 6u, 4);
    layout->size = round_up(n * 18u + 6u, align) + round_up(n * 8u + 6u, align);
    layout->align = align < 16u ? 16u : align;
    layout->reserved_ = 0;
    return VIRTQ_OK;
}

VIRTQ_API void virtq_layout_areas(const struct virtq_layout *layout, void *block,
                                  struct virtq_areas *areas)
{
    unsigned char *bytes = (unsigned char *)block;

    areas->descriptor = bytes + layout->descriptor.offset;
    areas->driver = bytes + layout->driver.offset;
    areas->device = bytes + layout->device.offset;
}
