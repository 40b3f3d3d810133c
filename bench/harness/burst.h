/* SPDX-License-Identifier: BSD-3-Clause */
/* How the side that asks paces itself when two processors work on one queue: the same for every
 * floor and every case.
 *
 * It adds up to a burst at once, and waits until there is room for half of what may be outstanding
 * (or for a burst, if that is less). One that adds whatever fits soon moves single buffers to and
 * fro, and what is then measured is chance.
 */
#ifndef BENCH_HARNESS_BURST_H
#define BENCH_HARNESS_BURST_H

#include <stdint.h>

/* Buffers handled in one go, at most. */
#define BENCH_BURST 32u

/* How many to add now. `room`: how many more may be outstanding; `left`: how many more are to be
 * added in all. */
static inline unsigned bench_burst(unsigned outstanding, uint64_t room, uint64_t left)
{
    uint64_t least = outstanding / 2u;

    least = least > BENCH_BURST ? BENCH_BURST : (least == 0 ? 1u : least);
    least = least < left ? least : left;
    room = room < left ? room : left;
    room = room < BENCH_BURST ? room : BENCH_BURST;
    return room < least ? 0u : (unsigned)room;
}

/* As many units, or a few more, as are whole bursts. A queue goes on where the last round ended,
 * and a floor begins anew: after a burst that was cut short, each later one of the queue would
 * share cache lines with its neighbours, and none of the floor's. */
static inline uint64_t bench_whole_bursts(uint64_t units)
{
    return (units + BENCH_BURST - 1) / BENCH_BURST * BENCH_BURST;
}

/* The slot after one, of as many as may be outstanding. A division for each buffer would cost more
 * than the floors that the figures are compared with. */
static inline unsigned bench_next_slot(unsigned slot, unsigned outstanding)
{
    return slot + 1 == outstanding ? 0 : slot + 1;
}

#endif
