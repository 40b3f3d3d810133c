/* SPDX-License-Identifier: BSD-3-Clause */
/* The seam's laws L1 and L2, as a queue keeps them. L3 is in guard_test.c and stress/, L4 to L6 are
 * with the spaces. */
#include "pair.h"

enum { BUFFERS = 1000, BATCH = 8 };

/* ---- L1 ---- */

static unsigned calls;

static int called_map(struct virtq_space *space, struct virtq_mapping *mapping)
{
    (void)space;
    (void)mapping;
    calls++;
    return VIRTQ_ENOMEM;
}

static void called_unmap(struct virtq_space *space, struct virtq_mapping *mapping, uint64_t written)
{
    (void)space;
    (void)mapping;
    (void)written;
    calls++;
}

static int called_window(struct virtq_space *space, virtq_addr_t addr, uint32_t permission,
                         struct virtq_window *window)
{
    (void)space;
    (void)addr;
    (void)permission;
    (void)window;
    calls++;
    return VIRTQ_EFAULT;
}

static const struct virtq_space_ops counting = {.size = sizeof(struct virtq_space_ops),
                                                .name = "counting",
                                                .map = called_map,
                                                .unmap = called_unmap,
                                                .window = called_window};

static void exchange_segments(struct pair *p)
{
    for (uintptr_t at = 0; at < BUFFERS; at += BATCH) {
        for (unsigned i = 0; i < BATCH; i++) {
            cr_assert_eq(pair_add(p, 2, 2, at + i + 1), 1);
        }
        cr_assert_eq(virtq_driver_publish(p->driver), (unsigned)BATCH);
        pair_serve(p, BATCH);
        pair_receive(p, BATCH, at + 1);
    }
}

PairTest(core_laws, L1_direct_bar_and_premapped_are_computed_without_a_call)
{
    static const unsigned spaces[] = {PAIR_DIRECT, PAIR_BAR, PAIR_PREMAPPED};

    /* Not tables on premapped: to read those, the device end has to know where they are. */
    for (unsigned i = 0; i < 5; i++) {
        const struct virtq_space_ops *own;

        pair_open(p, 64, 0, spaces[i / 2] | (i % 2 != 0 ? PAIR_TABLES : 0));
        own = p->space->ops;
        calls = 0;
        p->space->ops = &counting;
        exchange_segments(p);
        p->space->ops = own;
        cr_assert_eq(calls, 0u, "space %u", i / 2);
        pair_close(p);
    }
}

PairTest(core_laws, L1_any_other_space_is_called_once_a_buffer_and_once_a_miss)
{
    for (unsigned tables = 0; tables < 2; tables++) {
        struct virtq_counters counters;

        pair_open(p, 64, 0, PAIR_LEDGER | (tables != 0 ? PAIR_TABLES : 0));
        p->ledger.wide = true;
        exchange_segments(p);
        cr_assert_eq(p->ledger.maps, (unsigned)BUFFERS);
        cr_assert_eq(p->ledger.unmaps, (unsigned)BUFFERS);
        virtq_device_counters(p->device, &counters);
        cr_assert_eq(p->ledger.windows, counters.window_misses);
        /* Each unmapping of this space withdraws the windows: once a burst they are asked for. */
        cr_assert_leq(p->ledger.windows, (unsigned)(BUFFERS / BATCH) * (2 + tables));
        pair_close(p);
    }
}

/* ---- L2 ---- */

static void grant_only(struct pair *p, const void *base, uint32_t permissions)
{
    for (unsigned i = 0; i < p->ledger.count; i++) {
        if (p->ledger.grants[i].addr == ledger_addr(base)) {
            p->ledger.grants[i].permissions = permissions;
            return;
        }
    }
    cr_assert(false, "nothing was granted there");
}

PairTest(core_laws, L2_a_window_serves_only_the_access_that_it_grants)
{
    static const uint32_t both = (uint32_t)VIRTQ_PERMISSION_READ | VIRTQ_PERMISSION_WRITE;

    for (unsigned writable = 0; writable < 2; writable++) {
        const uint32_t wanted = writable != 0 ? VIRTQ_PERMISSION_WRITE : VIRTQ_PERMISSION_READ;

        pair_open(p, 16, 0, PAIR_LEDGER);
        for (uintptr_t cookie = 1; cookie <= 3; cookie++) {
            cr_assert_eq(pair_add(p, 1 - writable, writable, cookie), 1);
        }
        (void)virtq_driver_publish(p->driver);
        grant_only(p, pair_payload(p, 1), wanted);
        grant_only(p, pair_payload(p, 2), both ^ wanted);
        grant_only(p, pair_payload(p, 3), both);
        cr_assert_eq(pair_pop(p, 3), 3);
        cr_assert_eq(p->chains[0].reason, (uint32_t)VIRTQ_REASON_NONE);
        cr_assert_eq(p->chains[1].reason, (uint32_t)VIRTQ_REASON_PERMISSION);
        cr_assert_eq(p->chains[2].reason, (uint32_t)VIRTQ_REASON_NONE);
        for (unsigned i = 0; i < 3; i++) {
            cr_assert_eq(pair_push(p, i, 0), 1);
        }
        cr_assert_eq(virtq_device_publish(p->device), 3);
        cr_assert_eq(pair_poll(p, 3), 3);
        pair_close(p);
    }
}

PairTest(core_laws, L2_a_table_has_to_be_readable_through_the_space)
{
    pair_open(p, 16, 0, PAIR_LEDGER | PAIR_TABLES);
    grant_only(p, p->driver_config.tables, VIRTQ_PERMISSION_WRITE);
    cr_assert_eq(pair_add(p, 1, 1, 1), 1);
    (void)virtq_driver_publish(p->driver);
    cr_assert_eq(pair_pop(p, 1), 1);
    cr_assert_eq(p->chains[0].reason, (uint32_t)VIRTQ_REASON_PERMISSION);
    cr_assert_eq(pair_push(p, 0, 0), 1);
    cr_assert_eq(virtq_device_publish(p->device), 1);
    cr_assert_eq(pair_poll(p, 1), 1);
}
