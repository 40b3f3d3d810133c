/* SPDX-License-Identifier: BSD-3-Clause */
/* Mistakes of the caller: wrong arguments are answered with an error and change nothing. Setting E
 * of the threat model. */
#include "device.h"
#include "driver.h"

#define PACKED_BIT VIRTQ_FEATURE(VIRTIO_F_RING_PACKED)

/* ---- Configurations ---- */

static void legal(struct virtq_driver_config *config, struct rogue *r, bool packed)
{
    rogue_open(r, packed, 4, 0, 0);
    *config = r->config;
    virtq_driver_destroy(r->driver);
}

static void refused(struct rogue *r, const struct virtq_driver_config *config, bool size_too)
{
    struct virtq_driver *driver = NULL;

    cr_assert_eq(virtq_driver_init(r->memory.view, r->memory.size, config, &driver), VIRTQ_EINVAL);
    cr_assert_null(driver);
    if (size_too) {
        cr_assert_eq(virtq_driver_size(config), 0u);
        cr_assert_eq(virtq_driver_tables_size(config), 0u);
    }
    cr_assert(r->ledger.shared == 0 && r->ledger.faults == 0);
}

Rogue(hostile_caller, a_driver_configuration_that_is_illegal_is_refused_and_nothing_is_shared)
{
    static const uint32_t split_sizes[] = {0, 3, 5, 6, 100, 32767, 32769, 65536, 0x80000000};

    for (unsigned packed = 0; packed < 2; packed++) {
        struct virtq_driver_config good;
        struct virtq_driver_config bad;

        legal(&good, r, packed != 0);
        for (unsigned i = 0; i < 9; i++) {
            uint32_t size = split_sizes[i];

            bad = good;
            bad.size = size;
            if (packed == 0 || size == 0 || size > 32768) {
                refused(r, &bad, true);
            }
        }
        bad = good;
        bad.format = 2;
        refused(r, &bad, true);
        bad = good;
        bad.features ^= PACKED_BIT;
        refused(r, &bad, true);
        bad = good;
        bad.flags = 4;
        refused(r, &bad, true);
        bad = good;
        bad.flags = VIRTQ_DRIVER_BIG_ENDIAN; /* With VIRTIO_F_VERSION_1, or packed. */
        refused(r, &bad, true);
        bad = good;
        bad.space = NULL;
        refused(r, &bad, true);
        bad = good;
        bad.struct_size = sizeof(size_t) - 1;
        refused(r, &bad, true);
        r->driver = NULL;
    }
    cr_assert_eq(virtq_driver_size(NULL), 0u);
    cr_assert_eq(virtq_driver_tables_size(NULL), 0u);
}

Rogue(hostile_caller, driver_areas_that_are_missing_or_misaligned_are_refused)
{
    for (unsigned packed = 0; packed < 2; packed++) {
        static const unsigned aligns[2][3] = {{16, 2, 4}, {16, 4, 4}};
        struct virtq_driver_config good;

        legal(&good, r, packed != 0);
        for (unsigned i = 0; i < 4; i++) {
            struct virtq_driver_config bad = good;
            void **areas[4] = {&bad.areas.descriptor, &bad.areas.driver, &bad.areas.device,
                               &bad.tables};

            for (unsigned off = 1; off < (i < 3 ? aligns[packed][i] : 16); off++) {
                *areas[i] = (unsigned char *)r->data.view + off;
                refused(r, &bad, false);
            }
            if (i < 3) {
                *areas[i] = NULL;
                refused(r, &bad, false);
            }
        }
        r->driver = NULL;
    }
}

