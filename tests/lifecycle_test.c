/* SPDX-License-Identifier: BSD-3-Clause */
/* Reset of a queue, resize, and suspend's drain: R1, R2, U1. virtio 1.4, "Virtqueue Reset",
 * "Virtqueue Re-enable", "Device Suspend". */
#include "pair.h"

/* From now on any access to ring, tables or payload traps. */
static void forbid(struct pair *p)
{
    cr_assert_eq(mprotect(p->block, p->block_size, PROT_NONE), 0);
}

static void allow(struct pair *p)
{
    cr_assert_eq(mprotect(p->block, p->block_size, PROT_READ | PROT_WRITE), 0);
}

/* Takes everything back; each cookie of `first` .. `first + count - 1` comes once. */
static void detach_all(struct pair *p, uintptr_t first, unsigned count)
{
    uint64_t seen = 0;
    void *cookie = NULL;

    for (unsigned i = 0; i < count; i++) {
        cr_assert_eq(virtq_driver_detach(p->driver, &cookie), 1);
        cr_assert((uintptr_t)cookie >= first && (uintptr_t)cookie < first + count);
        cr_assert_eq(seen >> ((uintptr_t)cookie - first) & 1, 0u);
        seen |= (uint64_t)1 << ((uintptr_t)cookie - first);
    }
    cookie = &seen;
    cr_assert_eq(virtq_driver_detach(p->driver, &cookie), 0);
    cr_assert_eq(cookie, (void *)&seen);
}

static const unsigned spaces[] = {PAIR_DIRECT, PAIR_DIRECT | PAIR_TABLES, PAIR_LEDGER,
                                  PAIR_LEDGER | PAIR_TABLES | PAIR_TRANSLATED};

PairTest(core_lifecycle, r1_after_a_reset_the_device_neither_touches_the_ring_nor_notifies)
{
    for (unsigned i = 0; i < 8; i++) {
        struct virtq_state state;

        pair_open(p, 8,
                  i < 4 ? VIRTQ_FEATURE(VIRTIO_F_EVENT_IDX) : VIRTQ_FEATURE(VIRTIO_F_IN_ORDER),
                  spaces[i % 4]);
        pair_exchange(p, 3, 1);
        pair_send(p, 4, 10);
        cr_assert_eq(pair_pop(p, 3), 3);
        cr_assert_eq(pair_push(p, 0, 1), 1);
        cr_assert_eq(virtq_device_publish(p->device), 1);
        cr_assert_eq(pair_push(p, 1, 1), 1); /* Never to be shown. */
        forbid(p);
        virtq_device_reset(p->device);
        cr_assert_eq(virtq_device_outstanding(p->device), 0u);
        /* What the back-end finishes late goes nowhere. */
        cr_assert_eq(pair_push(p, 2, 1), VIRTQ_EINVAL);
        cr_assert_eq(pair_push(p, 1, 1), VIRTQ_EINVAL);
        cr_assert_eq(virtq_device_unpop(p->device, p->chains + 2, 1), VIRTQ_EINVAL);
        cr_assert_eq(virtq_device_publish(p->device), 0);
        /* Until the driver enables it again. */
        cr_assert_eq(virtq_device_quiesce(p->device), 0u);
        cr_assert_eq(pair_pop(p, 4), 0);
        cr_assert(!virtq_device_enable_notify(p->device));
        cr_assert_eq(virtq_device_save(p->device, &state), VIRTQ_OK);
        cr_assert_eq(state.available, p->format == VIRTQ_FORMAT_SPLIT ? 0u : 0x8000u);
        cr_assert_eq(state.used, state.available);
        allow(p);
        cr_assert_eq(virtq_device_needs_notify(p->device), 0);
        pair_close(p);
    }
}

