/* SPDX-License-Identifier: BSD-3-Clause */
/* Several pools as one space. L3, L5; threats 66, 67. */
#include "swiotlb_fixture.h"
#include "virtq/space/swiotlb_group.h"

static void pool_at(struct pool *pool, size_t size, virtq_addr_t addr)
{
    struct virtq_swiotlb_config config = VIRTQ_SWIOTLB_CONFIG_INIT;

    pool_open(pool, size, 64, 0);
    config.pool = pool->base;
    config.pool_size = size;
    config.addr = addr;
    config.memory = pool->bits;
    config.memory_size = virtq_swiotlb_private_size(size, 64);
    cr_assert_eq(virtq_swiotlb_init(&pool->swiotlb, &config), 0);
}

Test(space_swiotlb_group, a_pool_is_added_when_another_is_full_and_removed_when_empty)
{
    static unsigned char data[4096];
    struct virtq_swiotlb_group group;
    struct spaces_buffer buffers[3];
    struct pool pools[2];
    struct virtq_window window;
    uint64_t generation;
    virtq_addr_t addr;
    void *ring;

    pool_at(&pools[0], 256, 0x1000);
    pool_at(&pools[1], 1024, UINT64_MAX - 1023);
    virtq_swiotlb_group_init(&group);
    memset(data, 0x44, sizeof(data));
    spaces_segment(&buffers[0], 0, data, 256);
    cr_assert_eq(spaces_map(&group.space, &buffers[0], 0, 1, 2), VIRTQ_ETOOBIG, "no pool at all");
    cr_assert_eq(virtq_swiotlb_group_add(&group, &pools[0].swiotlb), 0);
    cr_assert_eq(virtq_swiotlb_group_add(&group, &pools[0].swiotlb), VIRTQ_EINVAL);
    cr_assert_eq(spaces_map(&group.space, &buffers[0], 0, 1, 2), 0);
    spaces_segment(&buffers[1], 0, data + 256, 256);
    cr_assert_eq(spaces_map(&group.space, &buffers[1], 0, 1, 2), VIRTQ_ENOMEM);
    cr_assert_eq(virtq_swiotlb_group_add(&group, &pools[1].swiotlb), 0);
    cr_assert_eq(spaces_map(&group.space, &buffers[1], 0, 1, 2), 0);
    cr_assert_eq(buffers[1].runs[0].addr, UINT64_MAX - 1023);
    cr_assert_eq(group.space.ops->window(&group.space, UINT64_MAX, SPACES_WRITE, &window), 0);
    cr_assert_eq(window.base, pools[1].base);
    memset(pools[1].base, 0x99, 100);
    generation = group.space.generation;
    cr_assert_eq(virtq_swiotlb_group_remove(&group, &pools[1].swiotlb), VIRTQ_EBUSY);
    cr_assert_eq(group.space.generation, generation);
    spaces_unmap(&group.space, &buffers[1], 50);
    cr_assert_eq(data[256 + 49], 0x99);
    cr_assert_eq(data[256 + 50], 0x44);
    cr_assert_eq(virtq_swiotlb_alloc(&pools[1].swiotlb, 64, 0, &ring), 0);
    cr_assert_eq(virtq_space_share(&group.space, ring, 64, SPACES_BOTH, &addr), 0);
    cr_assert_eq(addr, UINT64_MAX - 1023);
    cr_assert_eq(virtq_swiotlb_group_remove(&group, &pools[1].swiotlb), VIRTQ_EBUSY);
    cr_assert_eq(virtq_swiotlb_free(&pools[1].swiotlb, ring), 0);
    cr_assert_eq(virtq_swiotlb_group_remove(&group, &pools[1].swiotlb), 0);
    cr_assert_neq(group.space.generation, generation, "L3: windows are forgotten");
    cr_assert_eq(virtq_swiotlb_group_remove(&group, &pools[1].swiotlb), VIRTQ_EINVAL);
    cr_assert_eq(group.space.ops->window(&group.space, UINT64_MAX, SPACES_WRITE, &window),
                 VIRTQ_EFAULT);
    spaces_unmap(&group.space, &buffers[0], 0);
    cr_assert(is_zero(&pools[0]));
    cr_assert(is_zero(&pools[1]));
    pool_close(&pools[0]);
    pool_close(&pools[1]);
}