Rogue(hostile_caller, driver_memory_that_is_missing_misaligned_or_short_is_refused)
{
    for (unsigned packed = 0; packed < 2; packed++) {
        struct virtq_driver *driver = NULL;
        struct virtq_driver_config config;
        size_t need;

        legal(&config, r, packed != 0);
        need = virtq_driver_size(&config);
        cr_assert_eq(virtq_driver_init(NULL, need, &config, &driver), VIRTQ_EINVAL);
        cr_assert_eq(virtq_driver_init(r->memory.view, need, &config, NULL), VIRTQ_EINVAL);
        cr_assert_eq(virtq_driver_init(r->memory.view, need, NULL, &driver), VIRTQ_EINVAL);
        for (unsigned off = 1; off < 64; off++) {
            cr_assert_eq(virtq_driver_init(r->memory.view + off, need, &config, &driver),
                         VIRTQ_EINVAL);
        }
        for (size_t size = 0; size < need; size++) {
            cr_assert_eq(virtq_driver_init(r->memory.view, size, &config, &driver), VIRTQ_ENOMEM);
        }
        cr_assert(driver == NULL && r->ledger.shared == 0);
        r->driver = NULL;
    }
}

Hostile(hostile_caller, a_device_configuration_that_is_illegal_is_refused)
{
    for (unsigned packed = 0; packed < 2; packed++) {
        struct virtq_device *device = NULL;
        struct virtq_device_config bad[12];
        struct virtq_space empty = h->direct.space;
        struct virtq_space_ops ops = {0};
        size_t need;
        unsigned n = 0;

        h->config.space = NULL;
        hostile_open(h, packed != 0, 4, BASIC);
        need = virtq_device_size(&h->config);
        for (unsigned i = 0; i < 12; i++) {
            bad[i] = h->config;
        }
        bad[n++].size = 0;
        bad[n++].size = 32769;
        bad[n++].size = 0x10000;
        bad[n++].format = 2;
        bad[n++].features ^= PACKED_BIT;
        bad[n++].flags = 4;
        bad[n++].flags = VIRTQ_DEVICE_BIG_ENDIAN;
        bad[n++].space = NULL;
        bad[n++].struct_size = 3;
        empty.ops = NULL;
        bad[n++].space = &empty;
        for (unsigned i = 0; i < n; i++) {
            cr_assert_eq(virtq_device_size(&bad[i]), 0u);
            cr_assert_eq(virtq_device_init(h->memory.view, need, &bad[i], &device, NULL),
                         VIRTQ_EINVAL);
        }
        empty.ops = &ops; /* It cannot give windows. */
        cr_assert_eq(virtq_device_init(h->memory.view, need, &bad[n - 1], &device, NULL),
                     VIRTQ_EINVAL);
        cr_assert_eq(virtq_device_size(NULL), 0u);
        cr_assert_null(device);
        h->config.space = NULL;
    }
}

Hostile(hostile_caller, device_memory_and_areas_that_do_not_fit_are_refused)
{
    for (unsigned packed = 0; packed < 2; packed++) {
        static const unsigned aligns[2][3] = {{16, 2, 4}, {16, 4, 4}};
        struct virtq_device *device = NULL;
        size_t need;

        h->config.space = NULL;
        hostile_open(h, packed != 0, 4, BASIC);
        need = virtq_device_size(&h->config);
        cr_assert_eq(virtq_device_init(NULL, need, &h->config, &device, NULL), VIRTQ_EINVAL);
        cr_assert_eq(virtq_device_init(h->memory.view, need, NULL, &device, NULL), VIRTQ_EINVAL);
        cr_assert_eq(virtq_device_init(h->memory.view, need, &h->config, NULL, NULL), VIRTQ_EINVAL);
        cr_assert_eq(virtq_device_init(h->memory.view + 8, need, &h->config, &device, NULL),
                     VIRTQ_EINVAL);
        for (size_t size = 0; size < need; size++) {
            cr_assert_eq(virtq_device_init(h->memory.view, size, &h->config, &device, NULL),
                         VIRTQ_ENOMEM);
        }
        for (unsigned i = 0; i < 3; i++) {
            struct virtq_device_config bad = h->config;
            void **areas[3] = {&bad.areas.descriptor, &bad.areas.driver, &bad.areas.device};

            for (unsigned off = 0; off < aligns[packed][i]; off++) {
                *areas[i] = off == 0 ? NULL : h->guest.view + off;
                cr_assert_eq(virtq_device_init(h->memory.view, need, &bad, &device, NULL),
                             VIRTQ_EINVAL);
            }
        }
        cr_assert_null(device);
    }
}

