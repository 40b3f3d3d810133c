/* SPDX-License-Identifier: BSD-3-Clause */
/* The device end through the library tier: what init accepts and refuses, batches, what push and
 * unpop refuse, misses, faults. */
#include "virtq/device.h"

#include <stddef.h>

#include "pair.h"

/* ---- Configurations ---- */

/* An init that has to fail, and to leave everything alone. */
static void refuses(struct pair *p, const struct virtq_device_config *config, size_t memory_size,
                    int error)
{
    struct virtq_device *device = NULL;
    struct virtq_miss miss = {0, 0, 0, 0};

    memset(p->block, 0xa5, p->block_size);
    memset(p->device_memory, 0x5a, p->device_size);
    cr_assert_eq(virtq_device_init(p->device_memory, memory_size, config, &device, &miss), error);
    cr_assert_null(device);
    cr_assert_eq(virtq_device_init(p->device_memory, memory_size, config, &device, NULL), error);
    for (size_t i = 0; i < p->block_size; i++) {
        cr_assert(p->block[i] == 0xa5);
    }
    for (size_t i = 0; i < p->device_size; i++) {
        cr_assert(p->device_memory[i] == 0x5a);
    }
    cr_assert_eq(miss.addr, error == VIRTQ_EMISS ? p->ledger.hidden : 0u);
}

static void illegal(struct pair *p, const struct virtq_device_config *config)
{
    refuses(p, config, p->device_size, VIRTQ_EINVAL);
    cr_assert_eq(virtq_device_size(config), 0u);
}

PairTest(core_device, an_illegal_configuration_is_refused_and_nothing_is_written)
{
    static const uint32_t sizes[] = {0, 32769, 65536, 0x80000000, UINT32_MAX, 3};
    struct virtq_device_config good;
    struct virtq_device_config bad;

    pair_prepare(p, 4, 0, PAIR_LEDGER);
    good = p->device_config;
    for (unsigned i = 0; i < (p->format == VIRTQ_FORMAT_SPLIT ? 6u : 5u); i++) {
        bad = good;
        bad.size = sizes[i];
        illegal(p, &bad);
    }
    bad = good;
    bad.struct_size = sizeof(size_t) - 1;
    illegal(p, &bad);
    for (uint32_t format = 0; format < 4; format++) {
        bad = good;
        bad.format = format;
        if (format != p->format) {
            illegal(p, &bad);
        }
    }
    bad = good;
    bad.features ^= VIRTQ_FEATURE(VIRTIO_F_RING_PACKED);
    illegal(p, &bad);
    for (unsigned bit = 2; bit < 32; bit++) {
        bad = good;
        bad.flags = (uint32_t)1 << bit;
        illegal(p, &bad);
    }
    bad = good;
    bad.flags = VIRTQ_DEVICE_BIG_ENDIAN; /* With VIRTIO_F_VERSION_1. */
    illegal(p, &bad);
    bad.features &= ~VIRTQ_FEATURE(VIRTIO_F_VERSION_1);
    cr_assert((virtq_device_size(&bad) != 0) == (p->format == VIRTQ_FORMAT_SPLIT));
    bad = good;
    bad.space = NULL;
    illegal(p, &bad);
    illegal(p, NULL);
}

PairTest(core_device, a_space_without_windows_is_refused)
{
    pair_prepare(p, 4, 0, PAIR_LEDGER);
    p->ledger.ops.window = NULL;
    illegal(p, &p->device_config);
    p->ledger.ops.window = ledger_window;
    p->ledger.ops.size = offsetof(struct virtq_space_ops, window);
    illegal(p, &p->device_config);
    p->ledger.ops.size = sizeof(p->ledger.ops);
    p->ledger.space.device_kind = 4;
    illegal(p, &p->device_config);
    p->ledger.space.device_kind = VIRTQ_SPACE_CALLED;
    p->ledger.space.ops = NULL;
    illegal(p, &p->device_config);
    p->ledger.space.ops = &p->ledger.ops;
    /* Mapping is for the other end: a device can do without. */
    p->ledger.ops.map = NULL;
    p->ledger.ops.unmap = NULL;
    p->ledger.ops.share = NULL;
    p->ledger.ops.unshare = NULL;
    pair_start_device(p);
}

