/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory shown to our back-end through each of the four spaces. */
#include <dirent.h>

#include "frontend_rig.h"
#include "virtq/iommu/domain.h"

#define SLOTS VIRTQ_FEATURE(VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS)

/* Each kind; that of the iommu with an IOTLB by policy. */
struct way {
    uint32_t kind, policy;
    bool iotlb;
};

static const struct way ways[] = {
    {VIRTQ_VHOST_USER_SPACE_DIRECT, 0, false},
    {VIRTQ_VHOST_USER_SPACE_SWIOTLB, 0, false},
    {VIRTQ_VHOST_USER_SPACE_IOMMU, 0, false},
    {VIRTQ_VHOST_USER_SPACE_BAR, 0, false},
    {VIRTQ_VHOST_USER_SPACE_IOMMU, VIRTQ_IOMMU_STRICT, true},
    {VIRTQ_VHOST_USER_SPACE_IOMMU, VIRTQ_IOMMU_LAZY, true},
};
enum { WAYS = sizeof(ways) / sizeof(ways[0]), UNTRANSLATED = 4 };

static void carry(struct rig *rig, unsigned count)
{
    rig_make_queue(rig);
    cr_assert_eq(virtq_vhost_user_queue_start(rig->queue), 0);
    cr_assert_eq(virtq_vhost_user_frontend_ready(rig->frontend), 0);
    rig_traffic(rig, count);
    cr_assert_eq(virtq_vhost_user_queue_stop(rig->queue), 0);
    virtq_vhost_user_queue_fini(rig->queue);
}

static bool given(const struct rig *rig, const void *base)
{
    const struct virtq_vhost_user_share *share = &rig->space->share;

    return (uintptr_t)base - (uintptr_t)share->base < share->size;
}

Test(host_frontend_space, buffers_go_there_and_back_through_each_kind)
{
    for (unsigned i = 0; i < WAYS * RIG_SHAPES; i++) {
        const struct way *way = &ways[i % WAYS];
        const uint64_t features = rig_shapes[i / WAYS] | (way->iotlb ? RIG_PLATFORM : 0);
        struct rig rig;

        rig_open(&rig, features, UINT64_MAX);
        rig.room.kind = way->kind;
        rig.room.policy = way->policy;
        rig.room.mappings = 16; /* A lazy one has to make room. */
        rig.room.granule = i % 2 != 0 ? 4096 : 1u << 20;
        cr_assert_eq(rig_take_space(&rig), 0, "%u", i);
        cr_assert_eq((uintptr_t)rig.space->rings % rig.room.granule, 0u);
        cr_assert_eq((uintptr_t)rig.space->buffers % rig.room.granule, 0u);
        cr_assert(given(&rig, rig.space->rings));
        if (way->kind == VIRTQ_VHOST_USER_SPACE_DIRECT ||
            way->kind == VIRTQ_VHOST_USER_SPACE_SWIOTLB) {
            /* What is aligned here is so for the device. */
            cr_assert_eq((rig.space->share.address - (uintptr_t)rig.space->share.base) %
                             rig.room.granule,
                         0u);
        }
        /* Of a pool's buffers the device sees copies only. */
        cr_assert_eq(given(&rig, rig.space->buffers), way->kind != VIRTQ_VHOST_USER_SPACE_SWIOTLB);
        cr_assert_eq(rig.space->backend != NULL, way->kind == VIRTQ_VHOST_USER_SPACE_IOMMU);
        for (unsigned byte = 0; byte < RIG_BUFFERS; byte++) {
            cr_assert_eq(((unsigned char *)rig.space->buffers)[byte], 0);
        }
        carry(&rig, 30);
        virtq_vhost_user_space_fini(rig.space);
        cr_assert_eq(virtq_vhost_user_frontend_process(rig.frontend), 0);
        cr_assert_eq(rig.other.device.refused, 0u, "%u", i);
        rig_close(&rig);
    }
}

