/* SPDX-License-Identifier: BSD-3-Clause */
#include "cross/run.h"

#include <stdlib.h>
#include <string.h>

#include "harness/duo.h"

static bool open_queues(struct cross_run *run, const struct cross_config *config)
{
    int error = cross_world_open(&run->world, config);

    for (unsigned queue = 0; error == 0 && queue < config->queues; queue++) {
        run->links[queue] = cross_link_open(&run->world, queue, &error);
    }
    run->failure = error != 0 ? virtq_error_name(error) : NULL;
    return error == 0;
}

static bool open_floor(struct cross_run *run, const struct cross_config *config)
{
    struct cross_config direct = *config;
    int error;

    direct.way = CROSS_DIRECT;
    error = cross_world_open(&run->floor_world, &direct);
    if (error == 0) {
        run->floor_link = cross_link_open(&run->floor_world, 0, &error);
    }
    if (error == 0 && cross_way_copies(config->way)) {
        size_t bytes = (size_t)run->floor_world.window * config->bytes;

        run->copies = malloc(bytes);
        error = run->copies != NULL ? 0 : VIRTQ_ENOMEM;
        if (error == 0) {
            memset(run->copies, 1, bytes);
        }
    }
    run->failure = error != 0 ? virtq_error_name(error) : NULL;
    return error == 0;
}

bool cross_run_open(struct cross_run *run, const struct cross_config *config,
                    const struct bench_cpus *cpus)
{
    memset(run, 0, sizeof(*run));
    run->cpus = *cpus;
    return open_queues(run, config) &&
           (cross_run_floor_name(run) == NULL || open_floor(run, config));
}

void cross_run_close(struct cross_run *run)
{
    for (unsigned queue = 0; queue < CROSS_QUEUES_MAX; queue++) {
        cross_link_close(run->links[queue]);
    }
    cross_world_close(&run->world);
    cross_link_close(run->floor_link);
    cross_world_close(&run->floor_world);
    free(run->copies);
}

bool cross_run_verify(struct cross_run *run)
{
    for (unsigned queue = 0; queue < run->world.config.queues; queue++) {
        if (!cross_link_verify(run->links[queue])) {
            run->failure = run->links[queue]->failure;
            return false;
        }
    }
    return run->floor_link == NULL || cross_link_verify(run->floor_link);
}

/* Whole cycles; how many buffers, or 0. */
static uint64_t cycles(struct cross_link *link, uint64_t units)
{
    uint64_t done = 0;

    while (done < units) {
        if (!cross_link_cycle(link)) {
            return 0;
        }
        done += link->window;
    }
    return done;
}

static int near_side(struct bench_duo *duo, void *context)
{
    struct cross_run *run = context;

    (void)duo;
    return cycles(run->links[0], run->units) > 0 ? 0 : -1;
}

static int far_side(struct bench_duo *duo, void *context)
{
    struct cross_run *run = context;
    uint64_t begin = bench_clock_ns();
    uint64_t done = cycles(run->links[1], run->units);

    (void)duo;
    run->far_ns = bench_clock_ns() - begin;
    return done > 0 ? 0 : -1;
}

static int run_two(struct cross_run *run, uint64_t units, struct bench_sample *sample)
{
    uint64_t window = run->world.window;
    uint64_t near_ns = 0;

    run->units = units;
    if (bench_duo_run(&run->cpus, near_side, far_side, run, &near_ns) != 0) {
        return -1;
    }
    sample->timer.ns = (near_ns + run->far_ns) / 2u;
    sample->timer.sections = 1;
    sample->units = (units + window - 1) / window * window;
    return 0;
}

int cross_run_queues(void *context, uint64_t units, struct bench_sample *sample)
{
    struct cross_run *run = context;
    uint64_t before = cross_backend_requests();
    int result = 0;

    if (run->world.config.queues > 1) {
        result = run_two(run, units, sample);
    } else {
        bench_timer_start(&sample->timer);
        sample->units = cycles(run->links[0], units);
        bench_timer_stop(&sample->timer);
        result = sample->units > 0 ? 0 : -1;
    }
    for (unsigned queue = 0; result != 0 && queue < run->world.config.queues; queue++) {
        run->failure =
            run->links[queue]->failure != NULL ? run->links[queue]->failure : run->failure;
    }
    run->requests += cross_backend_requests() - before;
    run->buffers += sample->units;
    return result;
}

int cross_run_floor(void *context, uint64_t units, struct bench_sample *sample)
{
    struct cross_run *run = context;
    struct cross_link *link = run->floor_link;
    size_t bytes = link->world->config.bytes;

    bench_timer_start(&sample->timer);
    while (sample->units < units && cross_link_cycle(link)) {
        for (unsigned slot = 0; run->copies != NULL && slot < link->window; slot++) {
            memcpy(run->copies + slot * bytes, link->plain_segments[slot].base, bytes);
            __asm__ volatile("" ::: "memory");
        }
        sample->units += link->window;
    }
    bench_timer_stop(&sample->timer);
    run->failure = sample->units < units ? "the floor failed" : run->failure;
    return sample->units < units ? -1 : 0;
}

const char *cross_run_floor_name(const struct cross_run *run)
{
    const struct cross_config *config = &run->world.config;

    if (config->queues > 1 || config->request_ns > 0 || config->way == CROSS_DIRECT) {
        return NULL;
    }
    return cross_way_copies(config->way) ? "direct and a memcpy of the payload" : "direct";
}

double cross_run_requests(const struct cross_run *run)
{
    return run->buffers > 0 ? (double)run->requests / (double)run->buffers : 0.0;
}