PairTest(core_lifecycle, r1_every_cookie_comes_back_and_the_queue_can_be_enabled_again)
{
    for (unsigned i = 0; i < 8; i++) {
        pair_open(p, 16, i < 4 ? 0 : VIRTQ_FEATURE(VIRTIO_F_IN_ORDER), spaces[i % 4]);
        for (unsigned round = 0; round < 5; round++) {
            pair_exchange(p, round, 50);
            for (unsigned n = 0; n < 7; n++) {
                cr_assert_eq(pair_add(p, n % 2, 1, n + 1), 1);
                if (n == 4) {
                    (void)virtq_driver_publish(p->driver); /* The last two are not shown. */
                }
            }
            /* One is used and polled, one used and not polled, one popped only. */
            cr_assert_eq(pair_pop(p, 3), 3);
            cr_assert_eq(pair_push(p, 0, 0), 1);
            cr_assert_eq(virtq_device_publish(p->device), 1);
            pair_receive(p, 1, 1);
            cr_assert_eq(pair_push(p, 1, 0), 1);
            cr_assert_eq(virtq_device_publish(p->device), 1);
            forbid(p); /* The device's reset is done: the ring is not looked at. */
            cr_assert_eq(virtq_driver_reset(p->driver), VIRTQ_EBUSY);
            detach_all(p, 2, 6);
            cr_assert_eq(p->ledger.maps, p->ledger.unmaps);
            cr_assert_eq(virtq_driver_outstanding(p->driver), 0u);
            cr_assert_eq(pair_add(p, 0, 0, 1), VIRTQ_EINVAL);
            cr_assert_eq(virtq_driver_room(p->driver), 0u); /* Nothing before the reset. */
            cr_assert_eq(virtq_driver_publish(p->driver), 0u);
            allow(p);
            cr_assert_eq(pair_add(p, 0, 1, 1), VIRTQ_EFULL);
            cr_assert_eq(virtq_driver_reset(p->driver), VIRTQ_OK);
            virtq_device_reset(p->device);
            cr_assert_eq(virtq_driver_room(p->driver), 16u);
            for (unsigned n = 0; n < 40; n++) {
                pair_exchange(p, 1 + n % 8, 1);
            }
            pair_idle(p);
        }
        pair_close(p);
    }
}

PairTest(core_lifecycle, r1_what_is_detached_is_unmapped_with_nothing_copied_back)
{
    void *cookie;

    pair_open(p, 8, 0, PAIR_LEDGER);
    pair_send(p, 5, 1);
    cr_assert_eq(virtq_driver_detach(p->driver, &cookie), 1);
    cr_assert_eq(virtq_driver_reset(p->driver), VIRTQ_EBUSY);
    cr_assert_eq(p->ledger.unmaps, 1u);
    for (unsigned i = 0; i < 4; i++) {
        cr_assert_eq(virtq_driver_detach(p->driver, &cookie), 1);
    }
    cr_assert_eq(p->ledger.unmaps, 5u);
    cr_assert_eq(p->ledger.written, 0u); /* Nothing is copied back. */
    cr_assert_eq(virtq_driver_reset(p->driver), VIRTQ_OK);
}

PairTest(core_lifecycle, r1_a_reset_clears_suppression_and_a_fault)
{
    struct virtq_fault fault;

    for (unsigned event = 0; event < 2; event++) {
        pair_open(p, 8, event != 0 ? VIRTQ_FEATURE(VIRTIO_F_EVENT_IDX) : 0, PAIR_DIRECT);
        virtq_driver_disable_notify(p->driver);
        virtq_device_disable_notify(p->device);
        pair_send(p, 1, 1);
        pair_break_driver(p);
        cr_assert_eq(pair_poll(p, 1), VIRTQ_EBROKEN);
        cr_assert_eq(virtq_driver_reset(p->driver), VIRTQ_EBUSY);
        detach_all(p, 1, 1);
        cr_assert_eq(virtq_driver_reset(p->driver), VIRTQ_OK);
        for (size_t i = 0; i < (size_t)p->layout.size; i++) {
            cr_assert_eq(p->block[i], 0u);
        }
        virtq_device_reset(p->device);
        virtq_driver_fault(p->driver, &fault);
        cr_assert_eq(fault.reason, (uint32_t)VIRTQ_REASON_NONE);
        pair_send(p, 1, 1);
        cr_assert(virtq_driver_needs_notify(p->driver, NULL));
        pair_serve(p, 1);
        cr_assert_eq(virtq_device_needs_notify(p->device), 1);
        /* Silence is told anew, though it had been told before the reset. */
        virtq_driver_disable_notify(p->driver);
        virtq_device_disable_notify(p->device);
        pair_receive(p, 1, 1);
        pair_exchange(p, 1, 1);
        cr_assert(!virtq_driver_needs_notify(p->driver, NULL));
        cr_assert_eq(virtq_device_needs_notify(p->device), 0);
        pair_close(p);
    }
}

