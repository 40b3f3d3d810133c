/* SPDX-License-Identifier: BSD-3-Clause */
/* Our front-end against our back-end, which runs on a thread of its own: two programs but for the
 * process boundary. */
#include <fcntl.h>
#include <sys/socket.h>

#include "frontend_thread.h"
#include "virtq/host/memory.h"
#include "virtq/host/vhost_user_frontend.h"

#define VERSION_1 VIRTQ_FEATURE(VIRTIO_F_VERSION_1)
#define EVENT_IDX VIRTQ_FEATURE(VIRTIO_F_EVENT_IDX)
#define INDIRECT VIRTQ_FEATURE(VIRTIO_F_INDIRECT_DESC)
#define PACKED VIRTQ_FEATURE(VIRTIO_F_RING_PACKED)
#define BOTH ((uint32_t)VIRTQ_PERMISSION_READ | (uint32_t)VIRTQ_PERMISSION_WRITE)

enum { HALF = 1 << 18, PLACES = 0x20000, TABLES = 0x30000, PATIENCE = 60000 };

static const uint64_t shapes[] = {VERSION_1, VERSION_1 | EVENT_IDX | INDIRECT, VERSION_1 | PACKED,
                                  VERSION_1 | PACKED | EVENT_IDX | INDIRECT};
enum { SHAPES = sizeof(shapes) / sizeof(shapes[0]) };

struct rig {
    struct frontend_thread other; /* The other program. */
    struct virtq_vhost_user_frontend *frontend;
    void *memory;
    struct virtq_host_memory guest;
    struct virtq_vhost_user_share shares[2]; /* Its halves. */
    struct virtq_direct space;
    struct virtq_driver *driver;
    void *driver_memory;
    struct virtq_vhost_user_ring ring;
};

static void rig_open(struct rig *rig)
{
    struct virtq_vhost_user_frontend_config config = VIRTQ_VHOST_USER_FRONTEND_CONFIG_INIT;
    size_t size;
    int ends[2];

    memset(rig, 0, sizeof(*rig));
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    for (unsigned i = 0; i < FRONTEND_CONFIG; i++) {
        rig->other.device.config[i] = (unsigned char)(i + 1);
    }
    frontend_thread_open(&rig->other, ends[0], 0);
    config.socket = ends[1];
    config.queue_count = FRONTEND_RINGS;
    config.deadline = PATIENCE;
    size = virtq_vhost_user_frontend_size(&config);
    rig->memory = aligned_alloc(VIRTQ_CACHE_LINE, size);
    cr_assert_eq(virtq_vhost_user_frontend_init(rig->memory, size, &config, &rig->frontend), 0);
    cr_assert_eq(virtq_host_memory_init(&rig->guest, 2 * HALF, VIRTQ_HOST_MEMORY_SMALL_PAGES), 0);
    for (unsigned i = 0; i < 2; i++) {
        rig->shares[i] = (struct virtq_vhost_user_share){.base = (unsigned char *)rig->guest.base +
                                                                 (size_t)i * HALF,
                                                         .size = HALF,
                                                         .address = 0x100000 + (uint64_t)i * HALF,
                                                         .offset = (uint64_t)i * HALF,
                                                         .fd = rig->guest.fd};
    }
    cr_assert_eq(
        virtq_direct_init(&rig->space, rig->guest.base, 0x100000, 0x100000 + 2 * HALF - 1, BOTH),
        0);
    cr_assert_eq(virtq_vhost_user_frontend_greet(rig->frontend), 0);
}

static void rig_close(struct rig *rig)
{
    virtq_vhost_user_frontend_fini(rig->frontend);
    frontend_thread_close(&rig->other);
    virtq_host_memory_fini(&rig->guest);
    free(rig->driver_memory);
    free(rig->memory);
}

/* A new queue of a shape, in the first half. */
static void make_queue(struct rig *rig, uint64_t features, uint32_t size)
{
    struct virtq_driver_config config = VIRTQ_DRIVER_CONFIG_INIT;
    struct virtq_layout layout;
    unsigned char *base = rig->guest.base;

    config.format = (features & PACKED) != 0 ? VIRTQ_FORMAT_PACKED : VIRTQ_FORMAT_SPLIT;
    config.size = size;
    config.features = features;
    config.segments_max = 2;
    config.space = &rig->space.space;
    config.tables = (features & INDIRECT) != 0 ? base + TABLES : NULL;
    cr_assert_eq(virtq_layout_init((enum virtq_format)config.format, size, &layout), 0);
    virtq_layout_areas(&layout, base + 0x1000, &config.areas);
    free(rig->driver_memory);
    rig->driver_memory = aligned_alloc(VIRTQ_CACHE_LINE, virtq_driver_size(&config));
    cr_assert_eq(
        virtq_driver_init(rig->driver_memory, virtq_driver_size(&config), &config, &rig->driver),
        0);
    memset(&rig->ring, 0, sizeof(rig->ring));
    rig->ring.struct_size = sizeof(rig->ring);
    rig->ring.size = size;
    rig->ring.areas = config.areas;
    virtq_driver_addresses(rig->driver, &rig->ring.addresses);
}

