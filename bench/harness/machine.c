/* SPDX-License-Identifier: BSD-3-Clause */
#include "harness/machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "harness/timer.h"

/* The value after `key` and its separator in the first line of a file that begins with it, without
 * quotes. */
static void field(const char *path, const char *key, char separator, char *value, size_t room)
{
    char line[512];
    FILE *file = fopen(path, "r");

    value[0] = '\0';
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        char *at = strchr(line, separator);

        if (strncmp(line, key, strlen(key)) == 0 && at != NULL) {
            at += 1 + strspn(at + 1, " \t\"");
            at[strcspn(at, "\"\n")] = '\0';
            (void)snprintf(value, room, "%s", at);
            break;
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
}

static void cpu_model(char *model, size_t room)
{
    /* x86, then s390x and riscv; arm64 gives numbers only, and then the machine's name has to do.
     */
    static const char *const keys[] = {"model name", "Hardware", "vendor_id", "uarch", "cpu"};
    struct utsname names;

    for (size_t key = 0; key < sizeof(keys) / sizeof(keys[0]); key++) {
        field("/proc/cpuinfo", keys[key], ':', model, room);
        if (model[0] != '\0') {
            return;
        }
    }
    (void)snprintf(model, room, "%s", uname(&names) == 0 ? names.machine : "unknown");
}

static void first_line(const char *path, char *line, size_t room)
{
    FILE *file = fopen(path, "r");

    line[0] = '\0';
    if (file == NULL) {
        return;
    }
    if (fgets(line, (int)room, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
    }
    (void)fclose(file);
}

json_t *bench_machine_describe(void)
{
    char model[256];
    char system[256];
    char clock[64];
    struct utsname names;
    double load = 0.0;
    json_int_t memory = (json_int_t)sysconf(_SC_PHYS_PAGES) * (json_int_t)sysconf(_SC_PAGESIZE);

    cpu_model(model, sizeof(model));
    field("/etc/os-release", "PRETTY_NAME", '=', system, sizeof(system));
    first_line("/sys/devices/system/clocksource/clocksource0/current_clocksource", clock,
               sizeof(clock));
    memset(&names, 0, sizeof(names));
    (void)uname(&names);
    (void)getloadavg(&load, 1);
    return json_pack("{s:s, s:I, s:s, s:I, s:s++, s:s, s:s, s:f, s:f}", "cpu", model, "cores",
                     (json_int_t)sysconf(_SC_NPROCESSORS_ONLN), "architecture", names.machine,
                     "memory_bytes", memory, "kernel", names.sysname, " ", names.release, "system",
                     system, "clock", clock, "clock_ns", bench_timer_overhead(), "load", load);
}

json_t *bench_build_describe(void)
{
#ifdef __clang__
    const char *compiler = "clang " __clang_version__;
#else
    const char *compiler = "gcc " __VERSION__;
#endif

    return json_pack("{s:s, s:s, s:s}", "compiler", compiler, "flags", BENCH_FLAGS, "type",
                     BENCH_BUILD_TYPE);
}