PairTest(core_lifecycle, r1_a_destroyed_driver_gives_all_back_and_does_not_look_at_the_ring)
{
    for (unsigned i = 0; i < 4; i++) {
        pair_open(p, 8, 0, spaces[i]);
        pair_send(p, 5, 1);
        cr_assert_eq(pair_add(p, 1, 1, 6), 1);
        forbid(p);
        virtq_driver_destroy(p->driver);
        p->driver = NULL;
        allow(p);
        cr_assert_eq(p->ledger.maps, p->ledger.unmaps);
        cr_assert_eq(p->ledger.shares, p->ledger.unshares);
        pair_close(p);
    }
}

/* ---- R2 ---- */

/* Another ring in the second half of the ring's pages, which are enough for two. */
static void elsewhere(const struct pair *p, uint32_t size, struct virtq_driver_config *driver,
                      struct virtq_device_config *device)
{
    struct virtq_layout layout;

    cr_assert_eq(virtq_layout_init((enum virtq_format)p->format, size, &layout), VIRTQ_OK);
    *driver = p->driver_config;
    *device = p->device_config;
    cr_assert(layout.size <= p->ring_size / 2);
    virtq_layout_areas(&layout, p->block + p->ring_size / 2, &driver->areas);
    driver->size = size;
    device->size = size;
    device->areas = driver->areas;
    device->addresses.descriptor = ledger_addr(driver->areas.descriptor);
    device->addresses.driver = ledger_addr(driver->areas.driver);
    device->addresses.device = ledger_addr(driver->areas.device);
}

PairTest(core_lifecycle, r2_a_queue_goes_on_with_another_size_and_other_memory)
{
    static const uint32_t sizes[] = {4, 16, 1, 16, 2, 5, 16, 7};

    for (unsigned i = 0; i < 4; i++) {
        struct virtq_driver_config driver;
        struct virtq_device_config device;
        struct virtq_counters counters;
        struct virtq_area_addresses at;

        pair_open(p, 16, 0, spaces[i]);
        for (unsigned n = 0; n < (p->format == VIRTQ_FORMAT_SPLIT ? 5u : 8u); n++) {
            pair_exchange(p, 1, 1);
            elsewhere(p, sizes[n], &driver, &device);
            if (n % 2 != 0) { /* And back. */
                driver.areas = p->driver_config.areas;
                device = p->device_config;
                device.size = sizes[n];
            }
            memset(driver.areas.descriptor, 0xee, (size_t)16 * sizes[n]);
            cr_assert_eq(virtq_driver_resize(p->driver, &driver), VIRTQ_OK);
            cr_assert_eq(virtq_device_resize(p->device, &device), VIRTQ_OK);
            cr_assert_eq(virtq_driver_room(p->driver), sizes[n]);
            virtq_driver_addresses(p->driver, &at);
            cr_assert_eq(at.descriptor, (spaces[i] & PAIR_SPACE) == PAIR_LEDGER
                                            ? ledger_addr(driver.areas.descriptor)
                                            : (uintptr_t)driver.areas.descriptor);
            pair_exchange(p, sizes[n], 1);
            pair_exchange(p, sizes[n], 20);
            pair_idle(p);
        }
        cr_assert_eq(p->ledger.shares - p->ledger.unshares, p->ledger.count);
        /* What was counted outlives it. */
        virtq_driver_counters(p->driver, &counters);
        cr_assert(counters.added == counters.used && counters.added > 50);
        virtq_device_counters(p->device, &counters);
        cr_assert(counters.added == counters.used && counters.added > 50);
        pair_close(p);
    }
}

