/* SPDX-License-Identifier: BSD-3-Clause */
/* A case of virtq-bench cross: its queues, and its floor, as things to be measured. */
#ifndef BENCH_CROSS_RUN_H
#define BENCH_CROSS_RUN_H

#include "cross/link.h"
#include "cross/world.h"
#include "harness/cpu.h"
#include "harness/measure.h"

struct cross_run {
    struct bench_cpus cpus;
    struct cross_world world;
    struct cross_link *links[CROSS_QUEUES_MAX];
    uint64_t units;    /* of each queue in the run under way */
    uint64_t far_ns;   /* what the second queue took */
    uint64_t requests; /* to the backend by the first queue, in all timed cycles */
    uint64_t buffers;  /* that these requests were for */
    /* The floor of one queue: the direct space, and one copy of the payload where the way copies.
     */
    struct cross_world floor_world;
    struct cross_link *floor_link;
    unsigned char *copies; /* where it copies to; NULL: it does not */
    const char *failure;
};

/* False: `failure` says why. cross_run_close() in either case. */
bool cross_run_open(struct cross_run *run, const struct cross_config *config,
                    const struct bench_cpus *cpus);
void cross_run_close(struct cross_run *run);

/* Each queue once with every byte written by one end and found by the other. */
bool cross_run_verify(struct cross_run *run);

/* For struct bench_subject, with a struct cross_run. A unit is a buffer; with two queues its time
 * is that of a buffer on either of them, while both run. */
int cross_run_queues(void *context, uint64_t units, struct bench_sample *sample);
int cross_run_floor(void *context, uint64_t units, struct bench_sample *sample);

/* What the floor of a case is called; NULL: it has none. */
const char *cross_run_floor_name(const struct cross_run *run);

/* Requests to the backend for each buffer. */
double cross_run_requests(const struct cross_run *run);

#endif
