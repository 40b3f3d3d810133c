/* SPDX-License-Identifier: BSD-3-Clause */
/* The handler of SIGBUS, and the list it looks at. Both are the process's, for so is a signal. The
 * lock is one to spin on: whoever holds it touches no front-end's memory, so the handler never
 * interrupts its own thread within it. */
#include "vhost_user_fault.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "virtq/host/vhost_user_fault.h"

static uint32_t list_lock;
static struct virtq_priv_fault *list;
static bool installed;
static struct sigaction before;

static void lock(void)
{
    while (__atomic_exchange_n(&list_lock, 1u, __ATOMIC_ACQUIRE) != 0) {
        (void)sched_yield();
    }
}

static void unlock(void)
{
    __atomic_store_n(&list_lock, 0u, __ATOMIC_RELEASE);
}

/* Puts zeros where an access found nothing. Whatever else was in the page is lost to nobody: the
 * file has it no more. */
static bool replace(const struct virtq_priv_fault_range *range, uintptr_t at)
{
    const uintptr_t offset = (at - range->first) / range->page * range->page;
    void *page = (unsigned char *)range->first + offset;

    return mmap(page, range->page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
                -1, 0) == page;
}

/* Whether an address is a back-end's, and the access can be carried out now. */
static bool caught(uintptr_t at)
{
    const uint64_t one = 1;
    struct virtq_priv_fault *fault;
    bool done = false;
    uint32_t i;

    lock();
    for (fault = list; fault != NULL && !done; fault = fault->next) {
        for (i = 0; i < fault->count && !done; i++) {
            const struct virtq_priv_fault_range *range = &fault->ranges[i];

            if (at >= range->first && at - range->first < range->size && replace(range, at)) {
                ssize_t put;

                done = true;
                __atomic_store_n(&fault->latched, 1u, __ATOMIC_RELEASE);
                put = write(fault->wake, &one, sizeof(one));
                (void)put;
            }
        }
    }
    unlock();
    return done;
}

/* What is not ours. Without a handler the signal has its own effect, once this one returns. */
static void pass_on(int number, siginfo_t *info, void *context)
{
    if ((before.sa_flags & SA_SIGINFO) != 0) {
        before.sa_sigaction(number, info, context);
    } else if (before.sa_handler == SIG_DFL) {
        (void)sigaction(number, &before, NULL);
        (void)raise(number);
    } else if (before.sa_handler != SIG_IGN) {
        before.sa_handler(number);
    } else if (info->si_code > 0) {
        /* An access that cannot be carried out cannot be ignored either. */
        struct sigaction plain;

        memset(&plain, 0, sizeof(plain));
        plain.sa_handler = SIG_DFL;
        (void)sigaction(number, &plain, NULL);
    }
}

static void handle(int number, siginfo_t *info, void *context)
{
    const int saved = errno;

    /* Only an access beyond a file's end: not a signal that was sent, nor broken memory. */
    if (info->si_code != BUS_ADRERR || !caught((uintptr_t)info->si_addr)) {
        pass_on(number, info, context);
    }
    errno = saved;
}

VIRTQ_API int virtq_vhost_user_fault_install(void)
{
    struct sigaction action;
    int result = VIRTQ_OK;

    memset(&action, 0, sizeof(action));
    action.sa_sigaction = handle;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
    (void)sigemptyset(&action.sa_mask);
    lock();
    if (!installed) {
        /* Known before it can be called. */
        if (sigaction(SIGBUS, NULL, &before) == 0 && sigaction(SIGBUS, &action, NULL) == 0) {
            installed = true;
        } else {
            result = VIRTQ_ENOTSUP;
        }
    }
    unlock();
    return result;
}

VIRTQ_API int virtq_vhost_user_fault_remove(void)
{
    struct sigaction now;
    int result = VIRTQ_OK;

    lock();
    if (installed) {
        if (list != NULL || sigaction(SIGBUS, NULL, &now) != 0 ||
            (now.sa_flags & SA_SIGINFO) == 0 || now.sa_sigaction != handle ||
            sigaction(SIGBUS, &before, NULL) != 0) {
            result = VIRTQ_EBUSY;
        } else {
            installed = false;
        }
    }
    unlock();
    return result;
}

void virtq_priv_fault_none(struct virtq_priv_fault *fault)
{
    memset(fault, 0, sizeof(*fault));
    fault->wake = -1;
}

int virtq_priv_fault_join(struct virtq_priv_fault *fault, int epoll)
{
    struct epoll_event event = {.events = EPOLLIN, .data = {.fd = VIRTQ_PRIV_FAULT_WAKE}};
    bool joined;

    fault->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fault->wake < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, fault->wake, &event) != 0) {
        virtq_priv_fault_part(fault);
        return VIRTQ_ENOMEM;
    }
    lock();
    joined = installed;
    if (joined) {
        fault->next = list;
        list = fault;
    }
    unlock();
    if (!joined) {
        virtq_priv_fault_part(fault);
        return VIRTQ_EINVAL;
    }
    return VIRTQ_OK;
}

void virtq_priv_fault_part(struct virtq_priv_fault *fault)
{
    struct virtq_priv_fault **at = &list;

    lock();
    while (*at != NULL && *at != fault) {
        at = &(*at)->next;
    }
    if (*at != NULL) {
        *at = fault->next;
    }
    unlock();
    if (fault->wake >= 0) {
        (void)close(fault->wake);
    }
    fault->wake = -1;
}

bool virtq_priv_fault_add(struct virtq_priv_fault *fault, const void *mapping, size_t size,
                          size_t page)
{
    if (fault->wake < 0) {
        return true;
    }
    if (fault->count == VIRTQ_PRIV_FAULT_RANGES) {
        return false;
    }
    lock();
    fault->ranges[fault->count] = (struct virtq_priv_fault_range){(uintptr_t)mapping, size, page};
    fault->count++;
    unlock();
    return true;
}

void virtq_priv_fault_drop(struct virtq_priv_fault *fault, const void *mapping)
{
    uint32_t i = 0;

    lock();
    while (i < fault->count && fault->ranges[i].first != (uintptr_t)mapping) {
        i++;
    }
    if (i < fault->count) {
        fault->ranges[i] = fault->ranges[--fault->count];
    }
    unlock();
}

bool virtq_priv_fault_latched(const struct virtq_priv_fault *fault)
{
    return __atomic_load_n(&fault->latched, __ATOMIC_ACQUIRE) != 0;
}
