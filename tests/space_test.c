/* SPDX-License-Identifier: BSD-3-Clause */
/* The seam: what its own functions check, and A1: what goes through it. virtio 1.4, "Reserved
 * Feature Bits", VIRTIO_F_ACCESS_PLATFORM. */
#include "virtq/space.h"

#include <stddef.h>

#include "pair.h"

enum {
    READ = VIRTQ_PERMISSION_READ,
    WRITE = VIRTQ_PERMISSION_WRITE,
    BOTH = VIRTQ_PERMISSION_READ | VIRTQ_PERMISSION_WRITE
};

Test(core_space, sharing_nothing_or_for_nothing_is_refused_before_the_space_is_asked)
{
    struct ledger l;
    unsigned char bytes[8];
    virtq_addr_t addr = 1;

    ledger_init(&l);
    cr_assert_eq(virtq_space_share(&l.space, bytes, 0, READ, &addr), VIRTQ_EINVAL);
    cr_assert_eq(virtq_space_share(&l.space, bytes, 8, 0, &addr), VIRTQ_EINVAL);
    for (unsigned bit = 2; bit < 32; bit++) {
        cr_assert_eq(virtq_space_share(&l.space, bytes, 8, READ | (uint32_t)1 << bit, &addr),
                     VIRTQ_EINVAL);
    }
    cr_assert_eq(virtq_space_share(&l.space, NULL, 8, READ, &addr), VIRTQ_EINVAL);
    cr_assert_eq(virtq_space_share(&l.space, bytes, 8, READ, NULL), VIRTQ_EINVAL);
    cr_assert(l.shares == 0 && addr == 1);
    for (uint32_t permissions = 1; permissions < 4; permissions++) {
        cr_assert_eq(virtq_space_share(&l.space, bytes, 8, permissions, &addr), VIRTQ_OK);
        cr_assert_eq(addr, ledger_addr(bytes));
        cr_assert_eq(l.grants[0].permissions, permissions);
        virtq_space_unshare(&l.space, addr, 8);
        cr_assert_eq(l.count, 0u);
    }
    l.share_error = VIRTQ_ENOMEM;
    cr_assert_eq(virtq_space_share(&l.space, bytes, 8, READ, &addr), VIRTQ_ENOMEM);
}

Test(core_space, a_member_that_is_null_or_beyond_the_table_is_something_the_space_cannot_do)
{
    static const size_t ends[] = {
        offsetof(struct virtq_space_ops, share), offsetof(struct virtq_space_ops, unshare),
        offsetof(struct virtq_space_ops, window), sizeof(struct virtq_space_ops)};
    struct ledger l;
    unsigned char bytes[8];
    virtq_addr_t addr;
    void *base;

    for (unsigned i = 0; i < 4; i++) {
        ledger_init(&l);
        ledger_grant(&l, bytes, 8, BOTH, 0);
        l.ops.size = ends[i];
        cr_assert_eq(virtq_space_share(&l.space, bytes + 1, 1, READ, &addr),
                     i < 1 ? VIRTQ_ENOTSUP : VIRTQ_OK);
        virtq_space_unshare(&l.space, ledger_addr(bytes), 8);
        cr_assert_eq(l.unshares, i < 2 ? 0u : 1u);
        cr_assert_eq(virtq_space_translate(&l.space, ledger_addr(bytes) + 1, 1, READ, &base),
                     i < 3 ? (int64_t)VIRTQ_EFAULT : 1);
    }
    l.ops.share = NULL;
    l.ops.unshare = NULL;
    l.ops.window = NULL;
    cr_assert_eq(virtq_space_share(&l.space, bytes, 1, READ, &addr), VIRTQ_ENOTSUP);
    virtq_space_unshare(&l.space, ledger_addr(bytes), 8);
    cr_assert_eq(virtq_space_translate(&l.space, ledger_addr(bytes) + 1, 1, READ, &base),
                 VIRTQ_EFAULT);
}

