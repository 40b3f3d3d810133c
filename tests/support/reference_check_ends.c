/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A driver and a device as two programs that share nothing but the queue's memory. Each notifies
 * the other only when the reference says so, and goes to sleep only after it has armed its own
 * notification and found nothing: so a wakeup that is lost stops both for good.
 */
#include <stdlib.h>
#include <string.h>

#include "reference_check.h"

enum { MOST_ELEMENTS = 4, ELEMENT_BYTES = 24, BUFFER_BYTES = MOST_ELEMENTS * ELEMENT_BYTES };
enum { MOST_HELD = 64, UNTOUCHED = 0xee };

/* One place for data, and the buffer that is in it. */
struct place {
    bool in_flight;
    unsigned long token;
    struct reference_segment segments[MOST_ELEMENTS];
    unsigned readable;
    unsigned writable;
    uint32_t readable_bytes;
    uint32_t writable_bytes;
};

struct reference_check_driver {
    struct reference_check_queue *queue;
    struct reference_driver ring;
    bool indirect;
    uint32_t random;
    uint32_t to_add;
    uint32_t added;
    uint32_t in_flight;
    struct place *places;
    uint32_t next_place;
    unsigned long next_expected;
};

struct reference_check_device {
    struct reference_check_queue *queue;
    struct reference_device ring;
    uint32_t random;
    struct reference_chain held[MOST_HELD];
    unsigned held_count;
};

uint64_t reference_check_data_length(uint32_t size)
{
    return (uint64_t)size * BUFFER_BYTES;
}

/* What both sides can work out from the buffer's first descriptor alone. */
static uint32_t seed_of(const struct reference_segment *first, unsigned char generation)
{
    return (uint32_t)first->address + 7919U * generation;
}

struct reference_check_driver *reference_check_driver_new(struct reference_check_queue *queue,
                                                          bool indirect, uint32_t buffers,
                                                          uint32_t seed)
{
    struct reference_check_driver *end = calloc(1, sizeof(*end));

    if (!end || !(end->places = calloc(queue->config.size, sizeof(*end->places)))) {
        abort();
    }
    end->queue = queue;
    end->indirect = indirect;
    end->random = seed;
    end->to_add = buffers;
    reference_check(reference_driver_init(&end->ring, &queue->config), "driver init");
    return end;
}

void reference_check_driver_free(struct reference_check_driver *end)
{
    reference_driver_free(&end->ring);
    free(end->places);
    free(end);
}

static unsigned char *bytes_of(const struct reference_check_driver *end,
                               const struct reference_segment *segment)
{
    const struct reference_memory *memory = &end->queue->config.memory;

    return memory->at(memory->ctx, segment->address, segment->length);
}

static void fill(struct reference_check_driver *end, struct place *place)
{
    unsigned char generation = (unsigned char)end->added;
    uint32_t seed = seed_of(&place->segments[0], generation);
    uint32_t index = 0;

    for (unsigned i = 0; i < place->readable + place->writable; i++) {
        unsigned char *bytes = bytes_of(end, &place->segments[i]);

        for (uint32_t k = 0; k < place->segments[i].length; k++) {
            if (i >= place->readable) {
                bytes[k] = UNTOUCHED;
            } else {
                bytes[k] = index == 0 ? generation : reference_check_byte(seed, index);
                index++;
            }
        }
    }
}

static void shape(struct reference_check_driver *end, struct place *place, uint32_t at)
{
    uint32_t longest = end->queue->config.longest_chain;
    unsigned most =
        end->queue->config.size < MOST_ELEMENTS ? end->queue->config.size : MOST_ELEMENTS;
    unsigned count;

    most = longest && longest <= MOST_ELEMENTS ? longest : most;
    count = 1 + reference_check_random(&end->random, most);
    memset(place, 0, sizeof(*place));
    place->readable = reference_check_random(&end->random, count + 1);
    place->writable = count - place->readable;
    for (unsigned i = 0; i < count; i++) {
        unsigned char *bytes =
            end->queue->data + (size_t)at * BUFFER_BYTES + (size_t)i * ELEMENT_BYTES;
        uint32_t length = reference_check_random(&end->random, ELEMENT_BYTES + 1);

        place->segments[i] = reference_check_segment(end->queue, bytes, length);
        if (i < place->readable) {
            place->readable_bytes += length;
        } else {
            place->writable_bytes += length;
        }
    }
}

