/* SPDX-License-Identifier: BSD-3-Clause */
#include "vhost_user_eventfd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* Ends of requests that there is room for; how often a request is tried; what a list begins with.
 */
enum { ENDS = 256, TRIES = 8 };
static const uint32_t magic = 0xa10a10a1;

/* The list of a context's ends: at its address, and the system's and ours to write since there are
 * any. */
struct ends {
    uint32_t id;
    uint32_t room;
    uint32_t head; /* Ours: the next one to take. */
    uint32_t tail; /* The system's: the next one to put. */
    uint32_t magic;
};

/* The process's context of asynchronous requests, and whose it was made to be: a child has none of
 * its parent's. 0: none yet. It stays until the process ends, for to end one takes the system tens
 * of milliseconds, and a peer that comes and goes could have us do it all the time. */
static uint64_t context;
static uint32_t owner;
static const uint64_t impossible = UINT64_MAX;

/* What has a type is none: a write to a pipe or a socket whose other end is gone would end this
 * program, one to a file might wait for a disk. Of the rest some can only be waited for. */
static bool is_eventfd(int fd)
{
    static const char name[] = "anon_inode:[eventfd]";
    char path[sizeof("/proc/self/fd/") + 3 * sizeof(fd)];
    char found[sizeof(name)];
    struct stat file;
    ssize_t len;

    if (fstat(fd, &file) != 0 || (file.st_mode & (mode_t)S_IFMT) != 0) {
        return false;
    }
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    len = readlink(path, found, sizeof(found));
    /* Without /proc nobody can tell. */
    return len < 0 || (len == sizeof(name) - 1 && memcmp(found, name, sizeof(name) - 1) == 0);
}

bool virtq_priv_eventfd_accept(int fd)
{
    return is_eventfd(fd) && fcntl(fd, F_SETFL, O_NONBLOCK) == 0;
}

/* For systems that cannot do better: only a peer that is faster than these calls can have it
 * wait. */
static ssize_t read_ready(int fd, uint64_t *count)
{
    struct pollfd ready = {fd, POLLIN, 0};

    (void)fcntl(fd, F_SETFL, O_NONBLOCK);
    if (poll(&ready, 1, 0) == 0) {
        errno = EAGAIN;
        return -1;
    }
    return read(fd, count, sizeof(*count));
}

int virtq_priv_eventfd_take(int fd)
{
    uint64_t count;
    struct iovec place = {&count, sizeof(count)};
    ssize_t got = preadv2(fd, &place, 1, -1, RWF_NOWAIT);

    if (got < 0 && (errno == EOPNOTSUPP || errno == ENOSYS)) {
        got = read_ready(fd, &count);
    }
    if (got == (ssize_t)sizeof(count)) {
        return 1;
    }
    return got < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

/* The same, of a write. */
static void write_ready(int fd)
{
    struct pollfd ready = {fd, POLLOUT, 0};
    const uint64_t one = 1;

    (void)fcntl(fd, F_SETFL, O_NONBLOCK);
    if (poll(&ready, 1, 0) == 1 && (ready.revents & POLLOUT) != 0) {
        ssize_t put = write(fd, &one, sizeof(one));

        (void)put;
    }
}

static struct ends *ends_of(uint64_t at)
{
    return (struct ends *)(uintptr_t)at;
}

static uint64_t open_context(void)
{
    aio_context_t made = 0;

    if (syscall(SYS_io_setup, ENDS, &made) != 0) {
        return impossible;
    }
    if (ends_of(made)->magic != magic) {
        (void)syscall(SYS_io_destroy, made);
        return impossible;
    }
    return made;
}

/* A context in place of `old`, if no other thread has been faster. */
static uint64_t make_context(uint64_t old)
{
    const uint64_t made = open_context();

    if (!__atomic_compare_exchange_n(&context, &old, made, false, __ATOMIC_ACQ_REL,
                                     __ATOMIC_ACQUIRE)) {
        if (made != impossible) {
            (void)syscall(SYS_io_destroy, made);
        }
        return old;
    }
    __atomic_store_n(&owner, (uint32_t)getpid(), __ATOMIC_RELEASE);
    return made;
}

/* Nobody wants to know how the requests ended, but their ends take up room. If another thread has
 * been here meanwhile, it has done the same. */
static void forget_ends(uint64_t at)
{
    struct ends *ends = ends_of(at);
    uint32_t head = __atomic_load_n(&ends->head, __ATOMIC_RELAXED);
    const uint32_t tail = __atomic_load_n(&ends->tail, __ATOMIC_ACQUIRE);

    (void)__atomic_compare_exchange_n(&ends->head, &head, tail, false, __ATOMIC_RELEASE,
                                      __ATOMIC_RELAXED);
}

/* A read into no memory fails at once, and the system signals that it has come to its end: it adds
 * to a counter as far as there is room, and never waits. A write cannot be asked not to. */
static bool signal_end(int fd)
{
    struct iocb nothing = {.aio_lio_opcode = IOCB_CMD_PREAD,
                           .aio_fildes = (uint32_t)fd,
                           .aio_flags = IOCB_FLAG_RESFD,
                           .aio_resfd = (uint32_t)fd};
    struct iocb *one = &nothing;
    uint64_t at = __atomic_load_n(&context, __ATOMIC_ACQUIRE);
    unsigned i;

    if (at == 0) {
        at = make_context(at);
    }
    for (i = 0; i < TRIES && at != impossible; i++) {
        if (syscall(SYS_io_submit, at, 1L, &one) == 1) {
            return true;
        }
        if (errno == EAGAIN) {
            forget_ends(at);
        } else if (errno == EINVAL &&
                   __atomic_load_n(&owner, __ATOMIC_ACQUIRE) != (uint32_t)getpid()) {
            at = make_context(at);
        } else {
            break;
        }
    }
    return false;
}

void virtq_priv_eventfd_raise(int fd)
{
    if (!signal_end(fd)) {
        write_ready(fd);
    }
}
