/* SPDX-License-Identifier: BSD-3-Clause */
/* A ring and its driver end, against our back-end and against a scripted one. */
#include <sched.h>

#include "frontend_peer.h"
#include "frontend_rig.h"

/* Where the driver stands, in buffers. */
static uint32_t stands(const struct rig *rig)
{
    struct virtq_state state = {0};

    cr_assert_eq(virtq_driver_save(rig->driver, &state), 0);
    return virtq_state_to_base(&state);
}

static void open_queue(struct rig *rig, uint64_t features, uint64_t protocol)
{
    rig_open(rig, features, protocol);
    cr_assert_eq(rig_take_space(rig), 0);
    rig_make_queue(rig);
}

static void close_queue(struct rig *rig)
{
    virtq_vhost_user_queue_fini(rig->queue);
    virtq_vhost_user_space_fini(rig->space);
    rig_close(rig);
}

Test(host_frontend_queue, goes_on_where_it_stopped)
{
    for (unsigned i = 0; i < 2 * RIG_SHAPES; i++) {
        struct rig rig;
        uint32_t base = 0;

        rig_open(&rig, rig_shapes[i % RIG_SHAPES], UINT64_MAX);
        rig.made.index = i % 2;
        rig.made.size = (rig_shapes[i % RIG_SHAPES] & RIG_PACKED) != 0 ? 7 : 8;
        cr_assert_eq(rig_take_space(&rig), 0);
        rig_make_queue(&rig);
        for (unsigned lap = 0; lap < 3; lap++) {
            cr_assert_eq(virtq_vhost_user_queue_start(rig.queue), 0);
            cr_assert_eq(virtq_vhost_user_queue_start(rig.queue), VIRTQ_EBUSY);
            cr_assert_eq(virtq_vhost_user_frontend_ready(rig.frontend), 0);
            cr_assert(lap == 0 || stands(&rig) == base, "it began anew");
            rig_traffic(&rig, 20);
            cr_assert_eq(virtq_vhost_user_queue_stop(rig.queue), 0);
            cr_assert_eq(virtq_vhost_user_queue_stop(rig.queue), VIRTQ_EINVAL);
            base = stands(&rig);
        }
        cr_assert_eq(virtq_vhost_user_frontend_status(rig.frontend), 15);
        cr_assert_eq(rig.other.device.refused, 0u);
        close_queue(&rig);
    }
}

Test(host_frontend_queue, begins_anew_once_buffers_were_taken_from_it)
{
    for (unsigned i = 0; i < RIG_SHAPES; i++) {
        struct rig rig;
        uint32_t base;
        void *cookie;

        open_queue(&rig, rig_shapes[i], UINT64_MAX);
        base = stands(&rig);
        for (unsigned lap = 0; lap < 3; lap++) {
            cr_assert_eq(virtq_vhost_user_queue_start(rig.queue), 0);
            cr_assert_eq(stands(&rig), base, "it went on");
            rig_traffic(&rig, 5 + lap);
            rig_add(&rig, 1);
            cr_assert_eq(virtq_vhost_user_queue_stop(rig.queue), 0);
            cr_assert_eq(virtq_vhost_user_queue_start(rig.queue), VIRTQ_EBUSY);
            cr_assert_eq(virtq_driver_detach(rig.driver, &cookie), 1);
            cr_assert_eq(cookie, (void *)rig_place(&rig, 1));
        }
        /* And again goes on, now that nothing is missing any more. */
        cr_assert_eq(virtq_vhost_user_queue_start(rig.queue), 0);
        rig_traffic(&rig, 5);
        base = stands(&rig);
        cr_assert_eq(virtq_vhost_user_queue_stop(rig.queue), 0);
        cr_assert_eq(virtq_vhost_user_queue_start(rig.queue), 0);
        cr_assert_eq(stands(&rig), base);
        rig_traffic(&rig, 5);
        cr_assert_eq(virtq_vhost_user_queue_stop(rig.queue), 0);
        close_queue(&rig);
    }
}