Test(host_frontend_space, one_comes_after_the_other_in_one_connection)
{
    struct rig rig;

    for (unsigned slots = 0; slots < 2; slots++) {
        rig_open(&rig, RIG_VERSION_1, slots != 0 ? UINT64_MAX : ~SLOTS);
        for (unsigned i = 0; i < 3 * UNTRANSLATED; i++) {
            rig.room.kind = ways[i * 3 % UNTRANSLATED].kind;
            if (slots == 0 && rig.room.kind == VIRTQ_VHOST_USER_SPACE_IOMMU) {
                cr_assert_eq(rig_take_space(&rig), VIRTQ_ENOTSUP);
                continue;
            }
            cr_assert_eq(rig_take_space(&rig), 0);
            carry(&rig, 5);
            virtq_vhost_user_space_fini(rig.space);
        }
        cr_assert_eq(rig.other.device.refused, 0u);
        rig_close(&rig);
    }
}

Test(host_frontend_space, a_back_end_with_slots_has_several_at_a_time)
{
    struct virtq_vhost_user_space *first;
    void *memory;
    struct rig rig;

    rig_open(&rig, RIG_VERSION_1, UINT64_MAX);
    cr_assert_eq(rig_take_space(&rig), 0);
    first = rig.space;
    memory = rig.space_memory;
    rig.space_memory = NULL;
    rig.room.first = UINT64_C(0x200000000);
    rig.room.last = UINT64_C(0x2ffffffff);
    cr_assert_eq(rig_take_space(&rig), 0);
    carry(&rig, 5);
    virtq_vhost_user_space_fini(rig.space);
    rig.space = first;
    carry(&rig, 5);
    virtq_vhost_user_space_fini(first);
    cr_assert_eq(rig.other.device.refused, 0u);
    free(memory);
    rig_close(&rig);
}

Test(host_frontend_space, a_pool_has_room_for_all_buffers_at_once)
{
    struct rig rig;

    rig_open(&rig, RIG_VERSION_1, UINT64_MAX);
    rig.room.kind = VIRTQ_VHOST_USER_SPACE_SWIOTLB;
    rig.made.size = 16;
    cr_assert_eq(rig_take_space(&rig), 0);
    rig_make_queue(&rig);
    for (unsigned i = 0; i < 8; i++) {
        struct virtq_segment segments[2] = {{.base = rig_place(&rig, 2 * i), .len = RIG_PAGE},
                                            {.base = rig_place(&rig, 2 * i + 1), .len = RIG_PAGE}};
        struct virtq_buffer buffer = {.segments = segments, .readable = 1, .writable = 1};

        cr_assert_eq(virtq_driver_add(rig.driver, &buffer, 1), 1);
    }
    virtq_vhost_user_queue_fini(rig.queue);
    virtq_vhost_user_space_fini(rig.space);
    rig_close(&rig);
}

/* A backend that stands before the space's own, and counts. */
struct between {
    struct rig rig;
    unsigned mapped, unmapped, flushed;
};

static int map(void *context, const struct virtq_region *ranges, unsigned count)
{
    struct between *b = context;
    const struct virtq_iommu_backend *own = b->rig.space->backend;

    b->mapped += count;
    return own->map(own->context, ranges, count);
}

static int unmap(void *context, const struct virtq_region *ranges, unsigned count)
{
    struct between *b = context;
    const struct virtq_iommu_backend *own = b->rig.space->backend;

    b->unmapped += count;
    return own->unmap(own->context, ranges, count);
}

static int flush(void *context, const struct virtq_region *ranges, unsigned count)
{
    struct between *b = context;
    const struct virtq_iommu_backend *own = b->rig.space->backend;

    b->flushed += count;
    return own->flush(own->context, ranges, count);
}

