/* SPDX-License-Identifier: BSD-3-Clause */
/* States: which can be, the vhost base encoding, saving, restoring, and replay after a crash. */
#include "virtq/state.h"

#include "pair.h"

/* How many places a packed position is past the ring's birth: the wrap counter begins as 1. */
static uint32_t place_of(uint16_t position, uint32_t size)
{
    return (position & 0x7fffu) + ((position & 0x8000u) != 0 ? 0 : size);
}

static uint16_t position_of(uint32_t place, uint32_t size)
{
    place %= 2 * size;
    return (uint16_t)(place < size ? (0x8000u | place) : place - size);
}

/* Whether a state can be, by counting. */
static bool can_be(const struct virtq_state *s)
{
    if (s->format == VIRTQ_FORMAT_SPLIT) {
        return (uint16_t)(s->available - s->used) <= s->size;
    }
    if ((s->available & 0x7fffu) >= s->size || (s->used & 0x7fffu) >= s->size) {
        return false;
    }
    return (place_of(s->available, s->size) + 2 * s->size - place_of(s->used, s->size)) %
               (2 * s->size) <=
           s->size;
}

static void agrees(uint32_t format, uint32_t size, uint32_t available, uint32_t used)
{
    const struct virtq_state state = {format, size, (uint16_t)available, (uint16_t)used, 0};
    const uint32_t base = virtq_state_to_base(&state);
    struct virtq_state back;
    struct virtq_state pattern;
    int error;

    cr_assert_eq(virtq_state_validate(&state), can_be(&state) ? VIRTQ_OK : VIRTQ_EINVAL);
    memset(&back, 0xa5, sizeof(back));
    pattern = back;
    error = virtq_state_from_base((enum virtq_format)format, size, base, &back);
    if (format == VIRTQ_FORMAT_SPLIT) {
        /* A base says nothing of the used index. */
        cr_assert(error == VIRTQ_OK && base == available && back.available == available &&
                  back.used == available && back.size == size && back.format == format);
    } else if (can_be(&state)) {
        cr_assert(base == (available | used << 16));
        cr_assert(error == VIRTQ_OK && memcmp(&back, &state, sizeof(back)) == 0);
    } else {
        cr_assert(error == VIRTQ_EINVAL && memcmp(&back, &pattern, sizeof(back)) == 0);
    }
}

Test(core_state, p14_every_packed_pair_of_positions_of_small_rings)
{
    static const uint32_t sizes[] = {1, 2, 3, 4, 7, 16, 31};

    for (unsigned i = 0; i < 7; i++) {
        /* Up to one offset beyond the ring, with either wrap counter. */
        for (uint32_t a = 0; a < 2 * (sizes[i] + 2); a++) {
            for (uint32_t u = 0; u < 2 * (sizes[i] + 2); u++) {
                agrees(VIRTQ_FORMAT_PACKED, sizes[i], (a >> 1) | (a & 1) << 15,
                       (u >> 1) | (u & 1) << 15);
            }
        }
    }
}

Test(core_state, p14_every_packed_position_of_large_rings_with_itself_and_the_edges)
{
    static const uint32_t sizes[] = {256, 300, 32767, 32768};

    for (unsigned i = 0; i < 4; i++) {
        const uint32_t size = sizes[i];

        for (uint32_t word = 0; word <= UINT16_MAX; word++) {
            const uint32_t edges[] = {word,
                                      word ^ 0x8000,
                                      0,
                                      0x8000,
                                      size - 1,
                                      0x8000 | (size - 1),
                                      (word & 0x8000) | ((word + 1) & 0x7fff),
                                      ((word & 0x8000) | ((word + 1) & 0x7fff)) ^ 0x8000};

            for (unsigned k = 0; k < 8; k++) {
                agrees(VIRTQ_FORMAT_PACKED, size, word, edges[k] & 0xffff);
                agrees(VIRTQ_FORMAT_PACKED, size, edges[k] & 0xffff, word);
            }
        }
    }
}

Test(core_state, every_split_index_with_every_distance_about_the_size)
{
    static const uint32_t sizes[] = {1, 2, 256, 32768};

    for (unsigned i = 0; i < 4; i++) {
        for (uint32_t index = 0; index <= UINT16_MAX; index++) {
            const uint32_t size = sizes[i];
            const uint32_t distances[] = {0, 1, size - 1, size, size + 1, 0x8000, 0xffff};

            for (unsigned k = 0; k < 7; k++) {
                agrees(VIRTQ_FORMAT_SPLIT, size, index, (index - distances[k]) & 0xffff);
            }
        }
    }
}

