/* SPDX-License-Identifier: BSD-3-Clause */
#include "harness/duo.h"

#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/timer.h"

struct far_side {
    struct bench_duo *duo;
    bench_duo_side side;
    void *context;
    int result;
};

static void start_together(struct bench_duo *duo)
{
    (void)__atomic_add_fetch(&duo->ready, 1, __ATOMIC_ACQ_REL);
    while (__atomic_load_n(&duo->ready, __ATOMIC_ACQUIRE) < 2 && bench_duo_wait(duo)) {
    }
}

static void *far_main(void *argument)
{
    struct far_side *far = argument;

    (void)bench_cpu_pin(far->duo->cpus.cpu[1]);
    start_together(far->duo);
    far->result = far->side(far->duo, far->context);
    if (far->result != 0) {
        bench_duo_abandon(far->duo);
    }
    return NULL;
}

/* The near side, from the common start on. */
static int run_near(struct bench_duo *duo, bench_duo_side near, void *context, uint64_t *elapsed_ns)
{
    uint64_t begin;
    int result;

    start_together(duo);
    begin = bench_clock_ns();
    result = near(duo, context);
    *elapsed_ns = bench_clock_ns() - begin;
    if (result != 0) {
        bench_duo_abandon(duo);
    }
    return result;
}

int bench_duo_run(const struct bench_cpus *cpus, bench_duo_side near, bench_duo_side far,
                  void *context, uint64_t *elapsed_ns)
{
    struct bench_duo duo = {*cpus, 0, 0};
    struct far_side other = {&duo, far, context, 0};
    pthread_t thread;
    int result;

    /* A thread begins where the one that made it may run: there it would have to take the processor
     * from us first. */
    (void)bench_cpu_pin(cpus->cpu[1]);
    result = pthread_create(&thread, NULL, far_main, &other);
    (void)bench_cpu_pin(cpus->cpu[0]);
    if (result != 0) {
        return -1;
    }
    result = run_near(&duo, near, context, elapsed_ns);
    (void)pthread_join(thread, NULL);
    return result != 0 || other.result != 0 || bench_stop_asked() ? -1 : 0;
}

int bench_duo_run_processes(const struct bench_cpus *cpus, bench_duo_side near, bench_duo_side far,
                            void *context, uint64_t *elapsed_ns)
{
    struct bench_duo *duo =
        mmap(NULL, sizeof(*duo), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct far_side other = {duo, far, context, 0};
    pid_t child;
    int result = -1;
    int status = -1;

    if (duo == MAP_FAILED) {
        return -1;
    }
    duo->cpus = *cpus;
    (void)bench_cpu_pin(cpus->cpu[1]);
    child = fork();
    if (child == 0) {
        /* Never left behind spinning. */
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)far_main(&other);
        _exit(other.result == 0 ? 0 : 1);
    }
    (void)bench_cpu_pin(cpus->cpu[0]);
    if (child > 0) {
        result = run_near(duo, near, context, elapsed_ns);
        if (waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
            result = -1;
        }
    }
    (void)munmap(duo, sizeof(*duo));
    return result != 0 || bench_stop_asked() ? -1 : 0;
}
