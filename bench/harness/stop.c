/* SPDX-License-Identifier: BSD-3-Clause */
#include "harness/stop.h"

#include <signal.h>
#include <string.h>

int bench_stop_word;

static void on_signal(int number)
{
    (void)number;
    __atomic_store_n(&bench_stop_word, 1, __ATOMIC_RELAXED);
}

void bench_stop_install(void)
{
    struct sigaction action;

    memset(&action, 0, sizeof(action));
    action.sa_handler = on_signal;
    action.sa_flags = (int)SA_RESETHAND;
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
}