/* ---- Calls ---- */

static void expect_refused(struct rogue *r, const struct virtq_buffer *buffer, int error)
{
    struct virtq_counters before;
    struct virtq_counters after;
    uint32_t room = virtq_driver_room(r->driver);
    uint32_t out = virtq_driver_outstanding(r->driver);

    virtq_driver_counters(r->driver, &before);
    cr_assert_eq(virtq_driver_add(r->driver, buffer, 1), error);
    virtq_driver_counters(r->driver, &after);
    cr_assert_eq(after.error_caller, before.error_caller + 1);
    cr_assert_eq(after.added, before.added);
    cr_assert(virtq_driver_room(r->driver) == room && virtq_driver_outstanding(r->driver) == out);
    cr_assert_eq(virtq_driver_publish(r->driver), 0u);
    cr_assert_eq(r->ledger.count, out);
}

static void wrong_buffers(struct rogue *r, uint64_t features)
{
    struct virtq_segment segments[SEGMENTS + 1];
    struct virtq_buffer buffer = {segments, NULL, 1, 1, 0};

    for (unsigned i = 0; i <= SEGMENTS; i++) {
        segments[i].base = r->data.view;
        segments[i].len = 8;
    }
    (void)features;
    for (unsigned i = 0; i < 2; i++) {
        segments[i].len = 0;
        expect_refused(r, &buffer, VIRTQ_EINVAL);
        segments[i].len = 8;
    }
    buffer.flags = 4;
    expect_refused(r, &buffer, VIRTQ_EINVAL);
    buffer.flags = 0;
    buffer.readable = buffer.writable = 0;
    expect_refused(r, &buffer, VIRTQ_EINVAL);
    buffer.readable = SEGMENTS + 1;
    expect_refused(r, &buffer, VIRTQ_ETOOBIG);
    buffer.readable = 0xffff;
    buffer.writable = 0xffff;
    expect_refused(r, &buffer, VIRTQ_ETOOBIG);
    buffer.readable = 0xffff;
    buffer.writable = 1; /* 65536 of them: nothing may wrap. */
    expect_refused(r, &buffer, VIRTQ_ETOOBIG);
    buffer.readable = 1;
    buffer.writable = 1;
    segments[0].len = UINT32_MAX;
    segments[1].len = 2;
    expect_refused(r, &buffer, VIRTQ_ETOOBIG);
}

Rogue(hostile_caller, buffers_that_make_no_sense_are_refused_and_leave_no_trace)
{
    for (unsigned variant = 0; variant < 4; variant++) {
        uint64_t features = (variant & 2) != 0 ? VIRTQ_FEATURE(VIRTIO_F_INDIRECT_DESC) : 0;

        rogue_open(r, (variant & 1) != 0, 8, features, 0);
        rogue_use(r, rogue_send(r, 1, 0), 0, 1);
        expect_back(r, 1, 0);
        wrong_buffers(r, features);
        for (unsigned k = 0; k < 20; k++) { /* And the queue is as good as before. */
            rogue_use(r, rogue_send(r, 1, 1), 5, features != 0 ? 1 : 2);
            expect_back(r, k + 2, 5);
        }
    }
}

Rogue(hostile_caller, row_55_a_buffer_without_room_waits_and_one_that_never_fits_does_not)
{
    for (unsigned packed = 0; packed < 2; packed++) {
        rogue_open(r, packed != 0, 4, 0, 0);
        (void)rogue_send(r, 1, 0);
        cr_assert_eq(rogue_add(r, 2, 2), VIRTQ_EFULL);
        cr_assert_eq(rogue_add(r, 2, 1), 1);
        cr_assert_eq(rogue_add(r, 1, 0), VIRTQ_EFULL);
        cr_assert_eq(virtq_driver_room(r->driver), 0u);
        rogue_open(r, packed != 0, 2, 0, 0);
        cr_assert_eq(rogue_add(r, 2, 1), VIRTQ_ETOOBIG);
    }
}