Test(host_frontend_queue, begins_anew_after_a_reset_of_the_device)
{
    struct rig rig;
    uint32_t base;

    open_queue(&rig, RIG_VERSION_1, UINT64_MAX);
    base = stands(&rig);
    cr_assert_eq(virtq_vhost_user_queue_start(rig.queue), 0);
    rig_traffic(&rig, 5);
    cr_assert_eq(virtq_vhost_user_frontend_reset(rig.frontend), 0);
    cr_assert_eq(virtq_vhost_user_queue_stop(rig.queue), VIRTQ_EINVAL);
    cr_assert_eq(virtq_vhost_user_queue_start(rig.queue), 0);
    cr_assert_eq(stands(&rig), base);
    rig_traffic(&rig, 5);
    cr_assert_eq(virtq_vhost_user_queue_stop(rig.queue), 0);
    close_queue(&rig);
}

Test(host_frontend_queue, takes_along_what_was_added_before_it_first_starts)
{
    struct rig rig;

    open_queue(&rig, RIG_VERSION_1, UINT64_MAX);
    rig_add(&rig, 3);
    cr_assert_eq(virtq_vhost_user_queue_publish(rig.queue), 1u);
    cr_assert_eq(virtq_vhost_user_queue_start(rig.queue), 0);
    rig_expect(&rig);
    cr_assert_eq(virtq_vhost_user_queue_stop(rig.queue), 0);
    close_queue(&rig);
}

Test(host_frontend_queue, waits_no_longer_than_it_is_told_to)
{
    struct virtq_completion completion;
    struct rig rig;

    open_queue(&rig, RIG_VERSION_1, UINT64_MAX);
    cr_assert_eq(virtq_vhost_user_queue_start(rig.queue), 0);
    cr_assert_eq(virtq_vhost_user_queue_take(rig.queue, &completion, 1, 0), 0);
    cr_assert_eq(virtq_vhost_user_queue_take(rig.queue, &completion, 1, 5), 0);
    cr_assert_eq(virtq_vhost_user_frontend_wait(rig.frontend, 0, FRONTEND_RINGS, 5), 0);
    cr_assert_eq(virtq_vhost_user_frontend_wait(rig.frontend, 0, 0, 5), VIRTQ_EINVAL);
    cr_assert_eq(virtq_vhost_user_frontend_wait(rig.frontend, 1, FRONTEND_RINGS, 5), VIRTQ_EINVAL);
    cr_assert_eq(virtq_vhost_user_frontend_wait(rig.frontend, UINT32_MAX, 2, 5), VIRTQ_EINVAL);
    /* One of several rings. */
    cr_assert(!virtq_driver_enable_notify(rig.driver));
    rig_add(&rig, 0);
    cr_assert_eq(virtq_vhost_user_queue_publish(rig.queue), 1u);
    cr_assert_eq(virtq_vhost_user_frontend_wait(rig.frontend, 0, FRONTEND_RINGS, UINT32_MAX), 1);
    cr_assert_eq(virtq_vhost_user_frontend_called(rig.frontend, 0), 0, "it was not taken");
    rig_expect(&rig);
    cr_assert_eq(virtq_vhost_user_queue_stop(rig.queue), 0);
    close_queue(&rig);
}

static uint32_t enough;

/* Notifies of nothing. */
static void *call_for_ever(void *opaque)
{
    const int call = virtq_vhost_user_frontend_call_fd(((struct rig *)opaque)->frontend, 0);
    const uint64_t one = 1;

    while (__atomic_load_n(&enough, __ATOMIC_ACQUIRE) == 0) {
        (void)!write(call, &one, sizeof(one));
        sched_yield();
    }
    return NULL;
}

Test(host_frontend_queue, notifications_without_end_are_no_reason_to_wait_for_ever)
{
    struct virtq_completion completion;
    pthread_t thread;
    struct rig rig;

    open_queue(&rig, RIG_VERSION_1, UINT64_MAX);
    cr_assert_eq(virtq_vhost_user_queue_start(rig.queue), 0);
    __atomic_store_n(&enough, 0u, __ATOMIC_RELEASE);
    cr_assert_eq(pthread_create(&thread, NULL, call_for_ever, &rig), 0);
    cr_assert_eq(virtq_vhost_user_queue_take(rig.queue, &completion, 1, 50), 0);
    __atomic_store_n(&enough, 1u, __ATOMIC_RELEASE);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    cr_assert_eq(virtq_vhost_user_queue_stop(rig.queue), 0);
    close_queue(&rig);
}