/* A resize that has to fail, after which the old queue goes on in the middle of its lap. */
static void keeps(struct pair *p, const struct virtq_driver_config *config, int error)
{
    static unsigned char before[1 << 16];
    const unsigned granted = p->ledger.count;

    cr_assert(p->block_size - PAIR_DATA <= sizeof(before));
    memcpy(before, p->block, p->block_size - PAIR_DATA);
    cr_assert_eq(virtq_driver_resize(p->driver, config), error);
    cr_assert(memcmp(before, p->block, p->block_size - PAIR_DATA) == 0);
    cr_assert_eq(p->ledger.count, granted);
    cr_assert_eq(virtq_driver_room(p->driver), 8u);
    pair_exchange(p, 3, 1);
    pair_idle(p);
}

PairTest(core_lifecycle, r2_a_drivers_resize_that_fails_leaves_the_old_ring_usable)
{
    struct virtq_driver_config good;
    struct virtq_driver_config bad;
    struct virtq_device_config device;
    struct ledger other;

    pair_open(p, 8, 0, PAIR_LEDGER | PAIR_TABLES);
    elsewhere(p, 8, &good, &device);
    pair_send(p, 2, 1);
    cr_assert_eq(virtq_driver_resize(p->driver, &good), VIRTQ_EBUSY);
    pair_serve(p, 2);
    cr_assert_eq(virtq_driver_resize(p->driver, &good), VIRTQ_EBUSY);
    pair_receive(p, 2, 1);
    cr_assert_eq(pair_add(p, 0, 1, 1), 1);
    cr_assert_eq(virtq_driver_resize(p->driver, &good), VIRTQ_EBUSY); /* Not published. */
    (void)virtq_driver_publish(p->driver);
    pair_serve(p, 1);
    pair_receive(p, 1, 1);
    for (unsigned i = 0; i < 4; i++) {
        p->ledger.share_error = VIRTQ_ENOMEM;
        p->ledger.share_good = i;
        keeps(p, &good, VIRTQ_ENOMEM);
        p->ledger.share_error = VIRTQ_EFAULT;
        p->ledger.share_good = i;
        keeps(p, &good, VIRTQ_EFAULT);
    }
    p->ledger.share_error = VIRTQ_OK;
    bad = good;
    bad.size = 0;
    keeps(p, &bad, VIRTQ_EINVAL);
    bad.size = 512;
    keeps(p, &bad, VIRTQ_ENOMEM); /* More private memory than there is. */
    bad = good;
    bad.format = 1 - bad.format;
    bad.features ^= VIRTQ_FEATURE(VIRTIO_F_RING_PACKED);
    keeps(p, &bad, VIRTQ_EINVAL);
    bad = good;
    ledger_init(&other);
    bad.space = &other.space;
    keeps(p, &bad, VIRTQ_EINVAL);
    bad = good;
    bad.features |= VIRTQ_FEATURE(VIRTIO_F_ORDER_PLATFORM); /* Another instance. */
    keeps(p, &bad, VIRTQ_EINVAL);
    bad = good;
    bad.areas.device = NULL;
    keeps(p, &bad, VIRTQ_EINVAL);
    keeps(p, NULL, VIRTQ_EINVAL);
    cr_assert_eq(virtq_driver_resize(p->driver, &good), VIRTQ_OK);
    cr_assert_eq(virtq_device_resize(p->device, &device), VIRTQ_OK);
    pair_exchange(p, 8, 1);
}