PairTest(core_device, areas_and_memory_that_are_missing_or_misaligned_are_refused)
{
    static const unsigned align[2][3] = {{16, 2, 4}, {16, 4, 4}};
    struct virtq_device_config config;
    struct virtq_device *device = NULL;

    pair_prepare(p, 4, 0, PAIR_LEDGER);
    config = p->device_config;
    for (unsigned i = 0; i < 3; i++) {
        void **area = i == 0   ? &config.areas.descriptor
                      : i == 1 ? &config.areas.driver
                               : &config.areas.device;
        unsigned char *good = *area;

        *area = NULL;
        refuses(p, &config, p->device_size, VIRTQ_EINVAL);
        for (unsigned off = 1; off < align[p->format][i]; off *= 2) {
            *area = good + off;
            refuses(p, &config, p->device_size, VIRTQ_EINVAL);
        }
        *area = good;
    }
    for (unsigned off = 1; off < VIRTQ_CACHE_LINE; off *= 2) {
        cr_assert_eq(
            virtq_device_init(p->device_memory + off, p->device_size, &config, &device, NULL),
            VIRTQ_EINVAL);
    }
    cr_assert_eq(virtq_device_init(NULL, p->device_size, &config, &device, NULL), VIRTQ_EINVAL);
    cr_assert_eq(virtq_device_init(p->device_memory, p->device_size, &config, NULL, NULL),
                 VIRTQ_EINVAL);
}

PairTest(core_device, memory_one_byte_too_small_is_refused)
{
    pair_prepare(p, 16, VIRTQ_FEATURE(VIRTIO_F_IN_ORDER), PAIR_LEDGER);
    for (size_t less = 1; less <= p->device_size; less += less < 70 ? 1 : 61) {
        refuses(p, &p->device_config, p->device_size - less, VIRTQ_ENOMEM);
    }
    pair_start_device(p);
}

PairTest(core_device, what_an_older_callers_struct_does_not_have_counts_as_zero)
{
    struct virtq_device_config config;

    pair_prepare(p, 8, 0, PAIR_LEDGER);
    config = p->device_config;
    config.struct_size = offsetof(struct virtq_device_config, addresses);
    cr_assert_eq(virtq_device_init(p->device_memory, p->device_size, &config, &p->device, NULL),
                 VIRTQ_OK);
    config.struct_size = offsetof(struct virtq_device_config, areas);
    refuses(p, &config, p->device_size, VIRTQ_EINVAL); /* No ring. */
    config.struct_size = sizeof(config) + 64;          /* A newer one. */
    cr_assert_eq(virtq_device_init(p->device_memory, p->device_size, &config, &p->device, NULL),
                 VIRTQ_OK);
}

/* ---- Batches ---- */

PairTest(core_device, pop_gives_no_more_than_the_budget_nor_than_there_are_pieces_for)
{
    pair_open(p, 16, 0, PAIR_DIRECT);
    cr_assert_eq(pair_pop(p, 4), 0);
    for (unsigned i = 0; i < 6; i++) {
        cr_assert_eq(pair_add(p, 1, 1, i + 1), 1);
    }
    cr_assert_eq(pair_pop(p, 4), 0); /* Not published. */
    (void)virtq_driver_publish(p->driver);
    cr_assert_eq(pair_pop(p, 2), 2);
    /* Room for two and a half: two come, and the third is not consumed. */
    cr_assert_eq(virtq_device_pop(p->device, p->chains, 4, p->pieces, 5), 2);
    cr_assert_eq(p->chains[1].pieces, p->pieces + 2);
    /* Room for half a one: more than the caller could ever hold, so it is bad. */
    cr_assert_eq(virtq_device_pop(p->device, p->chains, 1, p->pieces, 1), 1);
    cr_assert_eq(p->chains[0].reason, (uint32_t)VIRTQ_REASON_PIECES);
    cr_assert_eq(p->chains[0].readable + p->chains[0].writable, 0u);
    cr_assert_eq(pair_pop(p, 4), 1);
    cr_assert_eq(p->chains[0].reason, (uint32_t)VIRTQ_REASON_NONE);
    cr_assert_eq(virtq_device_outstanding(p->device), 6u);
}

