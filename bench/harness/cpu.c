/* SPDX-License-Identifier: BSD-3-Clause */
#include "harness/cpu.h"

#include <stdio.h>

bool bench_cpu_shared;

static int topology(int cpu, const char *what)
{
    char path[96];
    FILE *file;
    int value = -1;

    (void)snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/topology/%s", cpu, what);
    file = fopen(path, "r");
    if (file == NULL) {
        return -1;
    }
    if (fscanf(file, "%d", &value) != 1) {
        value = -1;
    }
    (void)fclose(file);
    return value;
}

/* Two hardware threads of one core share its first-level cache: not the pair that is meant. */
static bool same_core(int left, int right)
{
    int core = topology(left, "core_id");

    return core >= 0 && core == topology(right, "core_id") &&
           topology(left, "physical_package_id") == topology(right, "physical_package_id");
}

bool bench_cpu_allowed(int cpu)
{
    cpu_set_t allowed;

    return cpu >= 0 && cpu < CPU_SETSIZE && sched_getaffinity(0, sizeof(allowed), &allowed) == 0 &&
           CPU_ISSET((size_t)cpu, &allowed);
}

struct bench_cpus bench_cpus_choose(void)
{
    struct bench_cpus chosen = {{-1, -1}};
    int fallback = -1;

    for (int cpu = 0; cpu < CPU_SETSIZE && chosen.cpu[1] < 0; cpu++) {
        if (!bench_cpu_allowed(cpu)) {
            continue;
        }
        if (chosen.cpu[0] < 0) {
            chosen.cpu[0] = cpu;
        } else if (!same_core(chosen.cpu[0], cpu)) {
            chosen.cpu[1] = cpu;
        } else if (fallback < 0) {
            fallback = cpu;
        }
    }
    if (chosen.cpu[1] < 0) {
        chosen.cpu[1] = fallback >= 0 ? fallback : chosen.cpu[0];
    }
    return chosen;
}

bool bench_cpu_pin(int cpu)
{
    cpu_set_t only;

    if (cpu < 0 || cpu >= CPU_SETSIZE) {
        return false;
    }
    CPU_ZERO(&only);
    CPU_SET((size_t)cpu, &only);
    return sched_setaffinity(0, sizeof(only), &only) == 0;
}
