/* SPDX-License-Identifier: BSD-3-Clause */
/* A back-end as a front-end sees it that keeps all rules: start, traffic, stop, and all that
 * changes in between. */
#include "frontend.h"

#define VERSION_1 VIRTQ_FEATURE(VIRTIO_F_VERSION_1)
#define EVENT_IDX VIRTQ_FEATURE(VIRTIO_F_EVENT_IDX)
#define INDIRECT VIRTQ_FEATURE(VIRTIO_F_INDIRECT_DESC)
#define PACKED VIRTQ_FEATURE(VIRTIO_F_RING_PACKED)

static const uint64_t shapes[] = {
    VERSION_1,
    VERSION_1 | EVENT_IDX,
    VERSION_1 | FRONTEND_PROTOCOL,
    VERSION_1 | EVENT_IDX | INDIRECT | FRONTEND_PROTOCOL,
    VERSION_1 | PACKED,
    VERSION_1 | PACKED | EVENT_IDX,
    VERSION_1 | PACKED | FRONTEND_PROTOCOL,
    VERSION_1 | PACKED | EVENT_IDX | INDIRECT | FRONTEND_PROTOCOL,
};
enum { SHAPES = sizeof(shapes) / sizeof(shapes[0]) };

Test(host_backend, buffers_go_there_and_back_in_every_shape)
{
    for (unsigned i = 0; i < SHAPES; i++) {
        struct frontend f;

        frontend_open(&f, 0);
        frontend_greet(&f, shapes[i]);
        cr_assert_eq(f.features, shapes[i] & ~FRONTEND_PROTOCOL);
        frontend_start(&f, 0, shapes[i], 8);
        frontend_start(&f, 1, shapes[i], 16);
        cr_assert_eq(f.started, 2u);
        frontend_traffic(&f, 0, 50);
        frontend_traffic(&f, 1, 50);
        cr_assert_eq(f.refused, 0u);
        frontend_close(&f);
        cr_assert_eq(f.stopping, 2u);
    }
}

Test(host_backend, a_packed_base_has_both_positions_and_a_ring_goes_on_where_it_stopped)
{
    for (unsigned i = 0; i < SHAPES; i++) {
        struct frontend f;
        const bool packed = (shapes[i] & PACKED) != 0;
        uint32_t base;

        frontend_open(&f, 0);
        frontend_greet(&f, shapes[i]);
        frontend_start(&f, 0, shapes[i], 8);
        for (unsigned round = 1; round < 6; round++) {
            frontend_traffic(&f, 0, 3);
            base = frontend_stop(&f, 0);
            if (!packed) {
                cr_assert_eq(base, round * 3);
            } else {
                /* Two descriptors a buffer, or one with a table: both positions are the same. */
                cr_assert_eq(base & 0xffff, base >> 16);
                cr_assert((base & 0x7fff) < 8);
            }
            cr_assert_eq(f.stopping, round);
            /* A stopped ring is stopped: a kick does nothing, and its base stays. */
            frontend_kick(&f, 0);
            cr_assert_eq(frontend_stop(&f, 0), base);
            frontend_describe(&f, 0, 8, base);
            cr_assert_eq(frontend_kick_message(&f, 0), 0);
        }
        frontend_close(&f);
    }
}

/* As QEMU does with network cards, each time that a driver begins. */
Test(host_backend, a_ring_may_be_enabled_before_features_are_accepted)
{
    uint64_t features = VERSION_1 | FRONTEND_PROTOCOL;
    struct frontend f;

    frontend_open(&f, 0);
    frontend_greet(&f, 0);
    for (unsigned round = 0; round < 3; round++) {
        cr_assert_eq(frontend_try_state(&f, VHOST_USER_SET_VRING_ENABLE, 0, 1), 0);
        cr_assert_eq(frontend_try_number(&f, VHOST_USER_SET_FEATURES, features), 0);
        /* Without that bit here it is not enabled once more. */
        frontend_start(&f, 0, features & ~FRONTEND_PROTOCOL, 8);
        frontend_traffic(&f, 0, 4);
        (void)frontend_stop(&f, 0);
        features ^= EVENT_IDX;
    }
    frontend_close(&f);
}

