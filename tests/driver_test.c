/* SPDX-License-Identifier: BSD-3-Clause */
/* The driver end through the library tier: what init accepts, refuses and chooses. */
#include "virtq/driver.h"

#include <stddef.h>

#include "pair.h"

/* ---- Configurations ---- */

/* An init that has to fail, and to leave everything alone. */
static void refuses(struct pair *p, const struct virtq_driver_config *config, size_t memory_size,
                    int error)
{
    struct virtq_driver *driver = NULL;

    memset(p->block, 0xa5, p->block_size);
    memset(p->driver_memory, 0x5a, p->driver_size);
    cr_assert_eq(virtq_driver_init(p->driver_memory, memory_size, config, &driver), error);
    cr_assert_null(driver);
    for (size_t i = 0; i < p->block_size; i++) {
        cr_assert(p->block[i] == 0xa5);
    }
    for (size_t i = 0; i < p->driver_size; i++) {
        cr_assert(p->driver_memory[i] == 0x5a);
    }
    cr_assert_eq(p->ledger.count, 0u);
}

static void illegal(struct pair *p, const struct virtq_driver_config *config)
{
    refuses(p, config, p->driver_size, VIRTQ_EINVAL);
    cr_assert_eq(virtq_driver_size(config), 0u);
    cr_assert_eq(virtq_driver_tables_size(config), 0u);
}

PairTest(core_driver, an_illegal_configuration_is_refused_and_nothing_is_written)
{
    static const uint32_t sizes[] = {0, 32769, 65536, 0x80000000, UINT32_MAX, 3};
    struct virtq_driver_config good;
    struct virtq_driver_config bad;

    pair_prepare(p, 4, 0, PAIR_LEDGER);
    good = p->driver_config;
    for (unsigned i = 0; i < (p->format == VIRTQ_FORMAT_SPLIT ? 6u : 5u); i++) {
        bad = good;
        bad.size = sizes[i];
        illegal(p, &bad);
    }
    bad = good;
    bad.struct_size = sizeof(size_t) - 1;
    illegal(p, &bad);
    bad.struct_size = 0;
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
    bad.space = NULL;
    illegal(p, &bad);
    illegal(p, NULL);
}

PairTest(core_driver, a_guest_is_big_endian_only_on_a_legacy_split_queue)
{
    struct virtq_driver_config config;

    pair_prepare(p, 4, 0, PAIR_LEDGER);
    config = p->driver_config;
    config.flags = VIRTQ_DRIVER_BIG_ENDIAN;
    illegal(p, &config);
    config.features &= ~VIRTQ_FEATURE(VIRTIO_F_VERSION_1);
    cr_assert((virtq_driver_size(&config) != 0) == (p->format == VIRTQ_FORMAT_SPLIT));
}

PairTest(core_driver, a_space_that_cannot_map_or_share_is_refused)
{
    struct virtq_driver_config config;

    pair_prepare(p, 4, 0, PAIR_LEDGER);
    config = p->driver_config;
    p->ledger.ops.size = offsetof(struct virtq_space_ops, unshare) - 1;
    illegal(p, &config);
    p->ledger.ops.size = sizeof(p->ledger.ops);
    p->ledger.ops.share = NULL;
    illegal(p, &config);
    p->ledger.ops.share = ledger_share;
    p->ledger.ops.map = NULL;
    illegal(p, &config);
    p->ledger.ops.map = ledger_map;
    p->ledger.ops.unmap = NULL;
    illegal(p, &config);
    p->ledger.ops.unmap = ledger_unmap;
    p->ledger.space.driver_kind = 4;
    illegal(p, &config);
    p->ledger.space.driver_kind = VIRTQ_SPACE_CALLED;
    p->ledger.space.ops = NULL;
    illegal(p, &config);
    p->ledger.space.ops = &p->ledger.ops;
    /* Windows are for the other end: a driver can do without. */
    p->ledger.ops.window = NULL;
    pair_start_driver(p);
}

