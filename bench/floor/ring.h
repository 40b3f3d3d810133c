/* SPDX-License-Identifier: BSD-3-Clause */
/* The two unchecked rings behind protocol.h. */
#ifndef BENCH_FLOOR_RING_H
#define BENCH_FLOOR_RING_H

#include <virtq/packed.h>
#include <virtq/split.h>

#include "floor/protocol.h"

#define FLOOR_LINE 64
#define FLOOR_FUNCTION __attribute__((noinline))

/* In each, the two sides' own words lie on lines of their own, and so does what neither changes.
 * The rings of a split queue begin a line, as virtq_layout_init() has them. */
struct floor_split {
    _Alignas(FLOOR_LINE) struct virtq_desc desc[BENCH_RING_SIZE];
    _Alignas(FLOOR_LINE) struct {
        unsigned char before[FLOOR_LINE - 4];
        uint16_t flags;
        uint16_t idx;
        uint16_t ring[BENCH_RING_SIZE];
        uint16_t used_event;
    } avail;
    _Alignas(FLOOR_LINE) struct {
        unsigned char before[FLOOR_LINE - 4];
        uint16_t flags;
        uint16_t idx;
        struct virtq_used_elem ring[BENCH_RING_SIZE];
        uint16_t avail_event;
    } used;
    _Alignas(FLOOR_LINE) struct virtq_desc tables[BENCH_RING_SIZE][BENCH_SEGMENTS_MAX];
    _Alignas(FLOOR_LINE) bool indirect;
    bool tests; /* for a notification, after each publish */
    /* The driver's own. */
    _Alignas(FLOOR_LINE) uint16_t free_head;
    uint16_t driver_avail;
    uint16_t driver_used;
    uint64_t driver_notifications; /* keeps the tests from being optimised away */
    void *cookies[BENCH_RING_SIZE];
    /* The device's own. */
    _Alignas(FLOOR_LINE) uint16_t device_avail;
    uint16_t device_used;
    uint64_t device_notifications;
    _Alignas(FLOOR_LINE) unsigned char end;
};

/* A position in a packed ring, and the flags that go with it. */
struct floor_position {
    uint16_t at;
    uint16_t flags;
};

struct floor_packed {
    _Alignas(FLOOR_LINE) struct pvirtq_desc ring[BENCH_RING_SIZE];
    /* Event suppression as one word, which is how both halves are read at once: off_wrap below,
     * flags above. */
    _Alignas(FLOOR_LINE) uint32_t driver_event;
    _Alignas(FLOOR_LINE) uint32_t device_event;
    _Alignas(FLOOR_LINE) struct pvirtq_desc tables[BENCH_RING_SIZE][BENCH_SEGMENTS_MAX];
    _Alignas(FLOOR_LINE) bool indirect;
    bool tests;
    /* The driver's own. */
    _Alignas(FLOOR_LINE) struct floor_position driver_next; /* flags of an available descriptor */
    struct floor_position driver_used;                      /* flags of a used one */
    uint16_t free_count;
    uint64_t driver_notifications;
    uint16_t free_ids[BENCH_RING_SIZE];
    struct {
        void *cookie;
        uint16_t slots;
    } records[BENCH_RING_SIZE];
    /* The device's own. */
    _Alignas(FLOOR_LINE) struct floor_position device_next;
    struct floor_position device_used;
    uint64_t device_notifications;
    _Alignas(FLOOR_LINE) unsigned char end;
};

void floor_split_init(struct floor_split *queue, bool indirect);
void floor_split_driver_add(struct floor_split *queue, const struct floor_buffer *buffers,
                            unsigned count);
unsigned floor_split_driver_poll(struct floor_split *queue, struct floor_completion *completions,
                                 unsigned count);
unsigned floor_split_device_pop(struct floor_split *queue, struct floor_chain *chains,
                                unsigned count, struct floor_piece *pieces);
void floor_split_device_push(struct floor_split *queue, const struct floor_used *used,
                             unsigned count);

void floor_packed_init(struct floor_packed *queue, bool indirect);
void floor_packed_driver_add(struct floor_packed *queue, const struct floor_buffer *buffers,
                             unsigned count);
unsigned floor_packed_driver_poll(struct floor_packed *queue, struct floor_completion *completions,
                                  unsigned count);
unsigned floor_packed_device_pop(struct floor_packed *queue, struct floor_chain *chains,
                                 unsigned count, struct floor_piece *pieces);
void floor_packed_device_push(struct floor_packed *queue, const struct floor_used *used,
                              unsigned count);

/* A full barrier, the cheapest this processor has. */
static inline void floor_fence(void)
{
#if defined(__x86_64__)
    /* A locked instruction on the stack; compilers differ in what they make of a fence, and mfence
     * costs twice as much. */
    __asm__ volatile("lock; addl $0, -4(%%rsp)" ::: "memory", "cc");
#else
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
#endif
}

/* Whether `event` lies in (past, now]: the test both formats use. */
static inline unsigned floor_needs_event(uint16_t event, uint16_t now, uint16_t past)
{
    return (uint16_t)(now - event - 1u) < (uint16_t)(now - past);
}

#endif
