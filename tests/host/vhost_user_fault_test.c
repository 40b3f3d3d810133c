/* SPDX-License-Identifier: BSD-3-Clause */
/* Front-ends that make their memory's files shorter while rings run. */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/wait.h>

#include "frontend.h"
#include "virtq/host/vhost_user_fault.h"

#define FEATURES (VIRTQ_FEATURE(VIRTIO_F_VERSION_1) | FRONTEND_PROTOCOL)

/* Valgrind and emulators of processors do not go on after such a signal with all registers as they
 * were, which a program is promised: there these tests have nothing to say. */
static bool resumes(void)
{
    return getenv("VIRTQ_TEST_HURRIED") == NULL && getenv("VIRTQ_TEST_EMULATED") == NULL;
}

static void open_catching(struct frontend *f, int *err)
{
    const uint64_t zero = 0;

    cr_assert_eq(virtq_vhost_user_fault_install(), 0);
    frontend_open(f, VIRTQ_VHOST_USER_CATCH);
    *err = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    cr_assert(*err >= 0);
    frontend_greet(f, FEATURES);
    cr_assert_eq(frontend_try(f, VHOST_USER_SET_VRING_ERR, &zero, 8, err, 1), 0);
    frontend_start(f, 0, FEATURES, 8);
    frontend_traffic(f, 0, 8);
}

/* The rings are told, the connection is over, and the reason is known. */
static void close_broken(struct frontend *f, int err)
{
    uint64_t count = 0;
    char byte;

    cr_assert_eq(virtq_vhost_user_backend_refusal(f->backend),
                 (uint32_t)VIRTQ_VHOST_USER_REFUSED_SHRUNK);
    cr_assert_eq(f->stopping, 1u);
    cr_assert_eq(read(err, &count, sizeof(count)), (ssize_t)sizeof(count));
    cr_assert_eq(recv(f->socket, &byte, 1, MSG_DONTWAIT), 0);
    cr_assert_eq(virtq_vhost_user_backend_process(f->backend), VIRTQ_EPEER);
    cr_assert_eq(virtq_vhost_user_fault_remove(), VIRTQ_EBUSY);
    frontend_close(f);
    cr_assert_eq(close(err), 0);
    cr_assert_eq(virtq_vhost_user_fault_remove(), 0);
}

Test(host_fault, buffers_that_are_gone_break_the_back_end_and_nothing_else)
{
    struct frontend f;
    int err;

    if (!resumes()) {
        return;
    }
    open_catching(&f, &err);
    frontend_add(&f, 0, 0);
    cr_assert_eq(ftruncate(f.file, FRONTEND_REGION), 0);
    frontend_kick(&f, 0);
    cr_assert_eq(frontend_run(&f), VIRTQ_EPEER);
    close_broken(&f, err);
}

Test(host_fault, a_ring_that_is_gone_breaks_the_back_end_and_nothing_else)
{
    struct frontend f;
    int err;

    if (!resumes()) {
        return;
    }
    open_catching(&f, &err);
    frontend_add(&f, 0, 0);
    cr_assert_eq(ftruncate(f.file, 0), 0);
    frontend_kick(&f, 0);
    cr_assert_eq(frontend_run(&f), VIRTQ_EPEER);
    close_broken(&f, err);
}

Test(host_fault, a_file_that_shrinks_where_nobody_looks_harms_nobody)
{
    struct frontend f;
    int err;

    open_catching(&f, &err);
    cr_assert_eq(ftruncate(f.file, FRONTEND_REGION + 4096), 0);
    frontend_traffic(&f, 0, 8);
    /* What was read and found again is whole. */
    cr_assert_eq(ftruncate(f.file, 2 * FRONTEND_REGION), 0);
    frontend_traffic(&f, 0, 8);
    frontend_close(&f);
    cr_assert_eq(close(err), 0);
    cr_assert_eq(virtq_vhost_user_fault_remove(), 0);
}

Test(host_fault, one_front_end_that_does_it_leaves_the_other_alone)
{
    struct frontend f;
    struct frontend other;
    int err;
    int other_err;

    if (!resumes()) {
        return;
    }
    open_catching(&other, &other_err);
    open_catching(&f, &err);
    frontend_add(&f, 0, 0);
    cr_assert_eq(ftruncate(f.file, 0), 0);
    frontend_kick(&f, 0);
    cr_assert_eq(frontend_run(&f), VIRTQ_EPEER);
    frontend_traffic(&other, 0, 8);
    frontend_close(&other);
    cr_assert_eq(close(other_err), 0);
    close_broken(&f, err);
}

/* A ring's thread, which touches the memory that is gone by itself. */
static void *serve_once(void *opaque)
{
    frontend_serve(opaque, 0);
    return NULL;
}