Test(host_frontend_queue, gives_what_was_used_before_the_end_and_then_says_so)
{
    struct virtq_completion completion;
    struct rig rig;

    open_queue(&rig, RIG_VERSION_1, UINT64_MAX);
    cr_assert_eq(virtq_vhost_user_queue_start(rig.queue), 0);
    cr_assert(!virtq_driver_enable_notify(rig.driver));
    rig_add(&rig, 0);
    rig_add(&rig, 1);
    cr_assert_eq(virtq_vhost_user_queue_publish(rig.queue), 2u);
    cr_assert_eq(virtq_vhost_user_frontend_wait(rig.frontend, 0, 1, RIG_PATIENCE), 1);
    frontend_thread_kill(&rig.other);
    rig_expect(&rig);
    rig_expect(&rig);
    cr_assert_eq(virtq_vhost_user_queue_take(rig.queue, &completion, 1, RIG_PATIENCE), VIRTQ_EPEER);
    cr_assert_eq(virtq_vhost_user_queue_take(rig.queue, &completion, 1, 0), 0);
    cr_assert_eq(virtq_vhost_user_queue_stop(rig.queue), VIRTQ_EPEER);
    cr_assert_eq(virtq_vhost_user_queue_start(rig.queue), VIRTQ_EPEER);
    close_queue(&rig);
}

Test(host_frontend_queue, an_illegal_one_is_not_made)
{
    struct virtq_vhost_user_queue_config good;
    struct virtq_vhost_user_queue *queue;
    unsigned char *memory;
    struct rig rig;
    size_t size;

    open_queue(&rig, RIG_VERSION_1 | RIG_MORE, UINT64_MAX);
    good = rig.made;
    size = virtq_vhost_user_queue_size(&good);
    memory = aligned_alloc(VIRTQ_CACHE_LINE, size);
    for (unsigned i = 0; i < 9; i++) {
        rig.made = good;
        rig.made.struct_size -= i == 0;
        rig.made.index += i == 1 ? FRONTEND_RINGS : 0;
        rig.made.size += i == 2;
        rig.made.reserved_ = i == 3;
        rig.made.frontend = i == 4 ? NULL : rig.frontend;
        rig.made.space = i == 5 ? NULL : good.space;
        rig.made.ring = i == 6 ? NULL : i == 7 ? (unsigned char *)good.ring + 16 : good.ring;
        rig.made.flags = i == 8 ? 1u << 31 : 0;
        cr_assert_eq(virtq_vhost_user_queue_init(memory, size, &rig.made, &queue), VIRTQ_EINVAL,
                     "row %u", i);
        cr_assert(i > 4 || virtq_vhost_user_queue_ring_size(&rig.made) == 0, "row %u", i);
    }
    cr_assert_eq(virtq_vhost_user_queue_init(memory, size - 1, &good, &queue), VIRTQ_ENOMEM);
    cr_assert_eq(virtq_vhost_user_queue_init(memory + 8, size, &good, &queue), VIRTQ_EINVAL);
    /* Enough for each space, where none is said; and whole pages. */
    rig.made = good;
    rig.made.space = NULL;
    size = virtq_vhost_user_queue_ring_size(&rig.made);
    cr_assert(size % RIG_PAGE == 0 && size >= virtq_vhost_user_queue_ring_size(&good));
    free(memory);
    close_queue(&rig);
}

/* A queue on memory of nobody's, at a scripted back-end. */
struct scripted {
    struct peer peer;
    struct virtq_direct space;
    struct virtq_vhost_user_queue *queue;
    void *memory, *ring;
};