PairTest(core_lifecycle, r2_a_devices_resize_that_fails_leaves_the_old_ring_usable)
{
    for (unsigned i = 0; i < 10; i++) {
        static const int errors[] = {VIRTQ_EINVAL, VIRTQ_EINVAL, VIRTQ_EINVAL, VIRTQ_EINVAL,
                                     VIRTQ_EINVAL, VIRTQ_ENOMEM, VIRTQ_EFAULT, VIRTQ_EPERM,
                                     VIRTQ_EMISS,  VIRTQ_EINVAL};
        struct virtq_driver_config driver;
        struct virtq_device_config bad;
        struct virtq_miss miss;

        pair_open(p, 8, 0, PAIR_LEDGER | PAIR_TRANSLATED);
        pair_exchange(p, 3, 1);
        pair_send(p, 4, 1);
        cr_assert_eq(pair_pop(p, 3), 3);
        cr_assert_eq(pair_push(p, 0, 1), 1);
        elsewhere(p, 8, &driver, &bad);
        bad.size = i == 0 ? 0 : i == 5 ? 512 : 8;
        bad.format ^= i == 1 ? 1 : 0;
        bad.features ^= i == 1 ? VIRTQ_FEATURE(VIRTIO_F_RING_PACKED) : 0;
        bad.flags |= i == 2 ? 0x80u : 0;
        bad.space = i == 3 ? NULL : bad.space;
        bad.features |= i == 4 ? VIRTQ_FEATURE(VIRTIO_F_ORDER_PLATFORM) : 0;
        bad.addresses = i == 6 ? bad.addresses : p->device_config.addresses;
        bad.addresses.device = i == 7 ? bad.addresses.driver : bad.addresses.device;
        p->ledger.hidden = i == 8 ? bad.addresses.driver : 0;
        bad.addresses.device += i == 9 ? 2 : 0;
        p->ledger.wide = i == 9;
        cr_assert_eq(virtq_device_resize(p->device, &bad), errors[i], "case %u", i);
        if (i == 8) {
            virtq_device_miss(p->device, &miss);
            cr_assert_eq(miss.addr, p->ledger.hidden);
            p->ledger.hidden = 0;
        }
        cr_assert_eq(virtq_device_outstanding(p->device), 2u);
        cr_assert_eq(pair_push(p, 2, 1), 1);
        cr_assert_eq(pair_push(p, 1, 1), 1);
        cr_assert_eq(virtq_device_publish(p->device), 3);
        pair_serve(p, 1);
        cr_assert_eq(pair_poll(p, 8), 4);
        pair_exchange(p, 8, 1);
        pair_close(p);
    }
}

/* ---- U1 ---- */

PairTest(core_lifecycle, u1_a_suspended_queue_completes_what_it_started_and_takes_nothing_more)
{
    for (unsigned i = 0; i < 8; i++) {
        struct virtq_state state;

        pair_open(p, 8,
                  i < 4 ? VIRTQ_FEATURE(VIRTIO_F_EVENT_IDX) : VIRTQ_FEATURE(VIRTIO_F_IN_ORDER),
                  spaces[i % 4]);
        cr_assert_eq(virtq_device_quiesce(p->device), 0u);
        virtq_device_resume(p->device);
        pair_send(p, 6, 1);
        cr_assert_eq(pair_pop(p, 3), 3);
        cr_assert_eq(virtq_device_quiesce(p->device), 3u);
        for (unsigned n = 0; n < 3; n++) {
            cr_assert_eq(pair_push(p, 2 - n, PAIR_SEGMENT), 1);
            cr_assert_eq(virtq_device_quiesce(p->device), 2 - n);
        }
        cr_assert_eq(virtq_device_save(p->device, &state), VIRTQ_EBUSY); /* Not shown yet. */
        cr_assert_eq(virtq_device_publish(p->device), 3);
        cr_assert_eq(virtq_device_needs_notify(p->device), 1);
        /* Only now is it suspended, and the ring is left alone. */
        forbid(p);
        cr_assert_eq(virtq_device_outstanding(p->device), 0u);
        cr_assert_eq(pair_pop(p, 8), 0);
        cr_assert(!virtq_device_enable_notify(p->device)); /* Though three are there. */
        virtq_device_disable_notify(p->device);
        cr_assert_eq(virtq_device_needs_notify(p->device), 0);
        cr_assert_eq(virtq_device_publish(p->device), 0);
        cr_assert_eq(pair_push(p, 0, 0), VIRTQ_EINVAL);
        cr_assert_eq(virtq_device_save(p->device, &state), VIRTQ_OK);
        allow(p);
        virtq_device_resume(p->device);
        cr_assert(virtq_device_enable_notify(p->device));
        pair_serve(p, 3);
        cr_assert_eq(pair_poll(p, 8), 6);
        pair_idle(p);
        pair_close(p);
    }
}