Test(core_state, what_no_queue_can_have_is_refused_and_nothing_is_written)
{
    static const uint32_t sizes[] = {0, 3, 32769, 65536, UINT32_MAX};
    struct virtq_state state;
    struct virtq_state pattern;

    memset(&state, 0xa5, sizeof(state));
    pattern = state;
    for (unsigned i = 0; i < 5; i++) {
        const struct virtq_state split = {VIRTQ_FORMAT_SPLIT, sizes[i], 0, 0, 0};
        const struct virtq_state packed = {VIRTQ_FORMAT_PACKED, sizes[i], 0x8000, 0x8000, 0};

        cr_assert_eq(virtq_state_validate(&split), VIRTQ_EINVAL);
        cr_assert_eq(virtq_state_from_base(VIRTQ_FORMAT_SPLIT, sizes[i], 0, &state), VIRTQ_EINVAL);
        if (sizes[i] != 3) {
            cr_assert_eq(virtq_state_validate(&packed), VIRTQ_EINVAL);
            cr_assert_eq(virtq_state_from_base(VIRTQ_FORMAT_PACKED, sizes[i], 0x80008000, &state),
                         VIRTQ_EINVAL);
        }
    }
    for (unsigned bit = 16; bit < 32; bit++) {
        cr_assert_eq(virtq_state_from_base(VIRTQ_FORMAT_SPLIT, 256, 7 | (uint32_t)1 << bit, &state),
                     VIRTQ_EINVAL);
    }
    for (uint32_t format = 2; format < 5; format++) {
        const struct virtq_state other = {format, 8, 0, 0, 0};

        cr_assert_eq(virtq_state_validate(&other), VIRTQ_EINVAL);
        cr_assert_eq(virtq_state_from_base((enum virtq_format)format, 8, 0, &state), VIRTQ_EINVAL);
    }
    cr_assert(memcmp(&state, &pattern, sizeof(state)) == 0);
}

/* ---- Saving and restoring ---- */

/* Where a queue stands after so many descriptors. */
static uint16_t stands(const struct pair *p, uint32_t passed)
{
    return p->format == VIRTQ_FORMAT_SPLIT ? (uint16_t)passed
                                           : position_of(passed, p->driver_config.size);
}

static void saved(const struct pair *p, uint16_t position)
{
    const struct virtq_state expected = {p->format, p->driver_config.size, position, position, 0};
    struct virtq_state state;

    memset(&state, 0xa5, sizeof(state));
    cr_assert_eq(virtq_driver_save(p->driver, &state), VIRTQ_OK);
    cr_assert(memcmp(&state, &expected, sizeof(state)) == 0);
    memset(&state, 0xa5, sizeof(state));
    cr_assert_eq(virtq_device_save(p->device, &state), VIRTQ_OK);
    cr_assert(memcmp(&state, &expected, sizeof(state)) == 0);
}

PairTest(core_state, a_queue_goes_on_where_it_was_saved_at_every_position)
{
    static const uint32_t sizes[] = {1, 2, 8, 3, 7};

    for (unsigned i = 0; i < (p->format == VIRTQ_FORMAT_SPLIT ? 3u : 5u); i++) {
        for (uint32_t passed = 0; passed < 5 * sizes[i]; passed++) {
            struct virtq_state state = {p->format, sizes[i], 0, 0, 0};
            const uint32_t start =
                p->format == VIRTQ_FORMAT_SPLIT ? 65536 - sizes[i] + passed : passed;

            pair_open(p, sizes[i], 0, PAIR_DIRECT);
            state.available = stands(p, start);
            state.used = state.available;
            cr_assert_eq(virtq_driver_restore(p->driver, &state), VIRTQ_OK);
            cr_assert_eq(virtq_device_restore(p->device, &state), VIRTQ_OK);
            saved(p, stands(p, start));
            pair_idle(p);
            for (uint32_t n = 1; n <= 2 * sizes[i] + 1; n++) {
                pair_exchange(p, 1, n);
                saved(p, stands(p, start + n));
            }
            pair_exchange(p, sizes[i], 9);
            saved(p, stands(p, start + 3 * sizes[i] + 1));
            pair_close(p);
        }
    }
}