/* DPDK's virtio-user says where the driver stands, and nothing of the device. */
Test(host_backend, a_packed_base_of_one_position_is_both)
{
    const uint64_t features = VERSION_1 | PACKED | FRONTEND_PROTOCOL;
    struct frontend f;

    frontend_open(&f, 0);
    frontend_greet(&f, features);
    frontend_start(&f, 0, features, 8);
    (void)frontend_stop(&f, 0);
    frontend_describe(&f, 0, 8, 0x8000);
    for (unsigned round = 0; round < 20; round++) {
        cr_assert_eq(frontend_kick_message(&f, 0), 0, "round %u", round);
        cr_assert_eq(frontend_try_state(&f, VHOST_USER_SET_VRING_ENABLE, 0, 1), 0);
        frontend_traffic(&f, 0, 3);
        frontend_describe(&f, 0, 8, frontend_stop(&f, 0) & 0xffff);
    }
    frontend_close(&f);
}

Test(host_backend, a_connection_goes_on_with_other_features_after_a_stop)
{
    struct frontend f;

    frontend_open(&f, 0);
    frontend_greet(&f, VERSION_1);
    for (unsigned i = 0; i < 2 * SHAPES; i++) {
        uint64_t features = shapes[i * 5 % SHAPES];

        cr_assert_eq(frontend_try_number(&f, VHOST_USER_SET_FEATURES, features), 0);
        frontend_start(&f, 0, features, 8);
        /* While the ring runs they stay. */
        cr_assert_eq(frontend_try_number(&f, VHOST_USER_SET_FEATURES, features ^ EVENT_IDX), 1);
        cr_assert_eq(f.last_refusal, VIRTQ_VHOST_USER_REFUSED_ORDER);
        cr_assert_eq(frontend_try_number(&f, VHOST_USER_SET_FEATURES, features), 0);
        frontend_traffic(&f, 0, 5);
        (void)frontend_stop(&f, 0);
    }
    frontend_close(&f);
}

Test(host_backend, a_disabled_ring_has_no_effect_until_it_is_enabled)
{
    struct frontend f;
    const uint64_t features = VERSION_1 | FRONTEND_PROTOCOL;

    frontend_open(&f, 0);
    frontend_greet(&f, features);
    frontend_start(&f, 0, features, 8);
    cr_assert_eq(frontend_try_state(&f, VHOST_USER_SET_VRING_ENABLE, 0, 0), 0);
    frontend_add(&f, 0, 0);
    frontend_kick(&f, 0);
    cr_assert_eq(frontend_run(&f), 0);
    cr_assert_eq(frontend_take(&f, 0), 0u);
    /* The kick is gone, but not forgotten. */
    cr_assert_eq(frontend_try_state(&f, VHOST_USER_SET_VRING_ENABLE, 0, 1), 0);
    cr_assert_eq(frontend_take(&f, 0), 1u);
    frontend_close(&f);
}

Test(host_backend, what_was_made_available_before_the_start_is_served_without_a_kick)
{
    struct frontend f;
    uint32_t base;

    frontend_open(&f, 0);
    frontend_greet(&f, VERSION_1);
    frontend_start(&f, 0, VERSION_1, 8);
    base = frontend_stop(&f, 0);
    frontend_add(&f, 0, 0);
    frontend_describe(&f, 0, 8, base);
    cr_assert_eq(frontend_take(&f, 0), 0u);
    cr_assert_eq(frontend_kick_message(&f, 0), 0);
    cr_assert_eq(frontend_take(&f, 0), 1u);
    frontend_close(&f);
}

Test(host_backend, buffers_in_flight_are_given_back_before_a_base_is_told)
{
    struct frontend f;

    frontend_open(&f, 0);
    frontend_greet(&f, VERSION_1);
    frontend_start(&f, 0, VERSION_1, 8);
    f.hold = true;
    frontend_add(&f, 0, 0);
    frontend_add(&f, 0, 1);
    frontend_kick(&f, 0);
    cr_assert_eq(frontend_run(&f), 0);
    cr_assert_eq(f.held_count, 2u);
    cr_assert_eq(frontend_stop(&f, 0), 2u);
    cr_assert_eq(frontend_take(&f, 0), 2u);
    frontend_close(&f);
}