PairTest(core_device, of_a_batch_whose_third_is_wrong_two_are_pushed)
{
    /* An id outside the queue, one not in flight, one pushed already, a length too long. */
    for (unsigned wrong = 0; wrong < 4; wrong++) {
        struct virtq_used_buffer used[3];

        pair_open(p, 8, 0, PAIR_DIRECT);
        pair_send(p, 3, 1);
        cr_assert_eq(pair_pop(p, 3), 3);
        for (unsigned i = 0; i < 3; i++) {
            used[i].id = p->chains[i].id;
            used[i].len = PAIR_SEGMENT;
        }
        used[2].id = wrong == 0 ? 8 : wrong == 1 ? 7 : used[wrong == 2 ? 1 : 2].id;
        used[2].len = wrong == 3 ? PAIR_SEGMENT + 1 : 0;
        cr_assert_eq(virtq_device_push(p->device, used, 3), 2);
        cr_assert_eq(virtq_device_push(p->device, used + 2, 1), VIRTQ_EINVAL);
        cr_assert_eq(virtq_device_outstanding(p->device), 1u);
        cr_assert_eq(virtq_device_publish(p->device), 2);
        pair_receive(p, 2, 1);
        cr_assert_eq(pair_push(p, 2, PAIR_SEGMENT), 1); /* In flight as before. */
        cr_assert_eq(pair_push(p, 2, PAIR_SEGMENT), VIRTQ_EINVAL);
        cr_assert_eq(virtq_device_publish(p->device), 1);
        cr_assert_eq(virtq_device_publish(p->device), 0);
        pair_receive(p, 1, 3);
        pair_idle(p);
        pair_close(p);
    }
}

PairTest(core_device, the_latest_chains_can_be_put_back_and_come_again)
{
    for (unsigned ordered = 0; ordered < 2; ordered++) {
        uint16_t ids[5];

        pair_open(p, 16, ordered != 0 ? VIRTQ_FEATURE(VIRTIO_F_IN_ORDER) : 0, PAIR_DIRECT);
        for (unsigned round = 0; round < 12; round++) {
            for (unsigned i = 0; i < 5; i++) {
                cr_assert_eq(pair_add(p, 1, i % 2, 5 * round + i + 1), 1);
            }
            (void)virtq_driver_publish(p->driver);
            cr_assert_eq(pair_pop(p, 5), 5);
            for (unsigned i = 0; i < 5; i++) {
                ids[i] = p->chains[i].id;
            }
            /* Not the latest; not in their order; more than there are. */
            cr_assert_eq(virtq_device_unpop(p->device, p->chains, 4), VIRTQ_EINVAL);
            p->chains[4].id = ids[3];
            p->chains[3].id = ids[4];
            cr_assert_eq(virtq_device_unpop(p->device, p->chains + 3, 2), VIRTQ_EINVAL);
            p->chains[3].id = ids[3];
            p->chains[4].id = ids[4];
            cr_assert_eq(virtq_device_unpop(p->device, p->chains, 6), VIRTQ_EINVAL);
            cr_assert_eq(virtq_device_outstanding(p->device), 5u);
            cr_assert_eq(virtq_device_unpop(p->device, p->chains + 2, 3), VIRTQ_OK);
            cr_assert_eq(virtq_device_outstanding(p->device), 2u);
            cr_assert_eq(pair_push(p, 4, 0), VIRTQ_EINVAL); /* Not in flight. */
            cr_assert_eq(pair_push(p, 0, 0), 1);
            cr_assert_eq(pair_push(p, 1, 0), 1);
            cr_assert_eq(virtq_device_publish(p->device), 2);
            cr_assert_eq(pair_pop(p, 5), 3);
            for (unsigned i = 0; i < 3; i++) {
                cr_assert_eq(p->chains[i].id, ids[i + 2]);
                cr_assert_eq(pair_push(p, i, 0), 1);
            }
            cr_assert_eq(virtq_device_unpop(p->device, p->chains + 2, 1), VIRTQ_EINVAL);
            cr_assert_eq(virtq_device_publish(p->device), 3);
            pair_receive(p, 5, 5 * round + 1);
            pair_idle(p);
        }
        pair_close(p);
    }
}

