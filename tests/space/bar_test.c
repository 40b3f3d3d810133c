/* SPDX-License-Identifier: BSD-3-Clause */
/* The bar space: offsets. M9; threats 78, 86. */
#include "virtq/space/bar.h"

#include "support/guarded.h"
#include "support/random.h"
#include "support/runner.h"
#include "support/spaces.h"

enum {
    SIZE = 64 /* Small enough to try everything. */
};

static int share(struct virtq_bar *bar, void *base, uint64_t len, virtq_addr_t *addr)
{
    return bar->space.ops->share(&bar->space, base, len, SPACES_BOTH, addr);
}

Test(space_bar, M9_threat_86_every_offset_and_length_of_a_small_region)
{
    unsigned char *base = guarded_alloc(SIZE);
    struct virtq_bar bar;
    uint64_t offset;
    uint64_t len;

    cr_assert_eq(virtq_bar_init(&bar, base, SIZE, SPACES_BOTH, 3), 0);
    cr_assert_eq(bar.space.driver_kind, (uint32_t)VIRTQ_SPACE_BAR);
    cr_assert_eq(bar.space.device_kind, (uint32_t)VIRTQ_SPACE_BAR);
    cr_assert_eq(bar.space.linear.first, 0u);
    cr_assert_eq(bar.space.linear.last, SIZE - 1u);
    cr_assert_eq(virtq_bar_id(&bar), 3u);
    for (offset = 0; offset <= SIZE + 1; offset++) {
        for (len = 1; len <= SIZE + 1; len++) {
            int inside = offset + len <= SIZE;
            unsigned char bytes[SIZE + 1];
            struct spaces_buffer buffer;
            virtq_addr_t addr = 99;

            cr_assert_eq(share(&bar, base + offset, len, &addr), inside ? 0 : VIRTQ_EFAULT);
            cr_assert_eq(addr, inside ? offset : 99);
            spaces_segment(&buffer, 0, base + offset, len);
            cr_assert_eq(spaces_map(&bar.space, &buffer, 0, 1, 1), inside ? 0 : VIRTQ_EFAULT);
            cr_assert(!inside || buffer.runs[0].addr == offset);
            /* The device end reads exactly as far, or the guard page is hit. */
            cr_assert_eq(spaces_copy(&bar.space, offset, bytes, len, SPACES_READ),
                         inside ? 0 : VIRTQ_EFAULT);
        }
    }
    guarded_free(base, SIZE);
}

Test(space_bar, threat_86_the_edges_of_the_64_bit_range_do_not_wrap)
{
    static unsigned char memory[SIZE];
    const uint64_t edges[] = {
        SIZE,           SIZE + 1,  UINT64_C(1) << 63, UINT64_MAX - SIZE, UINT64_MAX - SIZE + 1,
        UINT64_MAX - 1, UINT64_MAX};
    struct virtq_window window;
    struct virtq_bar bar;
    virtq_addr_t addr;
    unsigned i;

    cr_assert_eq(virtq_bar_init(&bar, memory, SIZE, SPACES_BOTH, 0), 0);
    for (i = 0; i < sizeof(edges) / sizeof(*edges); i++) {
        cr_assert_eq(bar.space.ops->window(&bar.space, edges[i], SPACES_READ, &window),
                     VIRTQ_EFAULT);
        cr_assert_eq(share(&bar, memory, edges[i] == SIZE ? SIZE + 1 : edges[i], &addr),
                     VIRTQ_EFAULT);
        cr_assert_eq(share(&bar, memory + 1, edges[i], &addr), VIRTQ_EFAULT);
    }
    cr_assert_eq(share(&bar, (void *)((uintptr_t)memory - 1), 2, &addr), VIRTQ_EFAULT);
    cr_assert_eq(share(&bar, (void *)((uintptr_t)memory - 1), 1, &addr), VIRTQ_EFAULT);
    cr_assert_eq(share(&bar, memory, 0, &addr), VIRTQ_EINVAL);
}

Test(space_bar, refuses_illegal_regions)
{
    static unsigned char memory[SIZE];
    struct virtq_bar bar;

    cr_assert_eq(virtq_bar_init(&bar, memory, 0, SPACES_BOTH, 0), VIRTQ_EINVAL);
    cr_assert_eq(virtq_bar_init(&bar, memory, UINT64_MAX, SPACES_BOTH, 0), VIRTQ_EINVAL);
    cr_assert_eq(virtq_bar_init(&bar, memory, SIZE, 0, 0), VIRTQ_EINVAL);
    cr_assert_eq(virtq_bar_init(&bar, memory, SIZE, 8, 0), VIRTQ_EINVAL);
}

