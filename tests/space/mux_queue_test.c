/* SPDX-License-Identifier: BSD-3-Clause */
/* The mux under real queues: buffers whose segments lie in system memory (direct), in a region
 * (bar), in memory that is staged (swiotlb) and in memory that is mapped (iommu), both ends. */
#include "mux_stand.h"

/* ---- One request, by hand ---- */

static void one_request(unsigned format, bool tables, unsigned ring_member)
{
    struct stand *s = stand_open(format, tables, ring_member);
    struct virtq_segment segments[4] = {{.base = s->areas[DIRECT], .len = 16},
                                        {.base = s->areas[SWIOTLB] + 5, .len = 100},
                                        {.base = s->areas[BAR] + 64, .len = 150},
                                        {.base = s->areas[DIRECT] + 16, .len = 1}};
    const struct virtq_buffer buffer = {.segments = segments, .readable = 2, .writable = 2};
    struct virtq_piece pieces[8];
    struct virtq_completion done;
    struct virtq_used_buffer used;
    struct virtq_cursor reader;
    struct virtq_cursor writer;
    struct virtq_chain chain;
    unsigned char bytes[256];

    memset(s->areas[DIRECT], 'h', 16);
    memset(s->areas[SWIOTLB], 'n', 200); /* A neighbour. */
    memset(s->areas[SWIOTLB] + 5, 'p', 100);
    cr_assert_eq(virtq_driver_add(s->driver, &buffer, 1), 1);
    cr_assert_eq(virtq_driver_publish(s->driver), 1u);
    cr_assert_eq(pop(s, &chain, pieces, 8), 1);
    cr_assert_eq(chain.reason, (uint32_t)VIRTQ_REASON_NONE);
    reader = virtq_chain_reader(&chain);
    writer = virtq_chain_writer(&chain);
    cr_assert_eq(virtq_cursor_read(&reader, bytes, sizeof(bytes)), 116u);
    cr_assert(bytes[0] == 'h' && bytes[15] == 'h' && bytes[16] == 'p' && bytes[115] == 'p');
    memset(bytes, 'a', 150);
    bytes[150] = 'k';
    cr_assert_eq(virtq_cursor_write(&writer, bytes, 151), 151u);
    used = (struct virtq_used_buffer){chain.id, 151};
    cr_assert_eq(virtq_device_push(s->device, &used, 1), 1);
    cr_assert_eq(virtq_device_publish(s->device), 1u);
    cr_assert_eq(virtq_driver_poll(s->driver, &done, 1), 1);
    cr_assert_eq(done.len, 151u);
    cr_assert(s->areas[BAR][64] == 'a' && s->areas[BAR][64 + 149] == 'a');
    cr_assert(s->areas[DIRECT][16] == 'k' && s->areas[DIRECT][17] == 0);
    stand_close(s);
}

Test(space_mux_queue, a_header_in_system_memory_and_a_payload_in_a_region_are_one_request)
{
    for (unsigned bits = 0; bits < 8; bits++) {
        one_request(bits & 1, (bits & 2) != 0, (bits & 4) != 0 ? BAR : DIRECT);
    }
}

/* ---- Traffic ---- */

static unsigned below(struct stand *s, unsigned count)
{
    return (unsigned)random_below(&s->random, count);
}

static uint32_t gather(const struct flight *flight, unsigned from, unsigned count,
                       unsigned char *to)
{
    uint32_t len = 0;

    for (unsigned i = from; i < from + count; i++) {
        memcpy(to + len, flight->segments[i].base, flight->segments[i].len);
        len += flight->segments[i].len;
    }
    return len;
}

static void add(struct stand *s, unsigned slot)
{
    struct flight *flight = &s->flights[slot];
    unsigned count = 1 + below(s, SEGMENTS);
    struct virtq_buffer buffer = {.segments = flight->segments, .cookie = flight};
    unsigned member = 0;
    unsigned members = 0;
    int added;

    for (unsigned i = 0; i < count; i++) {
        uint32_t len = 1 + below(s, SEGMENT);

        member = i != 0 && below(s, 3) == 0 ? member : below(s, MEMBERS);
        members |= 1u << member;
        flight->segments[i].base = s->areas[member] + (slot * SEGMENTS + i) * (size_t)SEGMENT +
                                   below(s, SEGMENT - len + 1);
        flight->segments[i].len = len;
        for (uint32_t k = 0; k < len; k++) {
            ((unsigned char *)flight->segments[i].base)[k] = (unsigned char)random_next(&s->random);
        }
    }
    flight->readable = below(s, count + 1);
    flight->writable = count - flight->readable;
    buffer.readable = (uint16_t)flight->readable;
    buffer.writable = (uint16_t)flight->writable;
    (void)gather(flight, 0, count, flight->before);
    added = virtq_driver_add(s->driver, &buffer, 1);
    cr_assert(added == 1 || added == VIRTQ_ENOMEM || added == VIRTQ_EFULL, "add says %d", added);
    s->shortages += added == VIRTQ_ENOMEM;
    s->full += added == VIRTQ_EFULL;
    s->mixed += added == 1 && (members & (members - 1)) != 0;
    flight->busy = added == 1;
    (void)virtq_driver_publish(s->driver);
}

