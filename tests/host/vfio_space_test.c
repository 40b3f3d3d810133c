/* SPDX-License-Identifier: BSD-3-Clause */
/* The iommu spaces on VFIO: what the kernel has mapped while buffers are out, and when they are
 * back.
 */
#include "vfio_kernel.h"

#include "random.h"
#include "virtq/space/iommu.h"
#include "virtq/space/iommu_queue.h"

#define READ VIRTQ_PERMISSION_READ
#define WRITE VIRTQ_PERMISSION_WRITE

enum { ENTRIES = 128, PAGES = 64 };

static unsigned char memory[(PAGES + 1) * KERNEL_PAGE] __attribute__((aligned(KERNEL_PAGE)));

Test(vfio_space, l4_what_the_kernel_does_not_unmap_is_never_used_again)
{
    static struct kernel_space space;

    EACH_KIND(&space)
    {
        struct virtq_iommu_config config = VIRTQ_IOMMU_CONFIG_INIT;
        struct virtq_iova_range entries[ENTRIES];
        struct virtq_iommu iommu;
        struct virtq_iommu_usage usage;
        struct virtq_vfio_failure failure;
        struct virtq_vfio_usage used;
        struct virtq_iova iova;
        virtq_addr_t first = 0;
        virtq_addr_t second = 0;

        cr_assert_eq(
            virtq_vfio_init_iova(&space.vfio, 0x10000, UINT64_MAX, &iova, entries, ENTRIES), 0);
        config.iova = &iova;
        config.backend = &space.vfio.backend;
        cr_assert_eq(virtq_iommu_init(&iommu, &config), 0);
        cr_assert_eq(virtq_space_share(&iommu.space, memory, 100, WRITE, &first), 0);
        space.kernel.unmaps_nothing = true;
        virtq_space_unshare(&iommu.space, first, 100);
        space.kernel.unmaps_nothing = false;
        virtq_vfio_failed(&space.vfio, &failure);
        cr_assert_eq(failure.step, VIRTQ_VFIO_STEP_UNMAP);
        virtq_vfio_read_usage(&space.vfio, &used);
        virtq_iommu_read_usage(&iommu, &usage);
        cr_assert(used.lost == 1 && used.mapped == 1 && usage.leaked == 1);
        cr_assert_eq(virtq_space_share(&iommu.space, memory, 100, WRITE, &second), 0);
        cr_assert_neq(first, second);
        virtq_space_unshare(&iommu.space, second, 100);
    }
}

/* Buffers of random shape, mapped and unmapped in random order. The kernel has what is out, and
 * nothing else: each byte where its address says. */
struct buffer {
    struct virtq_segment segments[4];
    struct virtq_run runs[8];
    struct virtq_mapping mapping;
    uint64_t record[64];
    bool out;
};

static void shape(struct buffer *buffer, uint64_t *state)
{
    unsigned count = 1 + (unsigned)random_below(state, 4);

    memset(buffer, 0, sizeof(*buffer));
    for (unsigned i = 0; i < count; i++) {
        uint64_t at = random_below(state, sizeof(memory) - 3 * KERNEL_PAGE);

        buffer->segments[i] = (struct virtq_segment){
            .base = memory + at, .len = (uint32_t)(1 + random_below(state, 2 * KERNEL_PAGE))};
    }
    buffer->mapping.segments = buffer->segments;
    buffer->mapping.segments_readable = (uint16_t)random_below(state, count + 1);
    buffer->mapping.segments_writable = (uint16_t)(count - buffer->mapping.segments_readable);
    buffer->mapping.runs = buffer->runs;
    buffer->mapping.capacity = 8;
    buffer->mapping.record = buffer->record;
}

static void expect_reachable(const struct kernel *kernel, const struct buffer *buffer)
{
    unsigned count =
        (unsigned)buffer->mapping.segments_readable + buffer->mapping.segments_writable;

    for (unsigned i = 0; i < count; i++) {
        const struct virtq_run *run = &buffer->runs[i];
        bool found = false;

        for (unsigned j = 0; j < kernel->count; j++) {
            const struct kernel_mapping *mapping = &kernel->mappings[j];

            found |= run->addr >= mapping->first && run->addr + run->len - 1 <= mapping->last &&
                     mapping->base + (run->addr - mapping->first) ==
                         (uintptr_t)buffer->segments[i].base &&
                     mapping->readable == (i < buffer->mapping.segments_readable) &&
                     mapping->writable == (i >= buffer->mapping.segments_readable);
        }
        cr_assert(found, "segment %u is mapped where the device is told", i);
    }
}