Test(host_backend, l3_memory_is_taken_away_while_a_ring_runs_and_stays_for_buffers_in_flight)
{
    struct frontend f;
    struct virtq_vhost_user_slot slot = {0, frontend_region(1)};

    frontend_open(&f, 0);
    frontend_greet(&f, VERSION_1);
    frontend_start(&f, 0, VERSION_1, 8);
    cr_assert_eq(virtq_vhost_user_backend_mapped(f.backend), 2u * FRONTEND_REGION);
    frontend_traffic(&f, 0, 4);
    f.hold = true;
    frontend_add(&f, 0, 0);
    frontend_kick(&f, 0);
    cr_assert_eq(frontend_run(&f), 0);
    cr_assert_eq(f.held_count, 1u);

    cr_assert_eq(frontend_try(&f, VHOST_USER_REM_MEM_REG, &slot, sizeof(slot), NULL, 0), 0);
    cr_assert_eq(virtq_vhost_user_backend_mapped(f.backend), 2u * FRONTEND_REGION);
    frontend_release(&f, 0);
    cr_assert_eq(frontend_take(&f, 0), 1u);
    cr_assert_eq(virtq_vhost_user_backend_process(f.backend), 0);
    cr_assert_eq(virtq_vhost_user_backend_mapped(f.backend), (uint64_t)FRONTEND_REGION);

    /* Twice is once too many; and it can come again, with no ring stopped. */
    cr_assert_eq(frontend_try(&f, VHOST_USER_REM_MEM_REG, &slot, sizeof(slot), NULL, 0), 1);
    cr_assert_eq(frontend_try(&f, VHOST_USER_ADD_MEM_REG, &slot, sizeof(slot), &f.file, 1), 0);
    f.hold = false;
    frontend_traffic(&f, 0, 8);
    cr_assert_eq(f.stopping, 0u);
    frontend_close(&f);
}

Test(host_backend, a_buffer_outside_of_all_memory_is_bad_and_harms_nobody)
{
    struct frontend f;
    struct virtq_vhost_user_memory memory = {.count = 1};
    struct virtq_completion completion;

    frontend_open(&f, 0);
    frontend_greet(&f, VERSION_1);
    frontend_start(&f, 0, VERSION_1, 8);
    memory.regions[0] = frontend_region(0);
    cr_assert_eq(frontend_try(&f, VHOST_USER_SET_MEM_TABLE, &memory, 8 + 32, &f.file, 1), 0);
    frontend_add(&f, 0, 0);
    frontend_kick(&f, 0);
    cr_assert_eq(frontend_run(&f), 0);
    cr_assert_eq(virtq_driver_poll(f.driver[0], &completion, 1), 1);
    cr_assert_eq(completion.len, 0u);
    /* Without the ring's own memory it is broken; the connection goes on. */
    memory.count = 0;
    cr_assert_eq(frontend_try(&f, VHOST_USER_SET_MEM_TABLE, &memory, 8, NULL, 0), 0);
    frontend_kick(&f, 0);
    cr_assert_eq(frontend_run(&f), 0);
    (void)frontend_stop(&f, 0);
    cr_assert_eq(virtq_vhost_user_backend_mapped(f.backend), 0u);
    frontend_close(&f);
}

/* An error's descriptor may be the kick's: a ring that told of each look would be looked at for
 * ever. */
Test(host_backend, a_ring_that_breaks_is_told_once)
{
    struct frontend f;
    const struct virtq_vhost_user_memory none = {.count = 0};
    struct virtq_vhost_user_memory memory = {.count = 1};
    const uint64_t zero = 0;
    int err = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    uint64_t count = 0;

    cr_assert(err >= 0);
    frontend_open(&f, 0);
    frontend_greet(&f, VERSION_1);
    memory.regions[0] = frontend_region(0);
    cr_assert_eq(frontend_try(&f, VHOST_USER_SET_VRING_ERR, &zero, 8, &err, 1), 0);
    for (unsigned round = 0; round < 2; round++) {
        cr_assert_eq(frontend_try(&f, VHOST_USER_SET_MEM_TABLE, &memory, 8 + 32, &f.file, 1), 0);
        frontend_start(&f, 0, VERSION_1, 8);
        cr_assert_eq(frontend_try(&f, VHOST_USER_SET_MEM_TABLE, &none, 8, NULL, 0), 0);
        for (unsigned look = 0; look < 3; look++) {
            frontend_kick(&f, 0);
            cr_assert_eq(frontend_run(&f), 0);
            cr_assert_eq(read(err, &count, sizeof(count)),
                         look == 0 ? (ssize_t)sizeof(count) : (ssize_t)-1);
        }
        (void)frontend_stop(&f, 0);
    }
    frontend_close(&f);
    cr_assert_eq(close(err), 0);
}