/* The device knows which buffer it has from its order only: the oldest that is busy. */
static void serve(struct stand *s, struct flight *flight)
{
    unsigned char bytes[SEGMENTS * SEGMENT];
    struct virtq_piece pieces[4 * SEGMENTS];
    struct virtq_used_buffer used;
    struct virtq_cursor reader;
    struct virtq_cursor writer;
    struct virtq_chain chain;
    uint32_t len;

    cr_assert_eq(pop(s, &chain, pieces, 4 * SEGMENTS), 1);
    cr_assert_eq(chain.reason, (uint32_t)VIRTQ_REASON_NONE);
    reader = virtq_chain_reader(&chain);
    writer = virtq_chain_writer(&chain);
    len = (uint32_t)virtq_cursor_read(&reader, bytes, sizeof(bytes));
    cr_assert(memcmp(bytes, flight->before, len) == 0, "other bytes than were sent");
    cr_assert_eq(virtq_cursor_left(&reader), 0u);
    len = (uint32_t)virtq_cursor_left(&writer);
    flight->len = len == 0 ? 0 : below(s, len + 1);
    for (uint32_t i = 0; i < flight->len; i++) {
        flight->written[i] = (unsigned char)random_next(&s->random);
    }
    cr_assert_eq(virtq_cursor_write(&writer, flight->written, flight->len), flight->len);
    used = (struct virtq_used_buffer){chain.id, flight->len};
    cr_assert_eq(virtq_device_push(s->device, &used, 1), 1);
    cr_assert_eq(virtq_device_publish(s->device), 1u);
}

static void take_back(struct stand *s, struct flight *flight)
{
    unsigned char now[SEGMENTS * SEGMENT];
    unsigned char expected[SEGMENTS * SEGMENT];
    struct virtq_completion done;
    uint32_t readable;
    uint32_t all;

    cr_assert_eq(virtq_driver_poll(s->driver, &done, 1), 1);
    cr_assert_eq(done.cookie, (void *)flight);
    cr_assert_eq(done.len, flight->len);
    readable = gather(flight, 0, flight->readable, now);
    all = gather(flight, 0, flight->readable + flight->writable, now);
    memcpy(expected, flight->before, all);
    memcpy(expected + readable, flight->written, flight->len);
    cr_assert(memcmp(now, expected, all) == 0, "other bytes than the device wrote");
    flight->busy = 0;
}

static void traffic(struct stand *s, unsigned rounds)
{
    unsigned first = 0;
    unsigned next = 0;

    for (unsigned round = 0; round < rounds; round++) {
        while (next - first < (unsigned)BUFFERS && below(s, 8) != 0) {
            add(s, next % BUFFERS);
            if (!s->flights[next % BUFFERS].busy) {
                break;
            }
            next++;
        }
        while (first != next && below(s, 8) != 0) {
            serve(s, &s->flights[first % BUFFERS]);
            take_back(s, &s->flights[first % BUFFERS]);
            first++;
        }
    }
    for (; first != next; first++) {
        serve(s, &s->flights[first % BUFFERS]);
        take_back(s, &s->flights[first % BUFFERS]);
    }
    cr_assert(s->mixed != 0 && s->misses != 0, "seed %x: nothing was met", 0x6d757832);
}

Test(space_mux_queue, every_byte_of_buffers_over_four_spaces_arrives)
{
    const unsigned rounds = getenv("VIRTQ_TEST_HURRIED") != NULL ? 40 : 2000;
    unsigned full = 0;

    for (unsigned bits = 0; bits < 8; bits++) {
        struct stand *s = stand_open(bits & 1, (bits & 2) != 0, (bits & 4) != 0 ? BAR : DIRECT);

        traffic(s, rounds);
        full += s->full;
        stand_close(s);
    }
    cr_assert(full != 0, "no ring was ever full");
}

Test(space_mux_queue, l2_the_device_reaches_no_address_that_is_nobodys)
{
    struct stand *s = stand_open(VIRTQ_FORMAT_SPLIT, false, BAR);
    const virtq_addr_t nobodys[] = {0x40000 + POOL, 0xfffff, 0x100000000, UINT64_MAX - REGION,
                                    0x10000 - 1};
    struct virtq_used_buffer used = {0, 0};
    struct virtq_completion done;

    for (unsigned i = 0; i < sizeof(nobodys) / sizeof(nobodys[0]); i++) {
        struct virtq_segment segment = {.addr = nobodys[i], .len = 2};
        const struct virtq_buffer buffer = {.segments = &segment,
                                            .readable = i % 2 != 0,
                                            .writable = i % 2 == 0,
                                            .flags = VIRTQ_BUFFER_PREMAPPED};
        struct virtq_piece pieces[4];
        struct virtq_chain chain;

        cr_assert_eq(virtq_driver_add(s->driver, &buffer, 1), 1);
        cr_assert_eq(virtq_driver_publish(s->driver), 1u);
        cr_assert_eq(pop(s, &chain, pieces, 4), 1);
        cr_assert_eq(chain.reason, (uint32_t)VIRTQ_REASON_ADDRESS);
        used.id = chain.id;
        cr_assert_eq(virtq_device_push(s->device, &used, 1), 1);
        cr_assert_eq(virtq_device_publish(s->device), 1u);
        cr_assert_eq(virtq_driver_poll(s->driver, &done, 1), 1);
    }
    stand_close(s);
}
