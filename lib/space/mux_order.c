/* SPDX-License-Identifier: BSD-3-Clause */
/* The members' runs in the buffer's order. Where there are no more of them than segments they come
 * from a copy; else in place, for a queue has no second array of runs. */
#include <string.h>

#include "mux_private.h"

struct order {
    struct virtq_run *runs;
    struct virtq_run *from;           /* Where they are taken from: the same, or the copy. */
    uint32_t done;                    /* Runs in their places. */
    uint32_t total;                   /* All of them. */
    uint32_t capacity;                /* How many there is room for. */
    uint32_t members;                 /* How many members there are. */
    uint32_t at[VIRTQ_MUX_MEMBERS];   /* Where each member's next run is ... */
    uint32_t left[VIRTQ_MUX_MEMBERS]; /* ... and how many there are of it. */
};

/* Opens a gap for one run at `done`, by moving up what lies below `end`. */
static void open_gap(struct order *order, uint32_t end)
{
    uint32_t i;

    memmove(&order->runs[order->done + 1], &order->runs[order->done],
            (size_t)(end - order->done) * sizeof(*order->runs));
    for (i = 0; i < order->members; i++) {
        order->at[i] += order->at[i] < end ? 1u : 0u;
    }
}

/* The member's next run, of which no more than `most` bytes are wanted, is the next of all. */
static int take(struct order *order, uint32_t member, uint64_t most, uint64_t *taken)
{
    struct virtq_run *run = &order->from[order->at[member]];
    const bool in_place = order->from == order->runs;
    struct virtq_run next;

    if (order->left[member] == 0) {
        return VIRTQ_EFAULT;
    }
    next = *run;
    if (next.len <= most) {
        uint32_t from = order->at[member]++;

        order->left[member]--;
        if (in_place) {
            open_gap(order, from);
        }
    } else {
        if (order->total == order->capacity) {
            return VIRTQ_EFULL;
        }
        next.len = (uint32_t)most;
        run->addr += next.len;
        run->len -= next.len;
        if (in_place) {
            open_gap(order, order->total);
        }
        order->total++;
    }
    order->runs[order->done++] = next;
    *taken = next.len;
    return 0;
}

/* The segments from `i` to `end`: neighbours that went to one member are taken together, so that
 * what it made one run of stays one. */
static int take_part(struct order *order, const struct virtq_priv_mux_step *steps, uint32_t i,
                     uint32_t end)
{
    while (i < end) {
        uint32_t member = steps[i].member;
        uint64_t bytes = 0;

        for (; i < end && steps[i].member == member; i++) {
            bytes += steps[i].len;
        }
        while (bytes != 0) {
            uint64_t taken = 0;
            int error = take(order, member, bytes, &taken);

            if (error != 0) {
                return error;
            }
            bytes -= taken;
        }
    }
    return 0;
}

/* Whether each member has exactly so many runs left. */
static bool remain(const struct order *order, const uint32_t *left)
{
    uint32_t i;

    for (i = 0; i < order->members; i++) {
        if (order->left[i] != left[i]) {
            return false;
        }
    }
    return true;
}

int virtq_priv_mux_order(const struct virtq_priv_mux_record *record,
                         const struct virtq_priv_mux_step *steps, struct virtq_run *scratch,
                         struct virtq_mapping *mapping, const struct virtq_priv_mux_runs *given)
{
    static const uint32_t none[VIRTQ_MUX_MEMBERS];
    struct order order = {.runs = mapping->runs,
                          .from = mapping->runs,
                          .capacity = mapping->capacity,
                          .members = record->members};
    uint32_t i;
    int error;

    for (i = 0; i < record->members; i++) {
        order.at[i] = order.total;
        order.left[i] = given->readable[i] + given->writable[i];
        order.total += order.left[i];
    }
    if (order.total <= record->segments) {
        for (i = 0; i < order.total; i++) {
            scratch[i] = mapping->runs[i];
        }
        order.from = scratch;
    }
    error = take_part(&order, steps, 0, record->readable);
    if (error != 0) {
        return error;
    }
    if (!remain(&order, given->writable)) {
        return VIRTQ_EFAULT;
    }
    mapping->runs_readable = (uint16_t)order.done;
    error = take_part(&order, steps, record->readable, record->segments);
    if (error != 0) {
        return error;
    }
    mapping->runs_writable = (uint16_t)(order.done - mapping->runs_readable);
    return remain(&order, none) ? 0 : VIRTQ_EFAULT;
}
