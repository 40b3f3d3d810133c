/* SPDX-License-Identifier: BSD-3-Clause */
/* The device end of a packed queue, access by access: P5, P8, P11, P15, I3, U1, R1, in
 * the inline tier. */
#include "hostile/trace.h"

#include "device_rig.h"

/** @brief Runs a body over the tier whose accesses can be seen. */
static void each_access(void (*body)(struct device_rig *r))
{
    struct device_rig *r = calloc(1, sizeof(*r));

    cr_assert_not_null(r);
    r->calls = &inline_device;
    body(r);
    rig_close(r);
    free(r);
}

#define AccessTest(name_)                           \
    static void name_##_body(struct device_rig *r); \
    Test(packed_device_access, name_)               \
    {                                               \
        each_access(name_##_body);                  \
    }                                               \
    static void name_##_body(struct device_rig *r)

/** @brief An access is one of a field: of `width` bytes at `at`. */
static bool is(const struct access *access, const unsigned char *at, unsigned width, bool store)
{
    return access->at == at && access->width == width && access->store == store;
}

/** @brief Whether no byte of a run was accessed twice. */
static bool each_byte_once(const unsigned char *from, size_t size)
{
    unsigned char seen[1024] = {0};

    cr_assert_leq(size, sizeof(seen));
    for (unsigned i = 0; i < trace_count; i++) {
        if (trace_log[i].at < from || trace_log[i].at >= from + size) {
            continue;
        }
        for (unsigned k = 0; k < trace_log[i].width; k++) {
            unsigned char *byte = &seen[trace_log[i].at - from + k];

            if (*byte != 0) {
                return false;
            }
            *byte = 1;
        }
    }
    return true;
}

AccessTest(p5_every_word_of_a_list_is_read_once_and_its_flags_first)
{
    for (uint16_t start = 0; start < 14; start++) {
        for (unsigned count = 1; count <= 7; count++) {
            struct place first;

            rig_open_at(r, 7, MEMORY_BASIC, (uint16_t)(start % 7 | start / 7 << 15));
            first = r->avail;
            rig_offer_list(r, 2, count - count / 2, count / 2);
            trace_count = 0;
            (void)rig_pop_one(r);
            cr_assert(is(&trace_log[0], wire_at(r->w, first.offset) + 14, 2, false));
            cr_assert(each_byte_once(r->w->desc, (size_t)7 * 16));
            for (unsigned i = 0; i < trace_count; i++) {
                cr_assert(!trace_log[i].store);
            }
        }
    }
}

AccessTest(p8_every_word_of_a_table_is_read_once)
{
    rig_open(r, 7, MEMORY_TABLES);
    for (unsigned count = 1; count <= 7; count++) {
        for (unsigned k = 0; k < count; k++) {
            rig_entry(r, 0, k, k * RIG_APART, k + 1, k < count / 2 ? 0 : WIRE_WRITE);
        }
        rig_table(r, 3, 0, count * WIRE_DESC, 0);
        trace_count = 0;
        rig_expect_list(r, rig_pop_one(r), 3, count / 2, count - count / 2);
        cr_assert(each_byte_once(r->w->desc, (size_t)7 * 16));
        cr_assert(each_byte_once(r->m.tables, (size_t)count * 16));
        rig_return(r, 3, 1, 1);
    }
}

AccessTest(p11_the_flags_of_the_first_used_descriptor_are_the_last_store)
{
    for (uint16_t start = 0; start < 14; start++) {
        struct virtq_used_buffer used[3] = {{0, 8}, {1, 0}, {2, 3}};
        unsigned char *first;

        rig_open_at(r, 7, MEMORY_BASIC, (uint16_t)(start % 7 | start / 7 << 15));
        first = wire_at(r->w, r->used.offset) + 14;
        for (unsigned n = 0; n < 3; n++) {
            rig_offer(r, n, 8);
        }
        cr_assert_eq(rig_pop(r, 4), 3);
        trace_count = 0;
        cr_assert_eq(r->calls->push(&r->q, used, 3), 3);
        cr_assert(each_byte_once(r->w->desc, (size_t)7 * 16));
        for (unsigned i = 0; i < trace_count; i++) {
            cr_assert(trace_log[i].store && trace_log[i].at != first);
        }
        /* Id and length of three, flags of two. */
        cr_assert_eq(trace_count, 8u);
        trace_count = 0;
        cr_assert_eq(r->calls->publish(&r->q), 3);
        cr_assert_eq(trace_count, 1u);
        cr_assert(is(&trace_log[0], first, 2, true));
    }
}

AccessTest(i3_a_batch_is_one_descriptor_and_its_flags_are_the_last_store)
{
    unsigned char *at;

    rig_open_at(r, 7, MEMORY_ORDERED, 5);
    for (unsigned lap = 0; lap < 10; lap++) {
        for (unsigned n = 0; n < 3; n++) {
            rig_offer(r, n, 8);
        }
        cr_assert_eq(rig_pop(r, 4), 3);
        trace_count = 0;
        for (unsigned n = 0; n < 3; n++) {
            cr_assert_eq(rig_push(r, n, 8), 1);
        }
        /* Held back until it is known how far the batch goes. */
        cr_assert_eq(trace_count, 0u);
        at = wire_at(r->w, r->used.offset);
        cr_assert_eq(r->calls->publish(&r->q), 3);
        cr_assert_eq(trace_count, 3u);
        cr_assert(is(&trace_log[2], at + 14, 2, true));
        for (unsigned i = 0; i < 2; i++) {
            cr_assert(is(&trace_log[i], at + 8, 4, true) || is(&trace_log[i], at + 12, 2, true));
        }
        rig_expect_used(r, 2, 8, 3);
    }
}

AccessTest(p15_an_event_structure_is_written_and_read_as_one_word)
{
    for (unsigned events = 0; events < 2; events++) {
        rig_open_at(r, 7, events != 0 ? MEMORY_EVENTS : MEMORY_BASIC, 6);
        for (unsigned n = 0; n < 20; n++) {
            trace_count = 0;
            r->calls->disable_notify(&r->q);
            cr_assert_eq(trace_count, 1u);
            cr_assert(is(&trace_log[0], r->w->device, 4, true));
            trace_count = 0;
            cr_assert(!r->calls->enable_notify(&r->q));
            cr_assert(is(&trace_log[0], r->w->device, 4, true));
            rig_pass(r, 1);
            trace_count = 0;
            (void)r->calls->needs_notify(&r->q);
            cr_assert_eq(trace_count, 1u);
            cr_assert(is(&trace_log[0], r->w->driver, 4, false));
        }
    }
}

AccessTest(u1_a_drained_queue_touches_no_memory_of_the_driver)
{
    for (unsigned reset = 0; reset < 2; reset++) {
        rig_open_at(r, 7, MEMORY_EVENTS, 5);
        rig_pass(r, 3);
        rig_offer(r, 0, 8);
        if (reset != 0) {
            /* R1: the ring may be gone until the driver enables the queue anew. */
            r->calls->reset(&r->q);
        }
        cr_assert_eq(r->calls->quiesce(&r->q), 0u);
        cr_assert_eq(r->calls->needs_notify(&r->q), reset != 0 ? 0 : 1);
        trace_count = 0;
        for (unsigned i = 0; i < 3; i++) {
            cr_assert_eq(rig_pop(r, 8), 0);
            cr_assert_eq(rig_push(r, 0, 0), VIRTQ_EINVAL);
            cr_assert_eq(r->calls->publish(&r->q), 0);
            cr_assert_eq(r->calls->needs_notify(&r->q), 0);
            r->calls->disable_notify(&r->q);
            cr_assert(!r->calls->enable_notify(&r->q));
        }
        cr_assert_eq(trace_count, 0u);
    }
}