PairTest(core_state, s14_the_first_test_after_a_restore_says_yes)
{
    struct virtq_state state;

    pair_open(p, 8, VIRTQ_FEATURE(VIRTIO_F_EVENT_IDX), PAIR_DIRECT);
    for (unsigned i = 0; i < 2; i++) {
        pair_exchange(p, 3, 1);
        pair_tell(p);
        cr_assert_eq(virtq_driver_save(p->driver, &state), VIRTQ_OK);
        cr_assert_eq(virtq_driver_restore(p->driver, &state), VIRTQ_OK);
        cr_assert_eq(virtq_device_restore(p->device, &state), VIRTQ_OK);
        virtq_driver_disable_notify(p->driver);
        virtq_device_disable_notify(p->device);
        if (i == 0) { /* With something to tell, or without: what was told before is not known. */
            pair_exchange(p, 1, 1);
        }
        cr_assert(virtq_driver_needs_notify(p->driver, NULL));
        cr_assert_eq(virtq_device_needs_notify(p->device), 1);
        cr_assert(!virtq_driver_needs_notify(p->driver, NULL));
        cr_assert_eq(virtq_device_needs_notify(p->device), 0);
    }
}

PairTest(core_state, a_state_is_saved_and_restored_only_when_nothing_is_out)
{
    struct virtq_state fresh = {p->format, 8, 0, 0, 0};
    struct virtq_state state;
    struct virtq_state pattern;

    fresh.available = p->format == VIRTQ_FORMAT_SPLIT ? 0 : 0x8000;
    fresh.used = fresh.available;
    memset(&state, 0xa5, sizeof(state));
    pattern = state;
    pair_open(p, 8, VIRTQ_FEATURE(VIRTIO_F_IN_ORDER), PAIR_DIRECT);
    for (unsigned step = 0; step < 6; step++) {
        bool driver = true;
        bool device = true;

        if (step == 0) {
            cr_assert_eq(pair_add(p, 0, 1, 1), 1); /* Not published. */
            cr_assert_eq(pair_add(p, 0, 1, 2), 1);
            device = false;
        } else if (step == 1) {
            (void)virtq_driver_publish(p->driver);
            device = false;
        } else if (step == 2) {
            cr_assert_eq(pair_pop(p, 2), 2);
        } else if (step == 3) {
            cr_assert_eq(pair_push(p, 1, 0), 1); /* Held back. */
        } else if (step == 4) {
            cr_assert_eq(pair_push(p, 0, 0), 1); /* Not published. */
        } else {
            cr_assert_eq(virtq_device_publish(p->device), 2);
            device = false; /* What the driver has not seen is no affair of the device. */
        }
        cr_assert_eq(virtq_driver_save(p->driver, &state), driver ? VIRTQ_EBUSY : VIRTQ_OK);
        cr_assert(memcmp(&state, &pattern, sizeof(state)) == 0);
        cr_assert_eq(virtq_driver_restore(p->driver, &fresh), VIRTQ_EBUSY);
        if (device) {
            cr_assert_eq(virtq_device_save(p->device, &state), VIRTQ_EBUSY);
            cr_assert(memcmp(&state, &pattern, sizeof(state)) == 0);
            cr_assert_eq(virtq_device_restore(p->device, &fresh), VIRTQ_EBUSY);
        }
    }
    pair_receive(p, 2, 1);
    saved(p, stands(p, 2));
}

/* Neither end takes a state, and no byte of the ring changes. */
static void not_taken(struct pair *p, const struct virtq_state *state, bool device_too)
{
    static unsigned char before[4096];

    cr_assert(p->layout.size <= sizeof(before));
    memcpy(before, p->block, (size_t)p->layout.size);
    cr_assert_eq(virtq_driver_restore(p->driver, state), VIRTQ_EINVAL);
    cr_assert(!device_too || virtq_device_restore(p->device, state) == VIRTQ_EINVAL);
    cr_assert(memcmp(before, p->block, (size_t)p->layout.size) == 0);
    saved(p, stands(p, 3));
}