Test(host_fault, a_thread_that_finds_nothing_goes_on_and_the_loop_wakes)
{
    static const struct virtq_vhost_user_ops ops = {.size = sizeof(ops)};
    struct frontend f;
    struct pollfd ready;
    pthread_t thread;

    if (!resumes()) {
        return;
    }
    cr_assert_eq(virtq_vhost_user_fault_install(), 0);
    frontend_open_with(&f, VIRTQ_VHOST_USER_CATCH, &ops);
    frontend_greet(&f, FEATURES);
    frontend_start(&f, 0, FEATURES, 8);
    frontend_add(&f, 0, 0);
    cr_assert_eq(ftruncate(f.file, FRONTEND_REGION), 0);
    cr_assert_eq(pthread_create(&thread, NULL, serve_once, &f), 0);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    ready = (struct pollfd){virtq_vhost_user_backend_fd(f.backend), POLLIN, 0};
    cr_assert_eq(poll(&ready, 1, 0), 1);
    cr_assert_eq(virtq_vhost_user_backend_process(f.backend), VIRTQ_EPEER);
    frontend_close(&f);
    cr_assert_eq(virtq_vhost_user_fault_remove(), 0);
}

Test(host_fault, without_the_handler_nothing_can_be_caught)
{
    struct virtq_vhost_user_backend_config config = VIRTQ_VHOST_USER_BACKEND_CONFIG_INIT;
    struct virtq_vhost_user_backend *backend = NULL;
    int ends[2];
    void *memory;

    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    config.socket = ends[0];
    config.flags = VIRTQ_VHOST_USER_CATCH;
    config.features = VIRTQ_FEATURE(VIRTIO_F_VERSION_1);
    memory = aligned_alloc(VIRTQ_CACHE_LINE, virtq_vhost_user_backend_size(&config));
    cr_assert(memory != NULL);
    cr_assert_eq(virtq_vhost_user_backend_init(memory, virtq_vhost_user_backend_size(&config),
                                               &config, &backend),
                 VIRTQ_EINVAL);
    free(memory);
    cr_assert(close(ends[0]) == 0 && close(ends[1]) == 0);
}

static sigjmp_buf elsewhere;

static void jump(int number)
{
    (void)number;
    siglongjmp(elsewhere, 1);
}

static void jump_with_info(int number, siginfo_t *info, void *context)
{
    (void)info;
    (void)context;
    jump(number);
}

/* A byte behind the end of a file that is none of ours. */
static volatile unsigned char *foreign_byte(void)
{
    int file = memfd_create("foreign", MFD_CLOEXEC);
    unsigned char *page;

    cr_assert(file >= 0 && ftruncate(file, 4096) == 0);
    page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    cr_assert(page != MAP_FAILED && ftruncate(file, 0) == 0 && close(file) == 0);
    return page;
}

static void fall_through(const struct sigaction *action)
{
    volatile unsigned char *byte = foreign_byte();
    struct sigaction old;

    cr_assert_eq(sigaction(SIGBUS, action, &old), 0);
    cr_assert_eq(virtq_vhost_user_fault_install(), 0);
    cr_assert_eq(virtq_vhost_user_fault_install(), 0);
    if (sigsetjmp(elsewhere, 1) == 0) {
        *byte = 1;
        cr_assert(false, "nothing was raised");
    }
    cr_assert_eq(virtq_vhost_user_fault_remove(), 0);
    cr_assert_eq(sigaction(SIGBUS, &old, NULL), 0);
    cr_assert_eq(munmap((void *)(uintptr_t)byte, 4096), 0);
}

Test(host_fault, what_is_not_ours_goes_to_the_handler_that_was_there)
{
    struct sigaction action;

    if (!resumes()) {
        return;
    }
    memset(&action, 0, sizeof(action));
    action.sa_handler = jump;
    fall_through(&action);
    action.sa_sigaction = jump_with_info;
    action.sa_flags = SA_SIGINFO;
    fall_through(&action);
}

Test(host_fault, what_nobody_handles_ends_the_program_as_ever)
{
    if (!resumes()) {
        return; /* A process that ends so is a finding of Valgrind's. */
    }
    for (unsigned i = 0; i < 3; i++) {
        volatile unsigned char *byte = foreign_byte();
        pid_t child = fork();
        int status = 0;

        cr_assert(child >= 0);
        if (child == 0) {
            struct sigaction action;

            memset(&action, 0, sizeof(action));
            action.sa_handler = i == 2 ? SIG_IGN : SIG_DFL;
            if (sigaction(SIGBUS, &action, NULL) != 0 || virtq_vhost_user_fault_install() != 0) {
                _exit(1);
            }
            if (i == 1) {
                (void)raise(SIGBUS);
            } else {
                *byte = 1;
            }
            _exit(2);
        }
        cr_assert_eq(waitpid(child, &status, 0), child);
        cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS, "%u: %x", i, (unsigned)status);
        cr_assert_eq(munmap((void *)(uintptr_t)byte, 4096), 0);
    }
}