Test(host_backend, strict_takes_only_memory_that_cannot_shrink)
{
    struct frontend f;
    struct virtq_vhost_user_slot slot = {0, frontend_region(0)};
    uint64_t protocol;

    frontend_open(&f, VIRTQ_VHOST_USER_STRICT);
    protocol = frontend_ask(&f, VHOST_USER_GET_PROTOCOL_FEATURES);
    frontend_put(&f, VHOST_USER_SET_PROTOCOL_FEATURES, 0, &protocol, 8, NULL, 0);
    cr_assert_eq(frontend_try(&f, VHOST_USER_ADD_MEM_REG, &slot, sizeof(slot), &f.file, 1), 1);
    cr_assert_eq(f.last_refusal, VIRTQ_VHOST_USER_REFUSED_SEAL);
    cr_assert_eq(fcntl(f.file, F_ADD_SEALS, F_SEAL_SHRINK), 0);
    cr_assert_eq(frontend_try(&f, VHOST_USER_ADD_MEM_REG, &slot, sizeof(slot), &f.file, 1), 0);
    frontend_close(&f);
}

Test(host_backend, configuration_status_and_reset)
{
    struct frontend f;
    struct virtq_vhost_user_config config = {.offset = 4, .size = 8};
    const uint64_t features = VERSION_1 | FRONTEND_PROTOCOL;

    frontend_open(&f, 0);
    frontend_greet(&f, features);
    f.config[4] = 42;
    frontend_put(&f, VHOST_USER_GET_CONFIG, 0, &config, 12 + 8, NULL, 0);
    cr_assert_eq(frontend_run(&f), 0);
    cr_assert_eq(frontend_answer(&f, VHOST_USER_GET_CONFIG, &config, sizeof(config)), 20);
    cr_assert_eq(config.data[0], 42);
    config.data[0] = 43;
    cr_assert_eq(frontend_try(&f, VHOST_USER_SET_CONFIG, &config, 20, NULL, 0), 0);
    cr_assert_eq(f.config[4], 43);
    config.offset = 0;
    cr_assert_eq(frontend_try(&f, VHOST_USER_SET_CONFIG, &config, 20, NULL, 0), 1);
    cr_assert_eq(f.last_refusal, VIRTQ_VHOST_USER_REFUSED_DEVICE);
    /* What is not there is answered by nothing. */
    config.offset = FRONTEND_CONFIG - 7;
    frontend_put(&f, VHOST_USER_GET_CONFIG, 0, &config, 20, NULL, 0);
    cr_assert_eq(frontend_run(&f), 0);
    cr_assert_eq(frontend_answer(&f, VHOST_USER_GET_CONFIG, &config, sizeof(config)), 0);

    cr_assert_eq(frontend_ask(&f, VHOST_USER_GET_QUEUE_NUM), (uint64_t)FRONTEND_RINGS);
    cr_assert_eq(frontend_try_number(&f, VHOST_USER_SET_STATUS, 11), 0);
    cr_assert_eq(frontend_ask(&f, VHOST_USER_GET_STATUS), 11u);
    for (unsigned i = 0; i < 3; i++) {
        static const uint32_t ways[] = {VHOST_USER_RESET_DEVICE, VHOST_USER_RESET_OWNER,
                                        VHOST_USER_SET_STATUS};
        uint64_t zero = 0;

        frontend_start(&f, 1, features, 8);
        frontend_traffic(&f, 1, 3);
        cr_assert_eq(frontend_try(&f, ways[i], &zero, i == 2 ? 8 : 0, NULL, 0), 0);
        cr_assert_eq(f.resets, i + 1);
        cr_assert_eq(f.stopping, i + 1);
        cr_assert_eq(frontend_ask(&f, VHOST_USER_GET_STATUS), 0u);
    }
    frontend_close(&f);
}

/* Where a ring lay is the device's and is forgotten; where it is heard is the connection's: QEMU
 * says that once. */