PairTest(core_driver, areas_and_memory_that_are_missing_or_misaligned_are_refused)
{
    static const unsigned align[2][3] = {{16, 2, 4}, {16, 4, 4}};
    struct virtq_driver_config config;
    struct virtq_driver *driver = NULL;

    pair_prepare(p, 4, 0, PAIR_LEDGER);
    config = p->driver_config;
    for (unsigned i = 0; i < 3; i++) {
        void **area = i == 0   ? &config.areas.descriptor
                      : i == 1 ? &config.areas.driver
                               : &config.areas.device;
        unsigned char *good = *area;

        *area = NULL;
        refuses(p, &config, p->driver_size, VIRTQ_EINVAL);
        for (unsigned off = 1; off < align[p->format][i]; off *= 2) {
            *area = good + off;
            refuses(p, &config, p->driver_size, VIRTQ_EINVAL);
        }
        *area = good;
    }
    for (unsigned off = 1; off < 16; off *= 2) {
        config.tables = p->block + p->ring_size + off;
        refuses(p, &config, p->driver_size, VIRTQ_EINVAL);
    }
    config.tables = NULL;
    for (unsigned off = 1; off < VIRTQ_CACHE_LINE; off *= 2) {
        cr_assert_eq(virtq_driver_init(p->driver_memory + off, p->driver_size, &config, &driver),
                     VIRTQ_EINVAL);
    }
    cr_assert_eq(virtq_driver_init(NULL, p->driver_size, &config, &driver), VIRTQ_EINVAL);
    cr_assert_eq(virtq_driver_init(p->driver_memory, p->driver_size, &config, NULL), VIRTQ_EINVAL);
}

PairTest(core_driver, memory_one_byte_too_small_is_refused)
{
    pair_prepare(p, 16, VIRTQ_FEATURE(VIRTIO_F_IN_ORDER), PAIR_LEDGER);
    for (size_t less = 1; less <= p->driver_size; less += less < 70 ? 1 : 61) {
        refuses(p, &p->driver_config, p->driver_size - less, VIRTQ_ENOMEM);
    }
    refuses(p, &p->driver_config, 0, VIRTQ_ENOMEM);
    pair_start_driver(p);
}

PairTest(core_driver, what_the_space_cannot_share_is_refused_and_the_rest_given_back)
{
    static const int errors[] = {VIRTQ_ENOMEM, VIRTQ_EFAULT};

    pair_prepare(p, 8, 0, PAIR_LEDGER | PAIR_TABLES);
    for (unsigned i = 0; i < 8; i++) {
        p->ledger.share_error = errors[i % 2];
        p->ledger.share_good = i / 2;
        refuses(p, &p->driver_config, p->driver_size, errors[i % 2]);
    }
    cr_assert_eq(p->ledger.shares, 2u * (0 + 1 + 2 + 3));
    cr_assert_eq(p->ledger.unshares, p->ledger.shares);
    p->ledger.share_error = VIRTQ_OK;
    pair_start_driver(p);
}

PairTest(core_driver, a_queue_touches_no_byte_beyond_what_it_asked_for)
{
    /* Private memory ends at a page that traps, for either end. */
    static const uint32_t sizes[] = {1, 2, 4, 256, 3, 7, 300};
    static const unsigned options[] = {PAIR_DIRECT, PAIR_DIRECT | PAIR_TABLES, PAIR_LEDGER,
                                       PAIR_LEDGER | PAIR_TABLES};

    for (unsigned i = 0; i < (p->format == VIRTQ_FORMAT_SPLIT ? 4u : 7u); i++) {
        for (unsigned k = 0; k < 8; k++) {
            const unsigned count = sizes[i] < 60 ? sizes[i] : 60;

            pair_open(p, sizes[i], k < 4 ? 0 : VIRTQ_FEATURE(VIRTIO_F_IN_ORDER), options[k % 4]);
            for (unsigned round = 0; round < 2 * sizes[i] / count + 2; round++) {
                pair_exchange(p, count, 1 + round);
            }
            pair_idle(p);
            pair_close(p);
        }
    }
}

PairTest(core_driver, what_an_older_callers_struct_does_not_have_counts_as_zero)
{
    struct virtq_driver_config config;

    pair_prepare(p, 8, 0, PAIR_LEDGER | PAIR_TABLES);
    config = p->driver_config;
    config.struct_size = offsetof(struct virtq_driver_config, tables);
    cr_assert_eq(virtq_driver_init(p->driver_memory, p->driver_size, &config, &p->driver),
                 VIRTQ_OK);
    cr_assert_eq(p->ledger.shares, 3u); /* No tables. */
    virtq_driver_destroy(p->driver);
    config.struct_size = offsetof(struct virtq_driver_config, areas);
    p->driver = NULL;
    refuses(p, &config, p->driver_size, VIRTQ_EINVAL); /* No ring. */
    config.struct_size = sizeof(config) + 64;          /* A newer one. */
    cr_assert_eq(virtq_driver_init(p->driver_memory, p->driver_size, &config, &p->driver),
                 VIRTQ_OK);
    cr_assert_eq(p->ledger.shares, 3u + 4u);
}