/* The number of elements that go directly into the ring. */
static unsigned choose_direct(struct reference_check_driver *end, unsigned count)
{
    if (!end->indirect || reference_check_random(&end->random, 8) == 0) {
        return count;
    }
    if (end->queue->config.format == REFERENCE_SPLIT &&
        reference_check_random(&end->random, 4) == 0) {
        return reference_check_random(&end->random, count);
    }
    return 0;
}

static bool add_one(struct reference_check_driver *end)
{
    uint32_t size = end->queue->config.size;
    struct place *place;
    unsigned count;

    if (end->added == end->to_add || end->in_flight == size) {
        return false;
    }
    while (end->places[end->next_place].in_flight) {
        end->next_place = (end->next_place + 1) % size;
    }
    place = &end->places[end->next_place];
    shape(end, place, end->next_place);
    fill(end, place);
    count = place->readable + place->writable;
    place->token = (unsigned long)end->added * size + end->next_place;
    if (!reference_driver_add_mixed(&end->ring, place->segments, place->readable, place->writable,
                                    place->token, choose_direct(end, count))) {
        return false;
    }
    place->in_flight = true;
    end->added++;
    end->in_flight++;
    return true;
}

static bool written_right(const struct reference_check_driver *end, const struct place *place,
                          uint32_t length)
{
    uint32_t seed = seed_of(&place->segments[0], 0);
    uint32_t index = 0;

    for (unsigned i = place->readable; i < place->readable + place->writable; i++) {
        const unsigned char *bytes = bytes_of(end, &place->segments[i]);

        for (uint32_t k = 0; k < place->segments[i].length; k++) {
            unsigned char expected =
                index < length ? reference_check_byte(~seed, index) : UNTOUCHED;

            if (bytes[k] != expected) {
                return false;
            }
            index++;
        }
    }
    return length <= index;
}

static bool take_one(struct reference_check_driver *end)
{
    unsigned long token = 0;
    uint32_t length = 0;
    int polled = reference_driver_poll(&end->ring, &token, &length);
    struct place *place;

    reference_check(polled >= 0, polled < 0 ? end->ring.violation : "poll");
    if (polled != 1) {
        return false;
    }
    place = &end->places[token % end->queue->config.size];
    reference_check(place->in_flight && place->token == token, "token is of a buffer in flight");
    if (end->queue->config.in_order) {
        reference_check(token / end->queue->config.size == end->next_expected, "used in order");
        end->next_expected++;
    }
    reference_check(written_right(end, place, length), "the driver sees what the device wrote");
    place->in_flight = false;
    end->in_flight--;
    return true;
}

/* Arms a notification for the first or a later one of the buffers in flight. */
static bool must_stay_awake(struct reference_check_driver *end)
{
    unsigned n = 1;

    if (end->in_flight > 1 && reference_check_random(&end->random, 2) == 0) {
        n = 1 + reference_check_random(&end->random, end->in_flight);
    }
    return reference_driver_set_event(&end->ring, n);
}

enum reference_check_state reference_check_driver_step(struct reference_check_driver *end,
                                                       bool *notify)
{
    unsigned adds = reference_check_random(&end->random, 8) == 0
                        ? end->queue->config.size
                        : reference_check_random(&end->random, 5);
    unsigned polls = reference_check_random(&end->random, 6);
    bool idle = true;

    *notify = false;
    if (end->ring.violation || (end->added == end->to_add && end->in_flight == 0)) {
        return REFERENCE_CHECK_DONE;
    }
    if (reference_check_random(&end->random, 4) == 0) {
        reference_driver_disable_used_notifications(&end->ring);
    }
    while (polls-- > 0 && take_one(end)) {
        idle = false;
    }
    while (adds-- > 0 && add_one(end)) {
        idle = false;
    }
    *notify = reference_driver_should_notify(&end->ring);
    if (!idle || end->in_flight == 0 || must_stay_awake(end)) {
        return REFERENCE_CHECK_BUSY;
    }
    return REFERENCE_CHECK_ASLEEP;
}

struct reference_check_device *reference_check_device_new(struct reference_check_queue *queue,
                                                          uint32_t seed)
{
    struct reference_check_device *end = calloc(1, sizeof(*end));

    if (!end) {
        abort();
    }
    end->queue = queue;
    end->random = seed;
    reference_check(reference_device_init(&end->ring, &queue->config), "device init");
    return end;
}