/* One buffer there and back, its answer in any memory that was given. */
static void carry(struct rig *rig, uint32_t index, unsigned char *place, unsigned round)
{
    struct virtq_segment segments[2] = {{.base = place, .len = 8}, {.base = place + 64, .len = 8}};
    struct virtq_buffer buffer = {.segments = segments, .readable = 1, .writable = 1};
    struct pollfd called = {virtq_vhost_user_frontend_call_fd(rig->frontend, index), POLLIN, 0};
    struct virtq_completion completion = {0};

    for (unsigned i = 0; i < 8; i++) {
        place[i] = (unsigned char)(round * 8 + i);
        place[64 + i] = place[i];
    }
    cr_assert_eq(virtq_driver_add(rig->driver, &buffer, 1), 1);
    cr_assert_eq(virtq_driver_publish(rig->driver), 1u);
    if (virtq_driver_needs_notify(rig->driver, NULL)) {
        virtq_vhost_user_frontend_kick(rig->frontend, index);
    }
    while (!virtq_driver_enable_notify(rig->driver)) {
        cr_assert_eq(poll(&called, 1, PATIENCE), 1, "no interrupt");
        (void)virtq_vhost_user_frontend_called(rig->frontend, index);
    }
    cr_assert_eq(virtq_driver_poll(rig->driver, &completion, 1), 1);
    cr_assert_eq(completion.len, 8u);
    for (unsigned i = 0; i < 8; i++) {
        cr_assert_eq(place[64 + i], 255 - place[i]);
    }
}

static void stop_where_the_driver_is(struct rig *rig, uint32_t index, struct virtq_state *state)
{
    uint32_t base = 0;

    cr_assert_eq(virtq_vhost_user_frontend_stop(rig->frontend, index, &base), 0);
    cr_assert_eq(virtq_driver_save(rig->driver, state), 0);
    cr_assert_eq(base, virtq_state_to_base(state));
}

Test(host_frontend, buffers_go_there_and_back_and_a_ring_goes_on_where_it_stopped)
{
    for (unsigned i = 0; i < 2 * SHAPES; i++) {
        struct rig rig;
        struct virtq_state state = {0};
        const bool slots = i >= SHAPES;
        const uint32_t index = i % 2;

        rig_open(&rig);
        cr_assert_eq(virtq_vhost_user_frontend_offered(rig.frontend), FRONTEND_OFFERED);
        cr_assert_eq(virtq_vhost_user_frontend_queues(rig.frontend), (uint32_t)FRONTEND_RINGS);
        cr_assert_eq(virtq_vhost_user_frontend_accept(rig.frontend, shapes[i % SHAPES]), 0);
        if (slots) {
            cr_assert_eq(virtq_vhost_user_frontend_add_memory(rig.frontend, &rig.shares[1]), 0);
            cr_assert_eq(virtq_vhost_user_frontend_add_memory(rig.frontend, &rig.shares[0]), 0);
        } else {
            cr_assert_eq(virtq_vhost_user_frontend_set_memory(rig.frontend, rig.shares, 2), 0);
        }
        make_queue(&rig, shapes[i % SHAPES], 8);
        cr_assert_eq(virtq_vhost_user_frontend_start(rig.frontend, index, &rig.ring), 0);
        for (unsigned lap = 0; lap < 3; lap++) {
            for (unsigned round = 0; round < 21; round++) {
                carry(&rig, index, (unsigned char *)rig.shares[round % 2].base + PLACES, round);
            }
            stop_where_the_driver_is(&rig, index, &state);
            rig.ring.state = &state;
            cr_assert_eq(virtq_vhost_user_frontend_start(rig.frontend, index, &rig.ring), 0);
        }
        cr_assert_eq(virtq_vhost_user_frontend_start(rig.frontend, index, &rig.ring), VIRTQ_EBUSY);
        cr_assert_eq(virtq_vhost_user_frontend_process(rig.frontend), 0);
        cr_assert_eq(rig.other.device.refused, 0u);
        rig_close(&rig);
    }
}