PairTest(core_driver, tables_are_asked_for_by_descriptor_and_segment)
{
    struct virtq_driver_config config;

    pair_prepare(p, 16, 0, PAIR_DIRECT);
    config = p->driver_config;
    config.segments_max = 5;
    cr_assert_eq(virtq_driver_tables_size(&config), (size_t)16 * 5 * 16);
    config.segments_max = 0; /* Counts as 1. */
    cr_assert_eq(virtq_driver_tables_size(&config), (size_t)16 * 1 * 16);
}

/* ---- What init chooses ---- */

PairTest(core_driver, every_instance_carries_data)
{
    /* The four kinds of space; with device-strength barriers; with a big-endian guest. */
    for (unsigned space = 0; space < 4; space++) {
        for (unsigned way = 0; way < 6; way++) {
            unsigned options = space | (way % 2 != 0 ? (unsigned)PAIR_TABLES : 0);

            options |= way / 2 == 2 ? (unsigned)PAIR_LEGACY : 0;
            if (way / 2 == 2 && p->format == VIRTQ_FORMAT_PACKED) {
                continue;
            }
            pair_open(p, 8, way / 2 == 1 ? VIRTQ_FEATURE(VIRTIO_F_ORDER_PLATFORM) : 0, options);
            for (uintptr_t cookie = 1; cookie < 40; cookie++) {
                unsigned char *payload = pair_payload(p, cookie);
                struct virtq_cursor reader;
                struct virtq_cursor writer;

                memset(payload, 0, (size_t)PAIR_SEGMENT * 4);
                cr_assert_eq(pair_add(p, 2, 2, cookie), 1);
                cr_assert_eq(virtq_driver_publish(p->driver), 1u);
                cr_assert_eq(pair_pop(p, 2), 1);
                for (unsigned i = 0; space == PAIR_PREMAPPED && i < 4; i++) {
                    p->pieces[i].base = (void *)(uintptr_t)p->pieces[i].addr;
                }
                reader = virtq_chain_reader(&p->chains[0]);
                writer = virtq_chain_writer(&p->chains[0]);
                cr_assert_eq(virtq_cursor_copy(&writer, &reader, 64), 2u * PAIR_SEGMENT);
                cr_assert_eq(pair_push(p, 0, 2 * PAIR_SEGMENT), 1);
                cr_assert_eq(virtq_device_publish(p->device), 1);
                pair_receive(p, 1, cookie);
                cr_assert_eq(p->done[0].len, 2u * PAIR_SEGMENT);
                cr_assert(memcmp(payload, payload + (size_t)2 * PAIR_SEGMENT,
                                 (size_t)2 * PAIR_SEGMENT) == 0 &&
                          payload[0] == (unsigned char)cookie);
            }
            pair_close(p);
        }
    }
}

PairTest(core_driver, every_set_of_features_carries_buffers)
{
    static const unsigned bits[] = {VIRTIO_F_INDIRECT_DESC,     VIRTIO_F_EVENT_IDX,
                                    VIRTIO_F_IN_ORDER,          VIRTIO_F_ORDER_PLATFORM,
                                    VIRTIO_F_NOTIFICATION_DATA, VIRTIO_F_ACCESS_PLATFORM};

    for (unsigned set = 0; set < 64 + 1; set++) {
        uint64_t features = 0;

        for (unsigned i = 0; i < 6; i++) {
            features |= (set >> i & 1) != 0 ? VIRTQ_FEATURE(bits[i]) : 0;
        }
        if (set == 64) { /* Those that concern no queue are ignored. */
            features = ~VIRTQ_FEATURE(VIRTIO_F_RING_PACKED);
        }
        pair_open(p, 8, features, set % 3 == 0 ? (unsigned)PAIR_TABLES : PAIR_LEDGER);
        for (uintptr_t cookie = 1; cookie < 30; cookie += 3) {
            pair_exchange(p, 3, cookie);
        }
        pair_idle(p);
        pair_close(p);
    }
}