static void wrong_pushes(struct hostile *h)
{
    const struct virtq_used_buffer bad[] = {{8, 0}, {0xffff, 0}, {0x10001, 0},   {UINT32_MAX, 0},
                                            {2, 0}, {1, 5},      {1, UINT32_MAX}};
    struct virtq_used_buffer good = {1, 4};
    struct virtq_used_buffer batch[3] = {{1, 4}, {1, 4}, {1, 4}};
    struct virtq_chain chains[2];

    if (h->packed) {
        packed_desc(h, GUEST, 4, 1, WRITE);
    } else {
        split_desc(h, 1, GUEST, 4, WRITE, 0);
        split_offer(h, 1);
    }
    cr_assert_eq(virtq_device_push(h->device, &good, 1), VIRTQ_EINVAL, "not popped yet");
    cr_assert_eq(hostile_pop(h), 1);
    chains[0] = h->chain;
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cr_assert_eq(virtq_device_push(h->device, &bad[i], 1), VIRTQ_EINVAL);
        cr_assert_eq(virtq_device_outstanding(h->device), 1u);
        cr_assert_eq(virtq_device_publish(h->device), 0);
    }
    chains[1] = chains[0];
    cr_assert_eq(virtq_device_unpop(h->device, chains, 0), VIRTQ_EINVAL);
    cr_assert_eq(virtq_device_unpop(h->device, chains, 2), VIRTQ_EINVAL);
    chains[1].id = 2;
    cr_assert_eq(virtq_device_unpop(h->device, chains + 1, 1), VIRTQ_EINVAL);
    chains[1].id = 8;
    cr_assert_eq(virtq_device_unpop(h->device, chains + 1, 1), VIRTQ_EINVAL);
    cr_assert_eq(virtq_device_push(h->device, batch, 3), 1, "the second is its own repetition");
    cr_assert_eq(virtq_device_unpop(h->device, chains, 1), VIRTQ_EINVAL);
    cr_assert_eq(virtq_device_publish(h->device), 1);
    cr_assert_eq(virtq_device_push(h->device, &good, 1), VIRTQ_EINVAL);
}

Hostile(hostile_caller, a_push_or_unpop_of_what_is_not_in_flight_changes_nothing)
{
    both_formats(h, BASIC, wrong_pushes);
    both_formats(h, BASIC | VIRTQ_FEATURE(VIRTIO_F_IN_ORDER), wrong_pushes);
}

Rogue(hostile_caller, reset_and_resize_and_restore_wait_until_nothing_is_out)
{
    for (unsigned packed = 0; packed < 2; packed++) {
        struct virtq_driver_config config;
        struct virtq_state state = {9, 9, 9, 9, 9};
        void *cookie;

        rogue_open(r, packed != 0, 4, 0, 0);
        cr_assert_eq(rogue_add(r, 1, 0), 1); /* Not even published. */
        config = r->config;
        cr_assert_eq(virtq_driver_reset(r->driver), VIRTQ_EBUSY);
        cr_assert_eq(virtq_driver_resize(r->driver, &config), VIRTQ_EBUSY);
        cr_assert_eq(virtq_driver_save(r->driver, &state), VIRTQ_EBUSY);
        cr_assert_eq(state.format, 9u);
        state = (struct virtq_state){(uint32_t)packed, 4, 0x8000, 0x8000, 0};
        cr_assert_eq(virtq_driver_restore(r->driver, &state), VIRTQ_EBUSY);
        cr_assert_eq(virtq_driver_publish(r->driver), 1u);
        cr_assert_eq(virtq_driver_detach(r->driver, &cookie), 1);
        cr_assert_eq(rogue_add(r, 1, 0), VIRTQ_EFULL, "not before a reset");
        block_protect(&r->ring[2], true);
        cr_assert_eq(virtq_driver_reset(r->driver), 0);
        config.size = packed != 0 ? 0 : 3;
        cr_assert_eq(virtq_driver_resize(r->driver, &config), VIRTQ_EINVAL);
        config = r->config;
        config.size = 32768;
        cr_assert_eq(virtq_driver_resize(r->driver, &config), VIRTQ_ENOMEM);
        rogue_use(r, rogue_send(r, 0, 1), 3, 1);
        expect_back(r, r->sent, 3);
    }
}
