/* SPDX-License-Identifier: BSD-3-Clause */
/* The driver end of a packed queue, access by access: P4, P5, P15, in the inline tier. */
#include "hostile/trace.h"

#include "driver_rig.h"

/** @brief Runs a body over the tier whose accesses can be seen. */
static void each_access(void (*body)(struct driver_rig *r))
{
    struct driver_rig r;

    memset(&r, 0, sizeof(r));
    r.calls = &inline_driver;
    body(&r);
    rig_close(&r);
}

#define AccessTest(name_)                           \
    static void name_##_body(struct driver_rig *r); \
    Test(packed_driver_access, name_)               \
    {                                               \
        each_access(name_##_body);                  \
    }                                               \
    static void name_##_body(struct driver_rig *r)

/** @brief An access is one of a field: of `width` bytes at `at`. */
static bool is(const struct access *access, const unsigned char *at, unsigned width, bool store)
{
    return access->at == at && access->width == width && access->store == store;
}

static unsigned char *flags_at(const struct driver_rig *r, struct place place)
{
    return wire_at(r->w, place.offset) + 14;
}

AccessTest(p4_the_heads_flags_are_the_last_store_of_all)
{
    for (uint16_t start = 0; start < 14; start++) {
        for (unsigned count = 1; count <= 7; count++) {
            unsigned stores[7][4] = {{0}};
            struct place first;

            rig_open_at(r, 7, MEMORY_BASIC, (uint16_t)(start % 7 | start / 7 << 15));
            first = r->avail;
            trace_count = 0;
            (void)rig_send(r, count - count / 2, count / 2, 1);
            cr_assert_gt(trace_count, 0u);
            cr_assert(is(&trace_log[trace_count - 1], flags_at(r, first), 2, true));
            for (unsigned i = 0; i < trace_count; i++) {
                const size_t at = (size_t)(trace_log[i].at - r->w->desc);
                const unsigned field[16] = {0, 9, 9, 9, 9, 9, 9, 9, 1, 9, 9, 9, 2, 9, 3, 9};

                /* Stores alone: nothing is read back. */
                cr_assert(trace_log[i].store && at < (size_t)7 * 16 && field[at % 16] != 9);
                stores[at / 16][field[at % 16]]++;
            }
            /* Each field of each descriptor once. */
            for (unsigned k = 0; k < 7; k++) {
                for (unsigned field = 0; field < 4; field++) {
                    cr_assert_eq(stores[place_after(first, 7, k).offset][field],
                                 k < count ? 1u : 0u);
                }
            }
        }
    }
}

AccessTest(p4_of_a_batch_the_first_heads_flags_are_the_last_store)
{
    for (uint16_t start = 0; start < 14; start++) {
        unsigned last = 0;
        struct place first;

        rig_open_at(r, 7, MEMORY_TABLES, (uint16_t)(start % 7 | start / 7 << 15));
        first = r->avail;
        trace_count = 0;
        rig_add(r, 1, 0, 1);
        rig_add(r, 2, 1, 2);
        rig_add(r, 0, 1, 3);
        for (unsigned i = 0; i < trace_count; i++) {
            cr_assert(trace_log[i].at != flags_at(r, first));
            last += trace_log[i].at == flags_at(r, place_after(first, 7, 2));
        }
        /* Those of the third were stored already: only the first ones are held back. */
        cr_assert_eq(last, 1u);
        trace_count = 0;
        cr_assert_eq(r->calls->publish(&r->q), 3u);
        cr_assert_eq(trace_count, 1u);
        cr_assert(is(&trace_log[0], flags_at(r, first), 2, true));
    }
}

AccessTest(p5_a_used_descriptor_is_read_once_and_the_rest_of_its_list_never)
{
    rig_open_at(r, 7, MEMORY_BASIC, 5);
    for (unsigned n = 0; n < 30; n++) {
        const struct place here = r->used;
        const unsigned slots = 1 + n % 5;
        unsigned char *const at = wire_at(r->w, here.offset);

        rig_use(r, rig_send(r, slots, 0, n), 0, slots);
        (void)rig_send(r, 1, 0, 100);
        trace_count = 0;
        (void)rig_poll(r);
        /* Flags, then id and length in whatever order; no address. */
        cr_assert_eq(trace_count, 3u);
        cr_assert(is(&trace_log[0], at + 14, 2, false));
        cr_assert(is(&trace_log[1], at + 12, 2, false) || is(&trace_log[1], at + 8, 4, false));
        cr_assert(is(&trace_log[2], at + 12, 2, false) || is(&trace_log[2], at + 8, 4, false));
        cr_assert(trace_log[1].at != trace_log[2].at);
        trace_count = 0;
        cr_assert_eq(rig_poll_none(r), 0);
        /* The next look is behind the list, at its flags. */
        cr_assert_eq(trace_count, 1u);
        cr_assert(is(&trace_log[0], flags_at(r, r->used), 2, false));
        rig_use(r, wire_desc(r->w, r->used).id, 0, 1);
        (void)rig_poll(r);
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
            cr_assert(is(&trace_log[0], r->w->driver, 4, true));
            trace_count = 0;
            cr_assert(!r->calls->enable_notify(&r->q, 1));
            cr_assert(is(&trace_log[0], r->w->driver, 4, true));
            (void)rig_send(r, 1, 0, n);
            trace_count = 0;
            (void)r->calls->needs_notify(&r->q, NULL);
            cr_assert_eq(trace_count, 1u);
            cr_assert(is(&trace_log[0], r->w->device, 4, false));
            rig_use(r, wire_desc(r->w, r->used).id, 0, 1);
            (void)rig_poll(r);
        }
    }
}