Test(core_space, a_range_is_translated_as_far_as_its_window_reaches)
{
    struct ledger l;
    unsigned char bytes[16];
    void *base = NULL;

    ledger_init(&l);
    ledger_grant(&l, bytes, 16, READ, 0);
    for (uint64_t at = 0; at < 16; at++) {
        for (uint64_t len = 1; len < 40; len++) {
            const int64_t part = len < 16 - at ? (int64_t)len : (int64_t)(16 - at);

            cr_assert_eq(virtq_space_translate(&l.space, ledger_addr(bytes + at), len, READ, &base),
                         part);
            cr_assert_eq(base, (void *)(bytes + at));
        }
    }
    cr_assert_eq(virtq_space_translate(&l.space, ledger_addr(bytes), INT64_MAX, READ, &base), 16);
    cr_assert_eq(virtq_space_translate(&l.space, ledger_addr(bytes), 1, WRITE, &base), VIRTQ_EPERM);
    cr_assert_eq(virtq_space_translate(&l.space, ledger_addr(bytes) + 16, 1, READ, &base),
                 VIRTQ_EFAULT);
    l.hidden = ledger_addr(bytes);
    cr_assert_eq(virtq_space_translate(&l.space, l.hidden, 1, READ, &base), VIRTQ_EMISS);
}

Test(core_space, there_is_no_translation_without_a_length_and_one_permission)
{
    struct ledger l;
    unsigned char bytes[16];
    void *base = NULL;

    ledger_init(&l);
    ledger_grant(&l, bytes, 16, BOTH, 0);
    cr_assert_eq(virtq_space_translate(&l.space, ledger_addr(bytes), 0, READ, &base), VIRTQ_EINVAL);
    cr_assert_eq(
        virtq_space_translate(&l.space, ledger_addr(bytes), (uint64_t)1 << 63, READ, &base),
        VIRTQ_EINVAL);
    cr_assert_eq(virtq_space_translate(&l.space, ledger_addr(bytes), 1, READ, NULL), VIRTQ_EINVAL);
    for (uint32_t permission = 0; permission < 10; permission++) {
        cr_assert_eq(virtq_space_translate(&l.space, ledger_addr(bytes), 1, permission, &base),
                     permission == READ || permission == WRITE ? 1 : (int64_t)VIRTQ_EINVAL);
    }
}

static int lies(struct virtq_space *space, virtq_addr_t addr, uint32_t permission,
                struct virtq_window *window)
{
    (void)space;
    (void)permission;
    window->first = addr + 1;
    window->last = addr + 9;
    window->base = NULL;
    window->permissions = BOTH;
    return VIRTQ_OK;
}

Test(core_space, a_window_that_does_not_hold_the_address_is_not_believed)
{
    struct ledger l;
    void *base = NULL;

    ledger_init(&l);
    l.ops.window = lies;
    cr_assert_eq(virtq_space_translate(&l.space, 4096, 1, READ, &base), VIRTQ_EFAULT);
    cr_assert_eq(virtq_space_translate(&l.space, UINT64_MAX, 1, READ, &base), VIRTQ_EFAULT);
    cr_assert_null(base);
}

Test(core_space, l6_a_range_ends_with_the_last_address_there_is)
{
    static unsigned char bytes[256];
    struct virtq_direct direct;
    void *base = NULL;

    cr_assert_eq(virtq_direct_init(&direct, bytes, UINT64_MAX - 255, UINT64_MAX, BOTH), VIRTQ_OK);
    cr_assert_eq(virtq_space_translate(&direct.space, UINT64_MAX, 1, READ, &base), 1);
    cr_assert_eq(base, (void *)(bytes + 255));
    cr_assert_eq(virtq_space_translate(&direct.space, UINT64_MAX, 2, READ, &base), 1);
    cr_assert_eq(virtq_space_translate(&direct.space, UINT64_MAX - 255, 4096, READ, &base), 256);
    cr_assert_eq(virtq_space_translate(&direct.space, UINT64_MAX - 256, 1, READ, &base),
                 VIRTQ_EFAULT);
}

