/* SPDX-License-Identifier: BSD-3-Clause */
/* A front-end that clears O_NONBLOCK at the eventfds that both ends have, and fills or empties
 * them: nothing waits for it. A test that would wait is ended by its alarm. */
#include <signal.h>
#include <sys/wait.h>

#include "frontend.h"

#define FEATURES \
    (FRONTEND_PROTOCOL | VIRTQ_FEATURE(VIRTIO_F_VERSION_1) | VIRTQ_FEATURE(VIRTIO_F_EVENT_IDX))

enum { SECONDS = 60, SIZE = 8 };

static void eventfd_open(struct frontend *f)
{
    (void)alarm(SECONDS);
    frontend_open(f, 0);
    frontend_greet(f, FEATURES);
    frontend_start(f, 0, FEATURES, SIZE);
}

static void let_it_wait(int fd)
{
    cr_assert_eq(fcntl(fd, F_SETFL, 0), 0);
}

static bool may_wait(int fd)
{
    const int flags = fcntl(fd, F_GETFL);

    cr_assert(flags >= 0);
    return (flags & O_NONBLOCK) == 0;
}

/* No more fits in. */
static void fill(int fd)
{
    const uint64_t most = UINT64_MAX - 1;
    uint64_t count;

    cr_assert_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    (void)!read(fd, &count, sizeof(count));
    cr_assert_eq(write(fd, &most, sizeof(most)), (ssize_t)sizeof(most));
    let_it_wait(fd);
}

static uint64_t empty(int fd)
{
    uint64_t count = 0;

    cr_assert_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    (void)!read(fd, &count, sizeof(count));
    return count;
}

Test(host_eventfd, a_kick_that_was_emptied_is_not_waited_for)
{
    struct frontend f;
    uint64_t one = 1;

    eventfd_open(&f);
    frontend_start(&f, 1, FEATURES, SIZE);
    /* Both rings are kicked, and the first of them takes it all. */
    cr_assert_eq(frontend_try(&f, VHOST_USER_SET_VRING_KICK, &one, 8, &f.kick[0], 1), 0);
    let_it_wait(f.kick[0]);
    frontend_add(&f, 0, 0);
    frontend_kick(&f, 0);
    cr_assert_eq(frontend_run(&f), 0);
    cr_assert_eq(frontend_take(&f, 0), 1u);
    frontend_close(&f);
}

Test(host_eventfd, a_call_that_is_full_is_not_waited_for)
{
    struct frontend f;

    eventfd_open(&f);
    for (unsigned i = 0; i < 4; i++) {
        fill(f.call[0]);
        frontend_add(&f, 0, i);
        frontend_kick(&f, 0);
        cr_assert_eq(frontend_run(&f), 0);
        cr_assert_eq(frontend_take(&f, 0), 1u);
        cr_assert(empty(f.call[0]) >= UINT64_MAX - 1);
        cr_assert(!virtq_driver_enable_notify(f.driver[0]));
    }
    frontend_traffic(&f, 0, 8);
    frontend_close(&f);
}

Test(host_eventfd, an_error_that_is_full_is_not_waited_for)
{
    struct frontend f;
    uint64_t zero = 0;
    uint16_t far = 100;
    int err;

    eventfd_open(&f);
    err = eventfd(0, EFD_CLOEXEC);
    cr_assert(err >= 0);
    cr_assert_eq(frontend_try(&f, VHOST_USER_SET_VRING_ERR, &zero, 8, &err, 1), 0);
    fill(err);
    memcpy(f.guest + frontend_ring_at(0) + f.layout.driver.offset + 2, &far, sizeof(far));
    frontend_kick(&f, 0);
    cr_assert_eq(frontend_run(&f), 0);
    cr_assert(empty(err) >= UINT64_MAX - 1);
    cr_assert_eq(close(err), 0);
    frontend_close(&f);
}

/* More than the system keeps the ends of. */
Test(host_eventfd, each_call_comes)
{
    struct frontend f;

    eventfd_open(&f);
    frontend_traffic(&f, 0, 8000);
    frontend_close(&f);
}

/* Whether a call needs no O_NONBLOCK. */
static bool calls_safely(struct frontend *f)
{
    let_it_wait(f->call[0]);
    frontend_traffic(f, 0, 1);
    return may_wait(f->call[0]);
}

/* What the system keeps for a process its child has not. */
Test(host_eventfd, a_child_process_calls_as_its_parent_does)
{
    struct frontend f;
    bool safely;
    int status = -1;
    pid_t child;

    eventfd_open(&f);
    safely = calls_safely(&f);
    frontend_close(&f);
    child = fork();
    if (child == 0) {
        struct frontend g;
        bool same;

        eventfd_open(&g);
        same = calls_safely(&g) == safely;
        frontend_close(&g);
        /* No exit: what the test runner has allocated is not this process's to free. */
        (void)kill(getpid(), same ? SIGKILL : SIGTERM);
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void no_wake(void *opaque, uint32_t index)
{
    (void)opaque, (void)index;
}

Test(host_eventfd, a_thread_takes_its_kicks_and_never_waits)
{
    struct virtq_vhost_user_ops ops = frontend_ops;
    struct frontend f;
    uint64_t none = VHOST_USER_VRING_NOFD_MASK;

    (void)alarm(SECONDS);
    ops.serve = NULL;
    ops.wake = no_wake;
    frontend_open_with(&f, 0, &ops);
    frontend_greet(&f, FEATURES);
    frontend_start(&f, 0, FEATURES, SIZE);
    for (unsigned i = 0; i < 3; i++) {
        let_it_wait(f.kick[0]);
        cr_assert_eq(virtq_vhost_user_vring_take_kick(f.backend, 0), 0);
        frontend_kick(&f, 0);
        frontend_kick(&f, 0);
        cr_assert_eq(virtq_vhost_user_vring_take_kick(f.backend, 0), 1);
    }
    cr_assert_eq(virtq_vhost_user_vring_take_kick(f.backend, 0), 0);
    cr_assert_eq(frontend_try(&f, VHOST_USER_SET_VRING_KICK, &none, 8, NULL, 0), 0);
    cr_assert_eq(virtq_vhost_user_vring_take_kick(f.backend, 0), 0);
    frontend_close(&f);
}
