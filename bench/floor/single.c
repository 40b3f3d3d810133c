/* SPDX-License-Identifier: BSD-3-Clause */
#include "floor/single.h"

#include <stdlib.h>
#include <string.h>

#include "floor/ring.h"

/* So many at least between two looks at the clock. */
enum { SECTION = 1024, PAGE = 4096 };

static _Alignas(FLOOR_LINE) uint64_t own_word;

bool floor_copy_open(struct floor_copy *copy, size_t bytes, size_t from_at, size_t to_at)
{
    const size_t room = FLOOR_MEMCPY_MAX + PAGE;

    copy->bytes = bytes;
    copy->from_pages = aligned_alloc(PAGE, room);
    copy->to_pages = aligned_alloc(PAGE, room);
    if (copy->from_pages == NULL || copy->to_pages == NULL) {
        floor_copy_close(copy);
        return false;
    }
    copy->from = copy->from_pages + from_at % PAGE;
    copy->to = copy->to_pages + to_at % PAGE;
    for (size_t at = 0; at < room; at++) {
        copy->from_pages[at] = (unsigned char)(at * 7u + (at >> 8));
    }
    memset(copy->to_pages, 0, room);
    return true;
}

void floor_copy_close(struct floor_copy *copy)
{
    free(copy->from_pages);
    free(copy->to_pages);
    *copy = (struct floor_copy){0};
}

/* Never inlined, so that the length is not a constant: a bounce buffer does not know it either. */
FLOOR_FUNCTION static void copy_many(const struct floor_copy *copy, uint64_t times)
{
    for (uint64_t time = 0; time < times; time++) {
        memcpy(copy->to, copy->from, copy->bytes);
        __asm__ volatile("" ::: "memory");
    }
}

int floor_copy_run(void *context, uint64_t units, struct bench_sample *sample)
{
    const struct floor_copy *copy = context;

    memset(copy->to, 0, copy->bytes);
    bench_timer_start(&sample->timer);
    copy_many(copy, units);
    bench_timer_stop(&sample->timer);
    sample->units = units;
    return memcmp(copy->to, copy->from, copy->bytes) == 0 ? 0 : -1;
}

FLOOR_FUNCTION static void barrier_many(uint64_t times)
{
    for (uint64_t time = 0; time < times; time++) {
        __atomic_store_n(&own_word, time, __ATOMIC_RELAXED);
        floor_fence();
    }
}

int floor_barrier_run(void *none, uint64_t units, struct bench_sample *sample)
{
    (void)none;
    units = units < SECTION ? SECTION : units;
    bench_timer_start(&sample->timer);
    barrier_many(units);
    bench_timer_stop(&sample->timer);
    sample->units = units;
    return own_word == units - 1 ? 0 : -1;
}

FLOOR_FUNCTION static uint64_t exchange_many(uint64_t times)
{
    uint64_t value = 0;

    __atomic_store_n(&own_word, 0, __ATOMIC_RELAXED);
    for (uint64_t time = 0; time < times; time++) {
        uint64_t seen = value;

        value += __atomic_compare_exchange_n(&own_word, &seen, value + 1, false, __ATOMIC_SEQ_CST,
                                             __ATOMIC_RELAXED);
    }
    return value;
}

int floor_exchange_run(void *none, uint64_t units, struct bench_sample *sample)
{
    uint64_t done;

    (void)none;
    units = units < SECTION ? SECTION : units;
    bench_timer_start(&sample->timer);
    done = exchange_many(units);
    bench_timer_stop(&sample->timer);
    sample->units = units;
    return done == units && own_word == units ? 0 : -1;
}
