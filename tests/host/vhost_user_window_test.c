/* SPDX-License-Identifier: BSD-3-Clause */
/* A back-end that is given only a part of the guest's memory, whatever the front-end offers. */
#include "frontend.h"

#define VERSION_1 VIRTQ_FEATURE(VIRTIO_F_VERSION_1)
#define PACKED VIRTQ_FEATURE(VIRTIO_F_RING_PACKED)

enum { PAGE = 4096 };

/* The front-end's guest, with a back-end that may use `size` bytes from `first` on. */
static void open_narrow(struct frontend *f, uint64_t first, uint64_t size)
{
    struct virtq_vhost_user_backend_config config = VIRTQ_VHOST_USER_BACKEND_CONFIG_INIT;
    int ends[2];

    frontend_open(f, 0);
    virtq_vhost_user_backend_fini(f->backend);
    cr_assert_eq(close(f->socket), 0);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    f->socket = ends[1];
    config.socket = ends[0];
    config.features = FRONTEND_OFFERED;
    config.queue_count = FRONTEND_RINGS;
    config.config_size = FRONTEND_CONFIG;
    config.ops = &frontend_ops;
    config.opaque = f;
    config.window_first = first;
    config.window_size = size;
    cr_assert_eq(virtq_vhost_user_backend_init(f->memory, virtq_vhost_user_backend_size(&config),
                                               &config, &f->backend),
                 0);
}

Test(host_window, all_works_inside_of_it_and_nothing_else_is_mapped)
{
    for (unsigned i = 0; i < 2; i++) {
        const uint64_t features = i == 0 ? VERSION_1 : VERSION_1 | PACKED;
        /* The first region from its second page on, where the ring lies, and the first page of the
         * second one, where the buffers do. */
        const uint64_t end = frontend_guest[1] + PAGE;
        struct frontend f;

        cr_assert(frontend_guest[1] > frontend_guest[0]);
        open_narrow(&f, frontend_guest[0] + PAGE, end - frontend_guest[0] - PAGE);
        frontend_greet(&f, features);
        cr_assert_eq(virtq_vhost_user_backend_mapped(f.backend), (uint64_t)FRONTEND_REGION);
        frontend_start(&f, 0, features, 8);
        frontend_traffic(&f, 0, 20);
        cr_assert_eq(f.refused, 0u);
        frontend_close(&f);
    }
}

Test(host_window, a_part_of_a_page_is_enough)
{
    struct frontend f;

    open_narrow(&f, frontend_guest[0], frontend_guest[1] + 3 * 64 - frontend_guest[0]);
    frontend_greet(&f, VERSION_1);
    frontend_start(&f, 0, VERSION_1, 8);
    for (unsigned i = 0; i < 4; i++) {
        frontend_add(&f, 0, i);
    }
    frontend_kick(&f, 0);
    cr_assert_eq(frontend_run(&f), 0);
    for (unsigned i = 0; i < 4; i++) {
        struct virtq_completion completion;

        cr_assert_eq(virtq_driver_poll(f.driver[0], &completion, 1), 1);
        /* The last one begins behind the window, in the page that is mapped. */
        cr_assert_eq(completion.len, i < 3 ? 4u : 0u);
    }
    frontend_close(&f);
}

Test(host_window, a_buffer_outside_of_it_is_bad_and_stays_as_it_is)
{
    struct frontend f;
    struct virtq_completion completion;
    unsigned char *place;

    open_narrow(&f, frontend_guest[0], FRONTEND_REGION);
    frontend_greet(&f, VERSION_1);
    cr_assert_eq(virtq_vhost_user_backend_mapped(f.backend), (uint64_t)FRONTEND_REGION);
    frontend_start(&f, 0, VERSION_1, 8);
    frontend_add(&f, 0, 3);
    frontend_kick(&f, 0);
    cr_assert_eq(frontend_run(&f), 0);
    cr_assert_eq(virtq_driver_poll(f.driver[0], &completion, 1), 1);
    cr_assert_eq(completion.len, 0u);
    place = completion.cookie;
    cr_assert(place[32] == 0 && place[33] == 0 && place[34] == 0 && place[35] == 0);
    frontend_close(&f);
}

