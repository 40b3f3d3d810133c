/* SPDX-License-Identifier: BSD-3-Clause */
/* The same two programs on two threads, with semaphores for notifications. */
/* clock_gettime() and sem_timedwait() are not C11. */
#ifndef _POSIX_C_SOURCE
#    define _POSIX_C_SOURCE 200809L
#endif

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <time.h>

#include "reference_check.h"

enum { PATIENCE_SECONDS = 60, BUFFERS = 20000 };

struct pair {
    struct reference_check_driver *driver;
    struct reference_check_device *device;
    sem_t wake_driver;
    sem_t wake_device;
    int stop;
    const char *name;
};

static bool wait_for(sem_t *semaphore)
{
    struct timespec deadline;
    int result;

    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += PATIENCE_SECONDS;
    do {
        result = sem_timedwait(semaphore, &deadline);
    } while (result != 0 && errno == EINTR);
    return result == 0;
}

/* Notifications sent before this end last looked would hide a lost one. */
static void forget(sem_t *semaphore)
{
    while (sem_trywait(semaphore) == 0) {
    }
}

static void *run_device(void *argument)
{
    struct pair *pair = argument;
    bool notify;

    reference_check_at("%s, two threads, device", pair->name);
    while (!__atomic_load_n(&pair->stop, __ATOMIC_SEQ_CST)) {
        enum reference_check_state state;

        forget(&pair->wake_device);
        state = reference_check_device_step(pair->device, &notify);
        if (notify) {
            sem_post(&pair->wake_driver);
        }
        if (state == REFERENCE_CHECK_DONE) {
            break;
        }
        /* The driver's last buffer is its last notification, so the device may well sleep on. */
        while (state == REFERENCE_CHECK_ASLEEP && !__atomic_load_n(&pair->stop, __ATOMIC_SEQ_CST)) {
            if (wait_for(&pair->wake_device)) {
                break;
            }
            reference_check(false, "the device waited in vain");
            return NULL;
        }
    }
    return NULL;
}

static void run_driver(struct pair *pair)
{
    bool notify;

    for (;;) {
        enum reference_check_state state;

        forget(&pair->wake_driver);
        state = reference_check_driver_step(pair->driver, &notify);
        if (notify) {
            sem_post(&pair->wake_device);
        }
        if (state == REFERENCE_CHECK_DONE) {
            return;
        }
        if (state == REFERENCE_CHECK_ASLEEP && !wait_for(&pair->wake_driver)) {
            reference_check(false, "the driver waited in vain");
            return;
        }
    }
}

static void run_pair(const struct reference_config *wanted, const char *name)
{
    struct pair pair = {.name = name};
    struct reference_check_queue queue;
    pthread_t thread;

    reference_check_at("%s, two threads, driver", name);
    reference_check_open(&queue, wanted, reference_check_data_length(wanted->size));
    pair.driver = reference_check_driver_new(&queue, wanted->start % 2 == 1, BUFFERS, 3);
    pair.device = reference_check_device_new(&queue, 5);
    if (sem_init(&pair.wake_driver, 0, 0) != 0 || sem_init(&pair.wake_device, 0, 0) != 0 ||
        pthread_create(&thread, NULL, run_device, &pair) != 0) {
        abort();
    }
    run_driver(&pair);
    __atomic_store_n(&pair.stop, 1, __ATOMIC_SEQ_CST);
    sem_post(&pair.wake_device);
    pthread_join(thread, NULL);
    sem_destroy(&pair.wake_driver);
    sem_destroy(&pair.wake_device);
    reference_check_driver_free(pair.driver);
    reference_check_device_free(pair.device);
    reference_check_close(&queue);
}

void reference_check_threads(void)
{
    for (unsigned bits = 0; bits < 4; bits++) {
        struct reference_config config = {
            .size = 16, .start = 65535, .event_idx = bits & 1, .in_order = bits & 2};

        config.format = REFERENCE_SPLIT;
        run_pair(&config, "split");
        config.format = REFERENCE_PACKED;
        config.size = 13;
        config.start = bits * 9;
        run_pair(&config, "packed");
    }
}
