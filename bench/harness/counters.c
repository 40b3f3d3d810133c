/* SPDX-License-Identifier: BSD-3-Clause */
#include "harness/counters.h"

#include <linux/perf_event.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The leader of the group is the instruction counter; both are read at once. */
static int counter_files[BENCH_COUNTER_KINDS] = {-1, -1};

struct group_reading {
    uint64_t count;
    uint64_t values[BENCH_COUNTER_KINDS];
};

static int counter_open(uint64_t event, int leader)
{
    struct perf_event_attr attributes;

    memset(&attributes, 0, sizeof(attributes));
    attributes.type = PERF_TYPE_HARDWARE;
    attributes.size = sizeof(attributes);
    attributes.config = event;
    attributes.exclude_kernel = 1;
    attributes.exclude_hv = 1;
    attributes.read_format = PERF_FORMAT_GROUP;
    return (int)syscall(SYS_perf_event_open, &attributes, 0, -1, leader, PERF_FLAG_FD_CLOEXEC);
}

static bool counters_read(uint64_t values[BENCH_COUNTER_KINDS])
{
    struct group_reading reading;

    if (read(counter_files[0], &reading, sizeof(reading)) != (ssize_t)sizeof(reading)) {
        return false;
    }
    memcpy(values, reading.values, sizeof(reading.values));
    return true;
}

bool bench_counters_open(void)
{
    uint64_t values[BENCH_COUNTER_KINDS];

    if (bench_counters_available()) {
        return true;
    }
    counter_files[0] = counter_open(PERF_COUNT_HW_INSTRUCTIONS, -1);
    if (counter_files[0] >= 0) {
        counter_files[1] = counter_open(PERF_COUNT_HW_CPU_CYCLES, counter_files[0]);
    }
    /* Some machines open counters that then stand still. */
    if (counter_files[1] < 0 || !counters_read(values) || values[BENCH_COUNTER_INSTRUCTIONS] == 0) {
        bench_counters_close();
        return false;
    }
    return true;
}

bool bench_counters_available(void)
{
    return counter_files[0] >= 0;
}

void bench_counters_close(void)
{
    for (unsigned kind = BENCH_COUNTER_KINDS; kind-- > 0;) {
        if (counter_files[kind] >= 0) {
            (void)close(counter_files[kind]);
        }
        counter_files[kind] = -1;
    }
}

void bench_counters_start(struct bench_counts *counts)
{
    if (!counters_read(counts->begin)) {
        memset(counts->begin, 0, sizeof(counts->begin));
    }
}

void bench_counters_stop(struct bench_counts *counts)
{
    uint64_t end[BENCH_COUNTER_KINDS];

    if (!counters_read(end)) {
        return;
    }
    for (unsigned kind = 0; kind < BENCH_COUNTER_KINDS; kind++) {
        counts->sum[kind] += end[kind] - counts->begin[kind];
    }
}