Test(host_frontend_space, l4_a_strict_one_has_nothing_mapped_of_what_is_back)
{
    struct between b;
    const struct virtq_iommu_backend backend = {sizeof(backend), &b, map, unmap, flush};
    unsigned ring;

    memset(&b, 0, sizeof(b));
    rig_open(&b.rig, RIG_VERSION_1 | RIG_PLATFORM, UINT64_MAX);
    b.rig.room.kind = VIRTQ_VHOST_USER_SPACE_IOMMU;
    b.rig.room.backend = &backend;
    cr_assert_eq(rig_take_space(&b.rig), 0);
    cr_assert_eq(b.mapped, 0u);
    rig_make_queue(&b.rig);
    ring = b.mapped;
    cr_assert(ring >= 1);
    cr_assert_eq(virtq_vhost_user_queue_start(b.rig.queue), 0);
    for (unsigned i = 1; i <= 10; i++) {
        rig_add(&b.rig, i);
        cr_assert_eq(b.mapped, ring + 2 * i);
        cr_assert_eq(b.unmapped, 2 * (i - 1));
        cr_assert_eq(virtq_vhost_user_queue_publish(b.rig.queue), 1u);
        rig_expect(&b.rig);
        cr_assert_eq(b.unmapped, 2 * i);
        cr_assert_eq(b.flushed, 2 * i);
    }
    cr_assert_eq(virtq_vhost_user_queue_stop(b.rig.queue), 0);
    virtq_vhost_user_queue_fini(b.rig.queue);
    cr_assert_eq(b.unmapped, b.mapped);
    virtq_vhost_user_space_fini(b.rig.space);
    cr_assert_eq(b.rig.other.device.refused, 0u);
    rig_close(&b.rig);
}

Test(host_frontend_space, a_persistent_one_reaches_what_is_shared)
{
    struct rig rig;
    virtq_addr_t addr = 0;

    rig_open(&rig, RIG_VERSION_1 | RIG_PLATFORM, UINT64_MAX);
    rig.room.kind = VIRTQ_VHOST_USER_SPACE_IOMMU;
    rig.room.policy = VIRTQ_IOMMU_PERSISTENT;
    rig.room.granule = 8192;
    cr_assert_eq(rig_take_space(&rig), 0);
    rig_make_queue(&rig);
    cr_assert_eq(virtq_space_share(rig.space->space, rig.space->buffers, RIG_BUFFERS, 3, &addr), 0);
    cr_assert(addr % 8192 == 0 && addr >= rig.room.first && addr <= rig.room.last);
    cr_assert_eq(virtq_vhost_user_queue_start(rig.queue), 0);
    rig_traffic(&rig, 10);
    cr_assert_eq(virtq_vhost_user_queue_stop(rig.queue), 0);
    virtq_vhost_user_queue_fini(rig.queue);
    virtq_space_unshare(rig.space->space, addr, RIG_BUFFERS);
    virtq_vhost_user_space_fini(rig.space);
    rig_close(&rig);
}

Test(host_frontend_space, what_is_no_memory_of_the_back_ends_is_not_mapped)
{
    static unsigned char elsewhere[RIG_PAGE];
    virtq_addr_t addr;
    struct rig rig;

    rig_open(&rig, RIG_VERSION_1, UINT64_MAX);
    rig.room.kind = VIRTQ_VHOST_USER_SPACE_IOMMU;
    cr_assert_eq(rig_take_space(&rig), 0);
    cr_assert_eq(virtq_space_share(rig.space->space, elsewhere, sizeof(elsewhere), 3, &addr),
                 VIRTQ_EFAULT);
    virtq_vhost_user_space_fini(rig.space);
    rig_close(&rig);
}

/* Descriptors that are open. */
static unsigned descriptors(void)
{
    DIR *directory = opendir("/proc/self/fd");
    unsigned count = 0;

    cr_assert(directory != NULL);
    while (readdir(directory) != NULL) {
        count++;
    }
    cr_assert_eq(closedir(directory), 0);
    return count;
}

/* Turns one thing of a good configuration into a bad one; false: there are no more. */
static bool spoil(struct virtq_vhost_user_space_config *room, unsigned row)
{
    static const struct virtq_iommu_backend backend = {sizeof(backend), NULL, map, unmap, flush};

    switch (row) {
    case 0:
        room->struct_size--;
        return true;
    case 1:
        room->kind = 4;
        return true;
    case 2:
        room->granule = 2048;
        return true;
    case 3:
        room->granule = 12288;
        return true;
    case 4:
        room->first += 2048;
        return true;
    case 5:
        room->last = room->first - 1;
        return true;
    case 6:
        room->last = room->first + RIG_PAGE; /* Fewer addresses than memory. */
        return true;
    case 7:
        room->backend = &backend;
        return true;
    case 8:
        room->buffer_size = UINT64_MAX / 2;
        return true;
    default:
        return false;
    }
}