Test(host_frontend, a_connection_goes_on_with_other_features_and_another_ring)
{
    struct rig rig;

    rig_open(&rig);
    cr_assert_eq(virtq_vhost_user_frontend_set_memory(rig.frontend, rig.shares, 2), 0);
    for (unsigned i = 0; i < 3 * SHAPES; i++) {
        const uint64_t features = shapes[i * 3 % SHAPES];

        cr_assert_eq(virtq_vhost_user_frontend_accept(rig.frontend, features), 0);
        make_queue(&rig, features, (features & PACKED) != 0 ? 7 + i : 16);
        cr_assert_eq(virtq_vhost_user_frontend_start(rig.frontend, 0, &rig.ring), 0);
        cr_assert_eq(virtq_vhost_user_frontend_accept(rig.frontend, features ^ EVENT_IDX),
                     VIRTQ_EBUSY);
        carry(&rig, 0, (unsigned char *)rig.guest.base + PLACES, i);
        cr_assert_eq(virtq_vhost_user_frontend_stop(rig.frontend, 0, NULL), 0);
        cr_assert_eq(virtq_vhost_user_frontend_stop(rig.frontend, 0, NULL), VIRTQ_EINVAL);
    }
    rig_close(&rig);
}

Test(host_frontend, memory_comes_and_goes_while_a_ring_runs)
{
    struct rig rig;

    rig_open(&rig);
    cr_assert_eq(virtq_vhost_user_frontend_accept(rig.frontend, VERSION_1 | PACKED), 0);
    cr_assert_eq(virtq_vhost_user_frontend_set_memory(rig.frontend, rig.shares, 1), 0);
    make_queue(&rig, VERSION_1 | PACKED, 8);
    cr_assert_eq(virtq_vhost_user_frontend_start(rig.frontend, 0, &rig.ring), 0);
    for (unsigned round = 0; round < 8; round++) {
        carry(&rig, 0, (unsigned char *)rig.shares[0].base + PLACES, round);
        cr_assert_eq(virtq_vhost_user_frontend_add_memory(rig.frontend, &rig.shares[1]), 0);
        carry(&rig, 0, (unsigned char *)rig.shares[1].base + PLACES, round);
        /* It lies over itself. */
        cr_assert_eq(virtq_vhost_user_frontend_add_memory(rig.frontend, &rig.shares[1]),
                     VIRTQ_ENOTSUP);
        cr_assert_eq(virtq_vhost_user_frontend_refusal(rig.frontend),
                     VIRTQ_VHOST_USER_REFUSED_DEVICE);
        cr_assert_eq(virtq_vhost_user_frontend_remove_memory(rig.frontend, &rig.shares[1]), 0);
        cr_assert_eq(virtq_vhost_user_frontend_remove_memory(rig.frontend, &rig.shares[1]),
                     VIRTQ_ENOTSUP);
    }
    rig_close(&rig);
}

Test(host_frontend, the_configuration_space_is_read_and_written)
{
    struct rig rig;
    unsigned char bytes[FRONTEND_CONFIG] = {0};

    rig_open(&rig);
    cr_assert_eq(virtq_vhost_user_frontend_read_config(rig.frontend, 0, bytes, sizeof(bytes)), 0);
    for (unsigned i = 0; i < FRONTEND_CONFIG; i++) {
        cr_assert_eq(bytes[i], i + 1);
    }
    cr_assert_eq(virtq_vhost_user_frontend_write_config(rig.frontend, 4, "abc", 3), 0);
    cr_assert_eq(virtq_vhost_user_frontend_read_config(rig.frontend, 3, bytes, 5), 0);
    cr_assert_eq(memcmp(bytes, "\4abc\10", 5), 0);
    /* The first byte is the device's own; and there is no more than all of it. */
    cr_assert_eq(virtq_vhost_user_frontend_write_config(rig.frontend, 0, "x", 1), VIRTQ_ENOTSUP);
    cr_assert_eq(virtq_vhost_user_frontend_read_config(rig.frontend, FRONTEND_CONFIG, bytes, 1),
                 VIRTQ_ENOTSUP);
    cr_assert_eq(virtq_vhost_user_frontend_read_config(rig.frontend, 0, bytes, 0), VIRTQ_EINVAL);
    cr_assert_eq(virtq_vhost_user_frontend_read_config(rig.frontend, UINT32_MAX, bytes, 2),
                 VIRTQ_EINVAL);
    rig_close(&rig);
}