static void scripted_open(struct scripted *s)
{
    struct virtq_vhost_user_queue_config config = VIRTQ_VHOST_USER_QUEUE_CONFIG_INIT;
    size_t size;

    peer_open(&s->peer, PATIENCE);
    peer_greet(&s->peer, PROTOCOL & ~VIRTQ_FEATURE(VHOST_USER_PROTOCOL_F_STATUS));
    peer_accept(&s->peer, VERSION_1);
    config.frontend = s->peer.frontend;
    config.size = 8;
    s->ring = aligned_alloc(RIG_PAGE, RIG_PAGE);
    cr_assert_eq(virtq_vhost_user_queue_ring_size(&config), (size_t)RIG_PAGE);
    cr_assert_eq(virtq_direct_init(&s->space, s->ring, 0x10000, 0x10fff, 3), 0);
    config.space = &s->space.space;
    config.ring = s->ring;
    size = virtq_vhost_user_queue_size(&config);
    s->memory = aligned_alloc(VIRTQ_CACHE_LINE, size);
    cr_assert_eq(virtq_vhost_user_queue_init(s->memory, size, &config, &s->queue), 0);
}

static void scripted_close(struct scripted *s)
{
    virtq_vhost_user_queue_fini(s->queue);
    peer_close(&s->peer);
    free(s->memory);
    free(s->ring);
}

/* The answers to all that starts a ring; the last is `result`. */
static int scripted_start(struct scripted *s, uint64_t result)
{
    static const uint32_t requests[] = {VHOST_USER_SET_VRING_NUM,   VHOST_USER_SET_VRING_BASE,
                                        VHOST_USER_SET_VRING_ADDR,  VHOST_USER_SET_VRING_ERR,
                                        VHOST_USER_SET_VRING_CALL,  VHOST_USER_SET_VRING_KICK,
                                        VHOST_USER_SET_VRING_ENABLE};

    for (unsigned i = 0; i < 7; i++) {
        peer_number(&s->peer, requests[i], i == 6 ? result : 0);
    }
    return virtq_vhost_user_queue_start(s->queue);
}

static void scripted_base(struct scripted *s, uint32_t base)
{
    const struct virtq_vhost_user_state state = {0, base};

    peer_put(&s->peer.channel, VHOST_USER_GET_VRING_BASE, ANSWER, &state, sizeof(state), NULL, 0);
}

Test(host_frontend_queue, one_that_is_refused_can_be_started_again)
{
    struct scripted s;

    scripted_open(&s);
    /* It ran already when that came, and is stopped again. */
    for (unsigned i = 0; i < 6; i++) {
        static const uint32_t requests[] = {VHOST_USER_SET_VRING_NUM,  VHOST_USER_SET_VRING_BASE,
                                            VHOST_USER_SET_VRING_ADDR, VHOST_USER_SET_VRING_ERR,
                                            VHOST_USER_SET_VRING_CALL, VHOST_USER_SET_VRING_KICK};

        peer_number(&s.peer, requests[i], 0);
    }
    peer_number(&s.peer, VHOST_USER_SET_VRING_ENABLE, 1);
    scripted_base(&s, 0);
    cr_assert_eq(virtq_vhost_user_queue_start(s.queue), VIRTQ_ENOTSUP);
    cr_assert_eq(scripted_start(&s, 0), 0);
    /* Nobody is to be told, and no answer is waited for. */
    cr_assert_eq(virtq_vhost_user_frontend_ready(s.peer.frontend), 0);
    scripted_base(&s, 0);
    cr_assert_eq(virtq_vhost_user_queue_stop(s.queue), 0);
    scripted_close(&s);
}

Test(host_frontend_queue, a_back_end_that_stands_where_nobody_put_it_is_cut_off)
{
    struct scripted s;

    scripted_open(&s);
    cr_assert_eq(scripted_start(&s, 0), 0);
    scripted_base(&s, 1);
    cr_assert_eq(virtq_vhost_user_queue_stop(s.queue), VIRTQ_EPEER);
    cr_assert_eq(virtq_vhost_user_frontend_refusal(s.peer.frontend), VIRTQ_VHOST_USER_REFUSED_RING);
    cr_assert_eq(virtq_vhost_user_queue_start(s.queue), VIRTQ_EPEER);
    scripted_close(&s);
}
