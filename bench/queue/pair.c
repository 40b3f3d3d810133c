/* SPDX-License-Identifier: BSD-3-Clause */
#include "queue/pair.h"

#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* The other side may be without a processor for a while; not for that long. */
enum { SLEEP_MS = 100, SLEEPS_MAX = 100 };

bool bench_pair_open(struct bench_pair *pair, struct bench_queue *queue)
{
    memset(pair, 0, sizeof(*pair));
    pair->queue = queue;
    pair->to_device = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pair->to_driver = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return pair->to_device >= 0 && pair->to_driver >= 0;
}

void bench_pair_close(struct bench_pair *pair)
{
    if (pair->to_device >= 0) {
        (void)close(pair->to_device);
    }
    if (pair->to_driver >= 0) {
        (void)close(pair->to_driver);
    }
}

void bench_pair_wake(int file)
{
    (void)eventfd_write(file, 1);
}

bool bench_pair_sleep(const struct bench_duo *duo, int file)
{
    struct pollfd wait = {file, POLLIN, 0};
    eventfd_t count;

    for (unsigned sleep = 0; sleep < SLEEPS_MAX; sleep++) {
        if (poll(&wait, 1, SLEEP_MS) > 0) {
            (void)eventfd_read(file, &count);
            return true;
        }
        if (!bench_duo_wait(duo)) {
            return false;
        }
    }
    return false;
}