void reference_check_device_free(struct reference_check_device *end)
{
    for (unsigned i = 0; i < MOST_HELD; i++) {
        reference_chain_free(&end->held[i]);
    }
    reference_device_free(&end->ring);
    free(end);
}

static void verify(const struct reference_check_device *end, const struct reference_chain *chain)
{
    unsigned char bytes[BUFFER_BYTES];
    size_t length =
        reference_chain_read(chain, &end->queue->config.memory, 0, bytes, sizeof(bytes));
    bool right = length == chain->readable;

    for (uint32_t i = 1; right && i < length; i++) {
        right = bytes[i] == reference_check_byte(seed_of(&chain->segments[0], bytes[0]), i);
    }
    reference_check(right, "the device sees what the driver wrote");
}

static bool pop_one(struct reference_check_device *end)
{
    int popped;

    if (end->held_count == MOST_HELD) {
        return false;
    }
    popped = reference_device_pop(&end->ring, &end->held[end->held_count]);
    reference_check(popped >= 0, popped < 0 ? end->ring.violation : "pop");
    if (popped != 1) {
        return false;
    }
    verify(end, &end->held[end->held_count]);
    end->held_count++;
    return true;
}

static uint32_t serve(struct reference_check_device *end, const struct reference_chain *chain,
                      bool completely)
{
    unsigned char bytes[BUFFER_BYTES];
    uint32_t all = (uint32_t)chain->writable;
    uint32_t written = completely ? all : reference_check_random(&end->random, all + 1);
    uint32_t seed = seed_of(&chain->segments[0], 0);
    size_t done;

    for (uint32_t i = 0; i < written; i++) {
        bytes[i] = reference_check_byte(~seed, i);
    }
    done = reference_chain_write(chain, &end->queue->config.memory, 0, bytes, written);
    reference_check(done == written, "all bytes fitted");
    return written;
}

/* Out of order: brings a random held buffer to the front. */
static void shuffle(struct reference_check_device *end, unsigned front)
{
    unsigned chosen = front + reference_check_random(&end->random, end->held_count - front);
    struct reference_chain moved = end->held[chosen];

    end->held[chosen] = end->held[front];
    end->held[front] = moved;
}

static void drop(struct reference_check_device *end, unsigned n)
{
    struct reference_chain pushed[MOST_HELD];

    memcpy(pushed, end->held, n * sizeof(pushed[0]));
    memmove(end->held, end->held + n, (end->held_count - n) * sizeof(pushed[0]));
    end->held_count -= n;
    memcpy(end->held + end->held_count, pushed, n * sizeof(pushed[0]));
}

static void complete_some(struct reference_check_device *end)
{
    unsigned n = 1 + reference_check_random(&end->random, end->held_count);
    bool batch = end->queue->config.in_order && reference_check_random(&end->random, 2) == 0;
    uint32_t written[MOST_HELD];

    for (unsigned i = 0; i < n; i++) {
        if (!end->queue->config.in_order) {
            shuffle(end, i);
        }
        written[i] = serve(end, &end->held[i], batch && i + 1 < n);
    }
    if (batch) {
        reference_device_push_batch(&end->ring, end->held, n, written[n - 1]);
    } else if (reference_check_random(&end->random, 2) == 0) {
        reference_device_push_all(&end->ring, end->held, written, n);
    } else {
        for (unsigned i = 0; i < n; i++) {
            reference_device_push(&end->ring, &end->held[i], written[i]);
        }
    }
    drop(end, n);
}

enum reference_check_state reference_check_device_step(struct reference_check_device *end,
                                                       bool *notify)
{
    unsigned pops = reference_check_random(&end->random, 8);
    bool idle = true;

    *notify = false;
    if (end->ring.violation) {
        return REFERENCE_CHECK_DONE;
    }
    if (reference_check_random(&end->random, 4) == 0) {
        reference_device_disable_available_notifications(&end->ring);
    }
    while (pops-- > 0 && pop_one(end)) {
        idle = false;
    }
    if (end->held_count > 0 && reference_check_random(&end->random, 2) == 0) {
        complete_some(end);
        *notify = reference_device_should_notify(&end->ring);
        return REFERENCE_CHECK_BUSY;
    }
    if (!idle || end->held_count > 0 ||
        reference_device_enable_available_notifications(&end->ring)) {
        return REFERENCE_CHECK_BUSY;
    }
    return REFERENCE_CHECK_ASLEEP;
}
