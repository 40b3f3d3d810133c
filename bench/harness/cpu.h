/* SPDX-License-Identifier: BSD-3-Clause */
/* Which processors the measurements run on. */
#ifndef BENCH_HARNESS_CPU_H
#define BENCH_HARNESS_CPU_H

#include <sched.h>
#include <stdbool.h>

/* [0]: one thread, and the driver; [1]: the device. Both the same where only one is allowed. */
struct bench_cpus {
    int cpu[2];
};

/* Two processors of different cores, out of those this process may use. */
struct bench_cpus bench_cpus_choose(void);
/* Whether this process may run on `cpu`. */
bool bench_cpu_allowed(int cpu);
/* Pins the calling thread; false if the system refuses (the measurement goes on, unpinned). */
bool bench_cpu_pin(int cpu);

/* Set once before any thread is started: waiting must let the other side run. */
extern bool bench_cpu_shared;

/* For the idle side of a loop that spins. */
static inline void bench_cpu_relax(void)
{
    if (__builtin_expect(bench_cpu_shared, 0)) {
        (void)sched_yield();
        return;
    }
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield" ::: "memory");
#else
    __asm__ volatile("" ::: "memory");
#endif
}

#endif