PairTest(core_device, i6_what_is_pushed_early_is_held_back_until_its_turn)
{
    /* All orders of 4, shown one by one: the driver sees the finished ones from the front. */
    for (unsigned n = 0; n < 24; n++) {
        unsigned left[4] = {0, 1, 2, 3};
        unsigned pushed = 0;
        unsigned seen = 0;
        unsigned rest = n;

        pair_open(p, 8, VIRTQ_FEATURE(VIRTIO_F_IN_ORDER), PAIR_DIRECT);
        pair_exchange(p, n % 7 + 1, 100);
        for (unsigned i = 0; i < 4; i++) {
            cr_assert_eq(pair_add(p, i % 2, 1, i + 1), 1);
        }
        (void)virtq_driver_publish(p->driver);
        cr_assert_eq(pair_pop(p, 4), 4);
        for (unsigned i = 0; i < 4; i++) {
            const unsigned k = rest % (4 - i);
            const unsigned front = seen;

            rest /= 4 - i;
            /* Every second one is not written in full, and ends its run. */
            cr_assert_eq(pair_push(p, left[k], left[k] % 2 == 0 ? PAIR_SEGMENT : 3), 1);
            cr_assert_eq(pair_push(p, left[k], 0), VIRTQ_EINVAL);
            if (left[k] == 3) { /* Held back or not, it was pushed. */
                cr_assert_eq(virtq_device_unpop(p->device, p->chains + 3, 1), VIRTQ_EINVAL);
            }
            pushed |= 1u << left[k];
            left[k] = left[3 - i];
            while ((pushed >> seen & 1) != 0) {
                seen++;
            }
            cr_assert_eq(virtq_device_publish(p->device), (int)(seen - front));
            cr_assert_eq(virtq_device_outstanding(p->device), 3 - i);
            cr_assert_eq(pair_poll(p, 8), (int)(seen - front));
            for (unsigned d = 0; d < seen - front; d++) {
                cr_assert_eq((uintptr_t)p->done[d].cookie, front + d + 1);
                cr_assert_eq(p->done[d].len, (front + d) % 2 == 0 ? (uint32_t)PAIR_SEGMENT : 3u);
            }
        }
        pair_idle(p);
        pair_close(p);
    }
}

PairTest(core_device, a_broken_queue_stays_broken_until_a_reset)
{
    const struct virtq_used_buffer used = {0, 0};
    struct virtq_fault fault;

    pair_open(p, 4, 0, PAIR_DIRECT);
    virtq_device_fault(p->device, &fault);
    cr_assert_eq(fault.reason, (uint32_t)VIRTQ_REASON_NONE);
    pair_break_device(p);
    for (unsigned i = 0; i < 3; i++) {
        cr_assert_eq(pair_pop(p, 1), VIRTQ_EBROKEN);
        cr_assert_eq(virtq_device_push(p->device, &used, 1), VIRTQ_EBROKEN);
        cr_assert_eq(virtq_device_publish(p->device), VIRTQ_EBROKEN);
        cr_assert_eq(virtq_device_needs_notify(p->device), VIRTQ_EBROKEN);
        cr_assert(virtq_device_enable_notify(p->device)); /* Pop says why. */
        virtq_device_fault(p->device, &fault);
        cr_assert(virtq_reason_is_queue(fault.reason));
        cr_assert_eq(fault.value, p->format == VIRTQ_FORMAT_SPLIT ? 1000u : 0x7fffu);
        cr_assert_eq(fault.position, p->format == VIRTQ_FORMAT_SPLIT ? 0u : 0x8000u);
        /* What the driver does next changes nothing: the first reason stays. */
        memset(p->block, 0, p->ring_size);
    }
    virtq_device_reset(p->device);
    virtq_device_fault(p->device, &fault);
    cr_assert_eq(fault.reason, (uint32_t)VIRTQ_REASON_NONE);
    cr_assert_eq(virtq_driver_reset(p->driver), VIRTQ_OK);
    pair_exchange(p, 4, 1);
}
