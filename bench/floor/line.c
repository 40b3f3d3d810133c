/* SPDX-License-Identifier: BSD-3-Clause */
/* One cache line between two processors: there and back is the least that an answer can take. */
#include "floor/message.h"

struct line {
    struct floor_frame frame;
    _Alignas(FLOOR_LINE) uint64_t word; /* odd: the far side is to answer */
};

void *floor_line_open(const struct bench_cpus *cpus, unsigned outstanding)
{
    return floor_frame_open(sizeof(struct line), cpus, outstanding);
}

static int wait_for(struct bench_duo *duo, struct line *line, uint64_t value)
{
    unsigned turns = 0;

    /* The pause of a waiting loop would be most of what is measured here: look at the line itself,
     * and now and then about. */
    while (__atomic_load_n(&line->word, __ATOMIC_ACQUIRE) != value) {
        if ((bench_cpu_shared || ++turns % 1024u == 0) && !bench_duo_wait(duo)) {
            return -1;
        }
    }
    return 0;
}

static int serve(struct bench_duo *duo, void *context)
{
    struct line *line = context;

    for (uint64_t turn = 0; turn < line->frame.units; turn++) {
        __atomic_store_n(&line->word, 2 * turn + 1, __ATOMIC_RELEASE);
        if (wait_for(duo, line, 2 * turn + 2) != 0) {
            return -1;
        }
    }
    return 0;
}

static int give_back(struct bench_duo *duo, void *context)
{
    struct line *line = context;

    for (uint64_t turn = 0; turn < line->frame.units; turn++) {
        if (wait_for(duo, line, 2 * turn + 1) != 0) {
            return -1;
        }
        __atomic_store_n(&line->word, 2 * turn + 2, __ATOMIC_RELEASE);
    }
    return 0;
}

int floor_line_run(void *rings, uint64_t units, struct bench_sample *sample)
{
    struct line *line = rings;

    line->word = 0;
    return floor_frame_run(&line->frame, serve, give_back, units, sample);
}