Test(host_window, a_ring_outside_of_it_is_refused_by_name)
{
    struct frontend f;
    const struct virtq_driver_config made = VIRTQ_DRIVER_CONFIG_INIT;

    open_narrow(&f, frontend_guest[1], FRONTEND_REGION);
    frontend_greet(&f, VERSION_1);
    cr_assert_eq(virtq_layout_init((enum virtq_format)made.format, 8, &f.layout), 0);
    frontend_describe(&f, 0, 8, 0);
    cr_assert_eq(frontend_kick_message(&f, 0), 1);
    cr_assert_eq(f.last_refusal, (uint32_t)VIRTQ_VHOST_USER_REFUSED_PLACE);
    cr_assert_eq(f.started, 0u);
    frontend_close(&f);
}

Test(host_window, memory_that_it_has_nothing_of_comes_and_goes_unmapped)
{
    struct frontend f;
    struct virtq_vhost_user_slot slot = {0, frontend_region(1)};

    open_narrow(&f, frontend_guest[0] + PAGE, PAGE);
    frontend_greet(&f, VERSION_1);
    cr_assert_eq(virtq_vhost_user_backend_mapped(f.backend), (uint64_t)PAGE);
    cr_assert_eq(frontend_try(&f, VHOST_USER_REM_MEM_REG, &slot, sizeof(slot), NULL, 0), 0);
    cr_assert_eq(frontend_try(&f, VHOST_USER_REM_MEM_REG, &slot, sizeof(slot), NULL, 0), 1);
    cr_assert_eq(frontend_try(&f, VHOST_USER_ADD_MEM_REG, &slot, sizeof(slot), &f.file, 1), 0);
    cr_assert_eq(virtq_vhost_user_backend_mapped(f.backend), (uint64_t)PAGE);
    frontend_close(&f);
}

Test(host_window, l6_a_window_that_has_no_last_byte_is_refused)
{
    struct virtq_vhost_user_backend_config config = VIRTQ_VHOST_USER_BACKEND_CONFIG_INIT;

    config.window_first = UINT64_MAX - 4095;
    config.window_size = 4096;
    cr_assert_neq(virtq_vhost_user_backend_size(&config), 0u);
    config.window_size = 4097;
    cr_assert_eq(virtq_vhost_user_backend_size(&config), 0u);
}

Test(host_backend, a_byte_here_is_found_in_the_guest_and_any_other_is_not)
{
    struct frontend f;
    virtq_addr_t addr = 7;
    void *here;

    open_narrow(&f, frontend_guest[0] + PAGE, PAGE);
    cr_assert_eq(virtq_vhost_user_backend_locate(f.backend, &f, &addr), 0);
    frontend_greet(&f, VERSION_1);
    cr_assert_eq(virtq_vhost_user_backend_locate(f.backend, &f, &addr), 0);
    cr_assert_eq(virtq_vhost_user_backend_locate(f.backend, NULL, &addr), 0);
    cr_assert_eq(addr, 7u);
    frontend_close(&f);

    frontend_open(&f, 0);
    frontend_greet(&f, VERSION_1);
    frontend_start(&f, 0, VERSION_1, 8);
    f.hold = true;
    frontend_add(&f, 0, 2);
    frontend_kick(&f, 0);
    cr_assert_eq(frontend_run(&f), 0);
    cr_assert_eq(f.held_count, 1u);
    here = f.held_pieces[0][0].base;
    cr_assert_eq(virtq_vhost_user_backend_locate(f.backend, here, &addr), 1);
    cr_assert_eq(addr, frontend_guest[1] + 2 * 64);
    frontend_release(&f, 0);
    frontend_close(&f);
}