Test(host_backend, after_a_reset_a_ring_is_described_anew)
{
    static const uint32_t ways[] = {VHOST_USER_RESET_DEVICE, VHOST_USER_RESET_OWNER,
                                    VHOST_USER_SET_STATUS};
    const uint64_t features = VERSION_1 | FRONTEND_PROTOCOL;
    const uint64_t zero = 0;
    struct virtq_vhost_user_addr addr;
    struct frontend f;

    frontend_open(&f, 0);
    frontend_greet(&f, features);
    for (unsigned i = 0; i < 12; i++) {
        const unsigned stopped = i / 3 % 2;

        frontend_start(&f, 0, features, 8);
        frontend_traffic(&f, 0, 3);
        if (stopped != 0) {
            cr_assert_eq(frontend_stop(&f, 0), 3u);
        }
        cr_assert_eq(frontend_try(&f, ways[i % 3], &zero, i % 3 == 2 ? 8 : 0, NULL, 0), 0);
        cr_assert_eq(virtq_vhost_user_vring_enabled(f.backend, 0), 0);
        addr = frontend_addr(&f, 0);
        cr_assert_eq(frontend_kick_message(&f, 0), 1, "%u", i);
        cr_assert_eq(f.last_refusal, (uint32_t)VIRTQ_VHOST_USER_REFUSED_ORDER);
        cr_assert_eq(frontend_try_state(&f, VHOST_USER_SET_VRING_NUM, 0, 8), 0);
        cr_assert_eq(frontend_kick_message(&f, 0), 1, "%u", i);
        cr_assert_eq(frontend_try(&f, VHOST_USER_SET_VRING_ADDR, &addr, sizeof(addr), NULL, 0), 0);
        /* The base was forgotten, and the ring is as the driver left it. */
        memset(f.guest + frontend_ring_at(0), 0, (size_t)f.layout.size);
        cr_assert_eq(frontend_kick_message(&f, 0), 0);
        cr_assert_eq(frontend_stop(&f, 0), 0u);
    }
    frontend_close(&f);
}

Test(host_backend, after_a_reset_a_ring_is_heard_where_it_was)
{
    const uint64_t features = VERSION_1 | FRONTEND_PROTOCOL;
    const uint64_t zero = 0;
    struct virtq_vhost_user_addr addr;
    struct frontend f;

    frontend_open(&f, 0);
    frontend_greet(&f, features);
    frontend_start(&f, 0, features, 8);
    cr_assert_eq(frontend_try(&f, VHOST_USER_RESET_DEVICE, &zero, 0, NULL, 0), 0);
    addr = frontend_addr(&f, 0);
    cr_assert_eq(frontend_try_state(&f, VHOST_USER_SET_VRING_NUM, 0, 8), 0);
    cr_assert_eq(frontend_try(&f, VHOST_USER_SET_VRING_ADDR, &addr, sizeof(addr), NULL, 0), 0);
    cr_assert_eq(frontend_kick_message(&f, 0), 0);
    cr_assert_eq(frontend_try_state(&f, VHOST_USER_SET_VRING_ENABLE, 0, 1), 0);
    frontend_traffic(&f, 0, 8);
    frontend_close(&f);
}

Test(host_backend, a_front_end_that_goes_away_leaves_stopped_rings)
{
    struct frontend f;

    frontend_open(&f, 0);
    frontend_greet(&f, VERSION_1);
    frontend_start(&f, 0, VERSION_1, 8);
    cr_assert_eq(close(f.socket), 0);
    f.socket = -1;
    cr_assert_eq(frontend_run(&f), VIRTQ_EPEER);
    cr_assert_eq(f.stopping, 1u);
    cr_assert_eq(virtq_vhost_user_backend_process(f.backend), VIRTQ_EPEER);
    cr_assert_eq(virtq_vhost_user_backend_refusal(f.backend), VIRTQ_VHOST_USER_ACCEPTED);
    frontend_close(&f);
    cr_assert_eq(f.stopping, 1u);
}

Test(host_backend, an_illegal_configuration_makes_nothing)
{
    struct virtq_vhost_user_backend_config good = VIRTQ_VHOST_USER_BACKEND_CONFIG_INIT;
    struct virtq_vhost_user_backend_config config;
    struct virtq_vhost_user_backend *backend = NULL;
    static unsigned char memory[64] __attribute__((aligned(64)));

    good.features = VERSION_1;
    cr_assert(virtq_vhost_user_backend_size(&good) > 0);
    cr_assert_eq(virtq_vhost_user_backend_init(memory, sizeof(memory), &good, &backend),
                 VIRTQ_ENOMEM);
    for (unsigned i = 0; i < 7; i++) {
        config = good;
        config.struct_size -= i == 0 ? 1 : 0;
        config.queue_count = i == 1 ? 0 : i == 2 ? VIRTQ_VHOST_USER_QUEUES_MAX + 1 : 1;
        config.queue_size = i == 3 ? 0 : i == 4 ? 32769 : 8;
        config.translations = i == 5 ? 15 : 0;
        config.config_size = i == 6 ? VIRTQ_VHOST_USER_CONFIG_MAX + 1 : 0;
        cr_assert_eq(virtq_vhost_user_backend_size(&config), 0u, "%u", i);
        cr_assert_eq(virtq_vhost_user_backend_init(memory, SIZE_MAX, &config, &backend),
                     VIRTQ_EINVAL);
    }
}