Test(core_space, a_record_has_room_for_every_segment_and_is_a_multiple_of_8)
{
    struct ledger l;

    ledger_init(&l);
    for (uint32_t fixed = 0; fixed < 20; fixed++) {
        for (uint32_t each = 0; each < 20; each++) {
            for (uint16_t segments = 1; segments < 300; segments += 13) {
                size_t size;

                l.space.record_fixed = fixed;
                l.space.record_per_segment = each;
                size = virtq_space_record_size(&l.space, segments);
                cr_assert(size % 8 == 0 && size >= fixed + each * segments &&
                          size < fixed + each * segments + 8);
            }
        }
    }
}

/* ---- A1 ---- */

static uint64_t read_le(const unsigned char *at, unsigned bytes)
{
    uint64_t value = 0;

    while (bytes-- > 0) {
        value = value << 8 | at[bytes];
    }
    return value;
}

/* What the ring says of a buffer of two readable segments and a writable one, the first of all. */
static void ring_says(struct pair *p, bool tables, uint64_t more)
{
    const unsigned char *entry = p->driver_config.areas.descriptor;

    if (tables) {
        cr_assert_eq(read_le(entry + 8, 4), 48u);
        cr_assert_eq(read_le(entry, 8), (uintptr_t)p->driver_config.tables + more);
        entry = p->driver_config.tables;
    }
    for (unsigned i = 0; i < 3; i++) {
        cr_assert_eq(read_le(entry + (size_t)16 * i, 8),
                     (uintptr_t)pair_payload(p, 1) + (size_t)i * PAIR_SEGMENT + more);
        cr_assert_eq(read_le(entry + (size_t)16 * i + 8, 4), (uint64_t)PAIR_SEGMENT);
    }
}

PairTest(core_space, a1_off_addresses_are_those_of_memory_and_on_all_go_through_the_space)
{
    for (unsigned i = 0; i < 4; i++) {
        const bool tables = i % 2 != 0;
        const uint64_t more = i < 2 ? 0 : LEDGER_FAR;
        const unsigned options = (i < 2 ? PAIR_DIRECT : PAIR_LEDGER | PAIR_TRANSLATED) |
                                 (tables ? (unsigned)PAIR_TABLES : 0);
        const struct virtq_areas *areas = &p->driver_config.areas;
        struct virtq_area_addresses at;

        pair_open(p, 8, i < 2 ? 0 : VIRTQ_FEATURE(VIRTIO_F_ACCESS_PLATFORM), options);
        virtq_driver_addresses(p->driver, &at);
        cr_assert_eq(at.descriptor, (uintptr_t)areas->descriptor + more);
        cr_assert_eq(at.driver, (uintptr_t)areas->driver + more);
        cr_assert_eq(at.device, (uintptr_t)areas->device + more);
        cr_assert_eq(pair_add(p, 2, 1, 1), 1);
        (void)virtq_driver_publish(p->driver);
        ring_says(p, tables, more);
        cr_assert_eq(p->ledger.maps, i < 2 ? 0u : 1u); /* L1: one call for the whole buffer. */
        pair_serve(p, 1);
        cr_assert_eq(p->pieces[2].base, (void *)(pair_payload(p, 1) + (size_t)2 * PAIR_SEGMENT));
        pair_receive(p, 1, 1);
        pair_close(p);
    }
}