Test(space_bar, M3_threat_78_permissions_are_enforced)
{
    static unsigned char memory[SIZE];
    struct spaces_buffer buffer;
    struct virtq_window window;
    struct virtq_bar bar;
    virtq_addr_t addr;

    cr_assert_eq(virtq_bar_init(&bar, memory, SIZE, SPACES_READ, 0), 0);
    cr_assert_eq(bar.space.ops->window(&bar.space, 0, SPACES_READ, &window), 0);
    cr_assert_eq(bar.space.ops->window(&bar.space, 0, SPACES_WRITE, &window), VIRTQ_EPERM);
    cr_assert_eq(bar.space.ops->window(&bar.space, 0, 0, &window), VIRTQ_EINVAL);
    cr_assert_eq(share(&bar, memory, 1, &addr), VIRTQ_EFAULT);
    spaces_segment(&buffer, 0, memory, 1);
    cr_assert_eq(spaces_map(&bar.space, &buffer, 1, 0, 1), 0);
    cr_assert_eq(spaces_map(&bar.space, &buffer, 0, 1, 1), VIRTQ_EFAULT);
    cr_assert_eq(spaces_map(&bar.space, &buffer, 1, 0, 0), VIRTQ_EFULL);
}

Test(space_bar, memory_is_allocated_inside_without_touching_it)
{
    static uint64_t memory[4];
    size_t page = guarded_page();
    size_t size = 2 * page;
    unsigned char *base = guarded_alloc(size);
    unsigned granule = (unsigned)(size / 64);
    struct virtq_bar bar;
    virtq_addr_t addr;
    void *first;
    void *second;
    void *third;

    cr_assert_eq(mprotect(base, size, PROT_NONE), 0);
    cr_assert_eq(virtq_bar_init(&bar, base, size, SPACES_BOTH, 0), 0);
    cr_assert_eq(virtq_bar_alloc(&bar, 1, 0, &first), VIRTQ_ENOTSUP);
    cr_assert_eq(virtq_bar_free(&bar, base), VIRTQ_EINVAL);
    cr_assert_eq(virtq_bar_private_size(size, granule), 16u);
    cr_assert_eq(virtq_bar_private_size(size, granule - 1), 0u);
    cr_assert_eq(virtq_bar_private_size(granule - 1, granule), 0u);
    cr_assert_eq(virtq_bar_manage(&bar, 3, memory, sizeof(memory)), VIRTQ_EINVAL);
    cr_assert_eq(virtq_bar_manage(&bar, granule, (unsigned char *)memory + 1, 16), VIRTQ_EINVAL);
    cr_assert_eq(virtq_bar_manage(&bar, granule, memory, 15), VIRTQ_ENOMEM);
    cr_assert_eq(virtq_bar_manage(&bar, granule, memory, sizeof(memory)), 0);

    cr_assert_eq(virtq_bar_alloc(&bar, 1, 0, &first), 0);
    cr_assert_eq(virtq_bar_alloc(&bar, granule + 1, page, &second), 0);
    cr_assert_eq(virtq_bar_alloc(&bar, granule, 0, &third), 0);
    cr_assert_eq(first, (void *)base);
    cr_assert_eq(second, (void *)(base + page));
    cr_assert_eq(third, (void *)(base + granule), "the lowest that fits");
    cr_assert_eq(share(&bar, second, granule + 1, &addr), 0);
    cr_assert_eq(addr, page);
    cr_assert_eq(virtq_bar_alloc(&bar, size, 0, &first), VIRTQ_ENOMEM);
    cr_assert_eq(virtq_bar_alloc(&bar, size + 1, 0, &first), VIRTQ_ETOOBIG);
    cr_assert_eq(virtq_bar_alloc(&bar, UINT64_MAX, 0, &first), VIRTQ_ETOOBIG);
    cr_assert_eq(virtq_bar_alloc(&bar, 1, 3, &first), VIRTQ_EINVAL);
    cr_assert_eq(virtq_bar_alloc(&bar, 0, 0, &first), VIRTQ_EINVAL);
    cr_assert_eq(virtq_bar_free(&bar, (unsigned char *)second + granule), VIRTQ_EINVAL);
    cr_assert_eq(virtq_bar_free(&bar, (unsigned char *)second + 1), VIRTQ_EINVAL);
    cr_assert_eq(virtq_bar_free(&bar, base + size), VIRTQ_EINVAL);
    cr_assert_eq(virtq_bar_free(&bar, second), 0);
    cr_assert_eq(virtq_bar_free(&bar, second), VIRTQ_EINVAL, "twice");
    cr_assert_eq(virtq_bar_free(&bar, base), 0);
    cr_assert_eq(virtq_bar_free(&bar, third), 0);
    cr_assert_eq(virtq_bar_alloc(&bar, size, 0, &first), 0);
    guarded_free(base, size);
}