Test(host_frontend_space, an_illegal_one_is_not_made_and_keeps_nothing)
{
    struct virtq_vhost_user_space_config good;
    struct virtq_vhost_user_space *space;
    unsigned before;
    struct rig rig;
    size_t size;

    for (unsigned kind = 0; kind < 3; kind++) {
        rig_open(&rig, RIG_VERSION_1, UINT64_MAX);
        good = rig.room;
        good.kind = kind;
        before = descriptors();
        for (unsigned row = 0; spoil(&rig.room, row); row++) {
            rig.room = good;
            (void)spoil(&rig.room, row);
            cr_assert_eq(rig_take_space(&rig), VIRTQ_EINVAL, "kind %u, row %u", kind, row);
        }
        rig.room = good;
        cr_assert_eq(rig_take_space(&rig), 0);
        virtq_vhost_user_space_fini(rig.space);
        size = virtq_vhost_user_space_size(&rig.room);
        cr_assert_eq(virtq_vhost_user_space_init(rig.space_memory, size - 1, &rig.room, &space),
                     VIRTQ_ENOMEM);
        cr_assert_eq(virtq_vhost_user_space_init((unsigned char *)rig.space_memory + 8, size,
                                                 &rig.room, &space),
                     VIRTQ_EINVAL);
        rig.room.ring_size = 0;
        cr_assert_eq(virtq_vhost_user_space_size(&rig.room), 0u);
        cr_assert_eq(descriptors(), before);
        cr_assert_eq(rig.other.device.refused, 0u, "kind %u", kind);
        rig_close(&rig);
    }
}

Test(host_frontend_space, with_an_iotlb_there_is_the_iommu_only_and_one_domain)
{
    unsigned char tree[VIRTQ_TREE_SIZE(4)];
    struct virtq_domain domain;
    unsigned before;
    struct rig rig;

    rig_open(&rig, RIG_VERSION_1 | RIG_PLATFORM, UINT64_MAX);
    for (unsigned i = 0; i < UNTRANSLATED; i++) {
        rig.room.kind = ways[i].kind;
        cr_assert(ways[i].kind == VIRTQ_VHOST_USER_SPACE_IOMMU ||
                  rig_take_space(&rig) == VIRTQ_EINVAL);
    }
    rig.room.kind = VIRTQ_VHOST_USER_SPACE_IOMMU;
    rig.room.policy = VIRTQ_IOMMU_IDENTITY;
    cr_assert_eq(rig_take_space(&rig), VIRTQ_EINVAL);
    rig.room.policy = VIRTQ_IOMMU_STRICT;
    rig.room.mappings = 0;
    cr_assert_eq(rig_take_space(&rig), VIRTQ_EINVAL);
    rig.room.mappings = 16;
    before = descriptors();
    cr_assert_eq(virtq_domain_init(&domain, 4, tree, sizeof(tree)), 0);
    virtq_vhost_user_frontend_set_domain(rig.frontend, &domain);
    cr_assert_eq(rig_take_space(&rig), VIRTQ_EBUSY);
    cr_assert_eq(descriptors(), before);
    virtq_vhost_user_frontend_set_domain(rig.frontend, NULL);
    for (unsigned i = 0; i < 2; i++) {
        cr_assert_eq(rig_take_space(&rig), 0);
        carry(&rig, 10);
        virtq_vhost_user_space_fini(rig.space);
    }
    cr_assert_eq(rig.other.device.refused, 0u);
    rig_close(&rig);
}

Test(host_frontend_space, is_given_up_in_order_when_the_back_end_is_gone)
{
    for (unsigned i = 0; i < WAYS; i++) {
        struct rig rig;
        unsigned before = descriptors();

        rig_open(&rig, RIG_VERSION_1 | (ways[i].iotlb ? RIG_PLATFORM : 0), UINT64_MAX);
        rig.room.kind = ways[i].kind;
        rig.room.policy = ways[i].policy;
        cr_assert_eq(rig_take_space(&rig), 0);
        rig_make_queue(&rig);
        cr_assert_eq(virtq_vhost_user_queue_start(rig.queue), 0);
        rig_add(&rig, 1);
        frontend_thread_kill(&rig.other);
        virtq_vhost_user_queue_fini(rig.queue);
        virtq_vhost_user_space_fini(rig.space);
        cr_assert_eq(rig_take_space(&rig), VIRTQ_EPEER);
        rig_close(&rig);
        cr_assert_eq(descriptors(), before);
    }
}