PairTest(core_space, a1_the_feature_bit_alone_changes_no_byte)
{
    static unsigned char before[4096];

    for (unsigned i = 0; i < 2; i++) {
        pair_open(p, 8, i == 0 ? 0 : VIRTQ_FEATURE(VIRTIO_F_ACCESS_PLATFORM), PAIR_DIRECT);
        cr_assert_eq(pair_add(p, 2, 1, 1), 1);
        (void)virtq_driver_publish(p->driver);
        /* The space decides; two blocks lie apart, so addresses are compared elsewhere. */
        ring_says(p, false, 0);
        for (size_t n = 0; n < 8; n++) {
            memset((unsigned char *)p->driver_config.areas.descriptor + 16 * n, 0, 8);
        }
        cr_assert(i == 0 || memcmp(before, p->block, (size_t)p->layout.size) == 0);
        memcpy(before, p->block, (size_t)p->layout.size);
        pair_close(p);
    }
}

/* What the ledger knows of an area; nothing at all, if it was not shared. */
static struct ledger_grant granted(const struct pair *p, const void *area)
{
    const struct ledger_grant none = {0};
    const struct ledger_grant *grant = ledger_find(&p->ledger, ledger_addr(area));

    return grant != NULL ? *grant : none;
}

PairTest(core_space, a1_l2_each_area_is_shared_at_its_length_with_no_more_than_it_needs)
{
    const bool packed = p->format == VIRTQ_FORMAT_PACKED;
    struct ledger_grant grant;

    pair_open(p, 8, 0, PAIR_LEDGER | PAIR_TABLES);
    cr_assert_eq(p->ledger.shares, 4u);
    grant = granted(p, p->driver_config.areas.descriptor);
    cr_assert(grant.len == 128 && grant.permissions == (packed ? BOTH : READ));
    grant = granted(p, p->driver_config.areas.driver);
    cr_assert(grant.len == (packed ? 4u : 6u + 2 * 8) && grant.permissions == READ);
    grant = granted(p, p->driver_config.areas.device);
    cr_assert(grant.len == (packed ? 4u : 6u + 8 * 8) && (grant.permissions & WRITE) != 0);
    grant = granted(p, p->driver_config.tables);
    cr_assert(grant.len == virtq_driver_tables_size(&p->driver_config));
    cr_assert_eq(grant.permissions, (uint32_t)READ);
}

PairTest(core_space, a1_a_device_finds_no_ring_that_the_space_does_not_grant)
{
    static const int errors[] = {VIRTQ_EMISS, VIRTQ_EFAULT, VIRTQ_EPERM, VIRTQ_EFAULT};

    for (unsigned area = 0; area < 3; area++) {
        for (unsigned i = 0; i < 4; i++) {
            struct virtq_miss miss = {0, 0, 0, 0};
            struct virtq_area_addresses *at = &p->device_config.addresses;
            virtq_addr_t *addr = area == 0   ? &at->descriptor
                                 : area == 1 ? &at->driver
                                             : &at->device;
            struct ledger_grant *grant;

            pair_prepare(p, 8, 0, PAIR_LEDGER | PAIR_TRANSLATED);
            pair_start_driver(p);
            grant = (struct ledger_grant *)(uintptr_t)ledger_find(&p->ledger, *addr);
            p->ledger.hidden = i == 0 ? *addr : 0;
            *addr = i == 1 ? (uintptr_t)p->block : *addr;
            grant->permissions = i == 2 ? (area == 2 ? READ : WRITE) : grant->permissions;
            grant->len -= i == 3 ? 1 : 0; /* The last byte counts. */
            cr_assert_eq(virtq_device_init(p->device_memory, p->device_size, &p->device_config,
                                           &p->device, &miss),
                         errors[i], "area %u, case %u", area, i);
            grant->len += i == 3 ? 1 : 0;
            cr_assert_null(p->device);
            if (i == 0) { /* Exactly what is to be resolved; then init goes on. */
                cr_assert_eq(miss.addr, *addr);
                cr_assert_eq(miss.len, grant->len);
                cr_assert((miss.permissions & (area == 2 ? WRITE : READ)) != 0);
                p->ledger.hidden = 0;
                pair_start_device(p);
                pair_exchange(p, 8, 1);
            }
            pair_close(p);
        }
    }
}