Test(host_frontend, a_device_is_reset_and_its_status_is_its_own)
{
    struct rig rig;

    rig_open(&rig);
    cr_assert_eq(virtq_vhost_user_frontend_accept(rig.frontend, VERSION_1), 0);
    cr_assert_eq(virtq_vhost_user_frontend_set_memory(rig.frontend, rig.shares, 2), 0);
    cr_assert_eq(virtq_vhost_user_frontend_set_status(rig.frontend, 15), 0);
    cr_assert_eq(virtq_vhost_user_frontend_status(rig.frontend), 15);
    cr_assert_eq(virtq_vhost_user_frontend_set_status(rig.frontend, 0), VIRTQ_EINVAL);
    cr_assert_eq(virtq_vhost_user_frontend_set_status(rig.frontend, 256), VIRTQ_EINVAL);
    make_queue(&rig, VERSION_1, 8);
    cr_assert_eq(virtq_vhost_user_frontend_start(rig.frontend, 0, &rig.ring), 0);
    cr_assert_eq(virtq_vhost_user_frontend_reset(rig.frontend), 0);
    cr_assert_eq(virtq_vhost_user_frontend_stop(rig.frontend, 0, NULL), VIRTQ_EINVAL);
    cr_assert_eq(virtq_vhost_user_frontend_status(rig.frontend), 0);
    rig_close(&rig);
    cr_assert_eq(rig.other.device.resets, 1u);
}

Test(host_frontend, a_ring_that_is_disabled_has_no_effect)
{
    struct rig rig;

    rig_open(&rig);
    cr_assert_eq(virtq_vhost_user_frontend_accept(rig.frontend, VERSION_1), 0);
    cr_assert_eq(virtq_vhost_user_frontend_set_memory(rig.frontend, rig.shares, 2), 0);
    make_queue(&rig, VERSION_1, 8);
    cr_assert_eq(virtq_vhost_user_frontend_enable(rig.frontend, 0, 0), VIRTQ_EINVAL);
    cr_assert_eq(virtq_vhost_user_frontend_start(rig.frontend, 0, &rig.ring), 0);
    cr_assert_eq(virtq_vhost_user_frontend_enable(rig.frontend, 0, 0), 0);
    cr_assert_eq(virtq_vhost_user_vring_enabled(rig.other.device.backend, 0), 0);
    cr_assert_eq(virtq_vhost_user_frontend_enable(rig.frontend, 0, 1), 0);
    carry(&rig, 0, (unsigned char *)rig.guest.base + PLACES, 1);
    rig_close(&rig);
}

Test(host_frontend, the_end_of_a_back_end_is_noticed)
{
    struct rig rig;
    struct pollfd ready;

    rig_open(&rig);
    cr_assert_eq(virtq_vhost_user_frontend_process(rig.frontend), 0);
    /* What nobody understands ends it. */
    cr_assert_eq(virtq_vhost_user_frontend_accept(rig.frontend, VERSION_1), 0);
    frontend_thread_kill(&rig.other);
    ready = (struct pollfd){virtq_vhost_user_frontend_fd(rig.frontend), POLLIN, 0};
    cr_assert_eq(poll(&ready, 1, PATIENCE), 1);
    cr_assert_eq(virtq_vhost_user_frontend_process(rig.frontend), VIRTQ_EPEER);
    cr_assert_eq(virtq_vhost_user_frontend_accept(rig.frontend, VERSION_1), VIRTQ_EPEER);
    cr_assert_eq(poll(&ready, 1, 0), 1, "the end stays readable");
    rig_close(&rig);
}

Test(host_memory, is_zeroed_and_can_become_neither_shorter_nor_longer)
{
    struct virtq_host_memory memory;
    const uint64_t sizes[] = {1, 4096, 5 << 20};

    for (unsigned i = 0; i < 6; i++) {
        const uint64_t size = sizes[i % 3];
        unsigned char *bytes;

        cr_assert_eq(virtq_host_memory_init(&memory, size, i / 3), 0);
        bytes = memory.base;
        cr_assert(memory.size >= size && memory.size % memory.page == 0);
        cr_assert_eq((uintptr_t)memory.base % memory.page, 0u);
        cr_assert_eq(bytes[0] + bytes[memory.size - 1], 0);
        cr_assert(ftruncate(memory.fd, 0) != 0);
        cr_assert(ftruncate(memory.fd, (off_t)memory.size * 2) != 0);
        cr_assert((fcntl(memory.fd, F_GET_SEALS) & F_SEAL_SHRINK) != 0);
        virtq_host_memory_fini(&memory);
    }
    cr_assert_eq(virtq_host_memory_init(&memory, 0, 0), VIRTQ_EINVAL);
    cr_assert_eq(virtq_host_memory_init(&memory, UINT64_MAX, 0), VIRTQ_EINVAL);
    cr_assert_eq(virtq_host_memory_init(&memory, 1, 2), VIRTQ_EINVAL);
}