PairTest(core_state, a_state_that_does_not_fit_is_refused_and_nothing_changes)
{
    struct virtq_state good;
    struct virtq_state bad;

    pair_open(p, 8, 0, PAIR_DIRECT);
    pair_exchange(p, 3, 1);
    cr_assert_eq(virtq_driver_save(p->driver, &good), VIRTQ_OK);
    bad = good;
    bad.format = 1 - p->format;
    not_taken(p, &bad, true);
    bad.format = 2;
    not_taken(p, &bad, true);
    bad = good;
    bad.size = 4;
    not_taken(p, &bad, true);
    bad.size = 0;
    not_taken(p, &bad, true);
    bad = good;
    bad.used = stands(p, 4); /* Behind what was used. */
    not_taken(p, &bad, true);
    bad = good;
    bad.available = stands(p, 3 + 9);
    not_taken(p, &bad, true);
    bad = good;
    bad.available = stands(p, 3 + 2); /* Two in flight: only a device can have lost them. */
    not_taken(p, &bad, false);
    for (unsigned off = 8; off < 0x8000 && p->format == VIRTQ_FORMAT_PACKED; off += 1000) {
        bad.available = (uint16_t)off;
        bad.used = (uint16_t)off;
        not_taken(p, &bad, true);
        bad.available = good.available;
        not_taken(p, &bad, true);
    }
    pair_exchange(p, 8, 4);
    saved(p, stands(p, 3 + 8));
}

/* ---- I7 ---- */

PairTest(core_state, i7_replay_after_a_crash_resumes_in_used_index_order)
{
    static const uint32_t sizes[] = {8, 16, 11};

    for (unsigned i = 0; i < (p->format == VIRTQ_FORMAT_SPLIT ? 2u : 3u); i++) {
        for (uint32_t passed = 0; passed < 2 * sizes[i]; passed++) {
            struct virtq_state state = {p->format, sizes[i], 0, 0, 0};

            pair_open(p, sizes[i], VIRTQ_FEATURE(VIRTIO_F_IN_ORDER), PAIR_LEDGER);
            for (uint32_t n = 0; n < passed; n++) {
                pair_exchange(p, 1, 1);
            }
            for (unsigned n = 0; n < 4; n++) { /* Of two descriptors each. */
                cr_assert_eq(pair_add(p, 1, 1, n + 1), 1);
            }
            (void)virtq_driver_publish(p->driver);
            cr_assert_eq(pair_pop(p, 4), 4);
            cr_assert_eq(pair_push(p, 3, 16), 1); /* Done early, and lost with the crash. */
            cr_assert_eq(pair_push(p, 0, 16), 1);
            cr_assert_eq(virtq_device_publish(p->device), 1);
            /* A new process finds the ring, and what the driver was shown last. */
            memset(p->device_memory, 0xee, p->device_size);
            pair_start_device(p);
            state.used =
                p->format == VIRTQ_FORMAT_SPLIT ? (uint16_t)(passed + 1) : stands(p, passed + 2);
            state.available = state.used;
            cr_assert_eq(virtq_device_restore(p->device, &state), VIRTQ_OK);
            pair_serve(p, 3);
            cr_assert_eq(pair_pop(p, 1), 0);
            pair_receive(p, 4, 1);
            pair_exchange(p, 4, 5);
            pair_idle(p);
            pair_close(p);
        }
    }
}

PairTest(core_state, i7_buffers_come_again_in_the_order_in_which_they_were_made_available)
{
    struct virtq_state state;
    uint16_t ids[6];

    pair_open(p, 8, 0, PAIR_DIRECT);
    pair_exchange(p, 5, 1);
    cr_assert_eq(virtq_device_save(p->device, &state), VIRTQ_OK);
    pair_send(p, 6, 1);
    cr_assert_eq(pair_pop(p, 6), 6);
    for (unsigned i = 0; i < 6; i++) {
        ids[i] = p->chains[i].id;
    }
    pair_start_device(p); /* Crashed before it showed any. */
    cr_assert_eq(virtq_device_restore(p->device, &state), VIRTQ_OK);
    cr_assert_eq(pair_pop(p, 8), 6);
    for (unsigned i = 0; i < 6; i++) {
        cr_assert_eq(p->chains[i].id, ids[i]);
        cr_assert_eq(pair_push(p, i, 0), 1);
    }
    cr_assert_eq(virtq_device_publish(p->device), 6);
    pair_receive(p, 6, 1);
}