static void run_random(struct virtq_space *space, struct kernel *kernel, unsigned rounds)
{
    struct buffer buffers[16];
    uint64_t state = 0x5f10;

    printf("vfio_space: seed 0x5f10\n");
    memset(buffers, 0, sizeof(buffers));
    for (unsigned round = 0; round < rounds; round++) {
        struct buffer *buffer = &buffers[random_below(&state, 16)];
        unsigned segments = 0;

        if (buffer->out) {
            expect_reachable(kernel, buffer);
            space->ops->unmap(space, &buffer->mapping, 0);
            buffer->out = false;
        } else {
            shape(buffer, &state);
            cr_assert_eq(space->ops->map(space, &buffer->mapping), 0);
            buffer->out = true;
        }
        for (unsigned i = 0; i < 16; i++) {
            segments += buffers[i].out ? (unsigned)buffers[i].mapping.segments_readable +
                                             buffers[i].mapping.segments_writable
                                       : 0;
        }
        cr_assert_eq(kernel->count, segments);
    }
    for (unsigned i = 0; i < 16; i++) {
        if (buffers[i].out) {
            space->ops->unmap(space, &buffers[i].mapping, 0);
        }
    }
    cr_assert_eq(kernel->count, 0);
}

Test(vfio_space, m1_a_strict_space_leaves_nothing_of_a_buffer_that_is_back)
{
    static struct kernel_space space;

    EACH_KIND(&space)
    {
        struct virtq_iommu_config config = VIRTQ_IOMMU_CONFIG_INIT;
        struct virtq_iova_range entries[ENTRIES];
        struct virtq_iommu iommu;
        struct virtq_iova iova;

        cr_assert_eq(
            virtq_vfio_init_iova(&space.vfio, 0x10000, UINT64_MAX, &iova, entries, ENTRIES), 0);
        config.iova = &iova;
        config.backend = &space.vfio.backend;
        cr_assert_eq(virtq_iommu_init(&iommu, &config), 0);
        run_random(&iommu.space, &space.kernel, 2000);
    }
}

Test(vfio_space, a_persistent_space_asks_the_kernel_when_memory_is_shared_only)
{
    static struct kernel_space space;

    EACH_KIND(&space)
    {
        struct virtq_iommu_queue_config config = VIRTQ_IOMMU_QUEUE_CONFIG_INIT;
        struct virtq_iova_range entries[ENTRIES];
        struct virtq_iova_depot depot;
        struct virtq_iova_magazine magazines[VIRTQ_IOVA_CACHE_MAGAZINES];
        struct virtq_iommu_queue queue;
        struct virtq_iova iova;
        struct buffer buffer;
        uint64_t books[64];
        uint64_t state = 7;
        virtq_addr_t addr = 0;

        cr_assert_eq(
            virtq_vfio_init_iova(&space.vfio, 0x10000, UINT64_MAX, &iova, entries, ENTRIES), 0);
        cr_assert_eq(
            virtq_iova_depot_init(&depot, &iova, UINT64_MAX, magazines, VIRTQ_IOVA_CACHE_MAGAZINES),
            0);
        config.depot = &depot;
        config.backend = &space.vfio.backend;
        config.policy = VIRTQ_IOMMU_PERSISTENT;
        config.entries = 4;
        config.memory = books;
        config.memory_size = sizeof(books);
        cr_assert_leq(virtq_iommu_queue_private_size(config.policy, 4), sizeof(books));
        cr_assert_eq(virtq_iommu_queue_init(&queue, &config), 0);
        cr_assert_eq(virtq_space_share(&queue.space, memory, sizeof(memory), READ | WRITE, &addr),
                     0);
        space.kernel.calls = 0;
        for (unsigned i = 0; i < 100; i++) {
            shape(&buffer, &state);
            cr_assert_eq(queue.space.ops->map(&queue.space, &buffer.mapping), 0);
            cr_assert_eq(buffer.runs[0].addr - addr,
                         (uint64_t)((unsigned char *)buffer.segments[0].base - memory));
            queue.space.ops->unmap(&queue.space, &buffer.mapping, 0);
        }
        cr_assert_eq(space.kernel.calls, 0);
        virtq_space_unshare(&queue.space, addr, sizeof(memory));
        cr_assert_eq(space.kernel.count, 0);
        virtq_iommu_queue_destroy(&queue);
    }
}
