/* SPDX-License-Identifier: BSD-3-Clause */
/* Cursors over a popped buffer. Every piece, and the array of pieces, ends at a page that traps. */
#include "virtq/chain.h"

#include <stdbool.h>
#include <string.h>

#include "guarded.h"
#include "random.h"
#include "runner.h"

enum { MOST = 14, LONGEST = 5000 };

/* A chain whose bytes are known: readable ones count up, writable ones are 0. */
struct buffer {
    struct virtq_chain chain;
    size_t lens[MOST];
    unsigned char *bases[MOST];
    unsigned pieces;
};

static unsigned char byte_at(size_t i)
{
    return (unsigned char)(i * 7 + i / 251 + 1);
}

static void buffer_open(struct buffer *b, const uint32_t *readable, unsigned readables,
                        const uint32_t *writable, unsigned writables)
{
    struct virtq_piece *pieces;
    size_t at = 0;

    memset(b, 0, sizeof(*b));
    b->pieces = readables + writables;
    pieces = (void *)guarded_alloc(b->pieces * sizeof(*pieces));
    for (unsigned i = 0; i < b->pieces; i++) {
        const uint32_t len = i < readables ? readable[i] : writable[i - readables];

        b->lens[i] = len;
        b->bases[i] = guarded_alloc(len);
        pieces[i].base = b->bases[i];
        pieces[i].len = len;
        for (uint32_t k = 0; i < readables && k < len; k++) {
            b->bases[i][k] = byte_at(at++);
        }
        b->chain.readable_bytes += i < readables ? len : 0;
        b->chain.writable_bytes += i < readables ? 0 : len;
    }
    b->chain.pieces = pieces;
    b->chain.readable = readables;
    b->chain.writable = writables;
}

static void buffer_close(struct buffer *b)
{
    for (unsigned i = 0; i < b->pieces; i++) {
        guarded_free(b->bases[i], b->lens[i]);
    }
    guarded_free((void *)b->chain.pieces, b->pieces * sizeof(*b->chain.pieces));
}

static bool counts_up(const unsigned char *bytes, size_t from, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] != byte_at(from + i)) {
            return false;
        }
    }
    return true;
}

/* Byte `i` of the writable part. */
static unsigned char written_at(const struct buffer *b, size_t i)
{
    unsigned piece = b->chain.readable;

    while (i >= b->lens[piece]) {
        i -= b->lens[piece];
        piece++;
    }
    return b->bases[piece][i];
}

static const uint32_t odd[] = {1, 3, 7, 1, 4096, 13, 2};
static const size_t odd_bytes = 1 + 3 + 7 + 1 + 4096 + 13 + 2;

Test(core_chain, a_reader_gives_every_byte_once_whatever_the_step)
{
    static const size_t steps[] = {1, 2, 3, 4, 7, 8, 11, 12, 64, 4096, 4108, 5000};
    struct buffer b;

    buffer_open(&b, odd, 7, odd, 7);
    for (unsigned s = 0; s < 12; s++) {
        struct virtq_cursor reader = virtq_chain_reader(&b.chain);
        unsigned char *to = guarded_alloc(steps[s]);
        size_t done = 0;

        while (done < odd_bytes) {
            const size_t left = odd_bytes - done;
            const size_t part = left < steps[s] ? left : steps[s];

            cr_assert_eq(virtq_cursor_left(&reader), left);
            cr_assert_eq(virtq_cursor_moved(&reader), done);
            cr_assert_eq(virtq_cursor_read(&reader, to, steps[s]), part);
            cr_assert(counts_up(to, done, part), "step %u at %u", (unsigned)steps[s],
                      (unsigned)done);
            done += part;
        }
        cr_assert_eq(virtq_cursor_read(&reader, to, steps[s]), 0u);
        cr_assert_eq(virtq_cursor_left(&reader), 0u);
        guarded_free(to, steps[s]);
    }
    buffer_close(&b);
}

Test(core_chain, a_writer_fills_every_byte_once_and_nothing_else_whatever_the_step)
{
    static const size_t steps[] = {1, 2, 3, 4, 7, 8, 11, 12, 64, 4096, 4108, 5000};

    for (unsigned s = 0; s < 12; s++) {
        unsigned char bytes[LONGEST];
        struct virtq_cursor writer;
        struct buffer b;
        size_t done = 0;

        buffer_open(&b, odd, 7, odd, 7);
        writer = virtq_chain_writer(&b.chain);
        for (size_t i = 0; i < LONGEST; i++) {
            bytes[i] = byte_at(i);
        }
        while (done < odd_bytes) {
            const size_t part = odd_bytes - done < steps[s] ? odd_bytes - done : steps[s];

            cr_assert_eq(virtq_cursor_write(&writer, bytes + done, part), part);
            done += part;
            cr_assert_eq(virtq_cursor_moved(&writer), done);
        }
        cr_assert_eq(virtq_cursor_write(&writer, bytes, 1), 0u);
        for (size_t i = 0; i < odd_bytes; i++) {
            cr_assert_eq(written_at(&b, i), byte_at(i));
        }
        /* The readable part is as it was. */
        done = 0;
        for (unsigned i = 0; i < 7; done += b.lens[i++]) {
            cr_assert(counts_up(b.bases[i], done, b.lens[i]));
        }
        buffer_close(&b);
    }
}

Test(core_chain, a_length_that_ends_exactly_with_a_piece_ends_there)
{
    static const uint32_t three[] = {5, 6, 7};
    unsigned char to[18];
    struct buffer b;

    buffer_open(&b, three, 3, three, 3);
    for (unsigned part = 0; part < 2; part++) {
        struct virtq_cursor at =
            part == 0 ? virtq_chain_reader(&b.chain) : virtq_chain_writer(&b.chain);
        void *base = NULL;

        for (unsigned i = 0; i < 3; i++) {
            cr_assert_eq(virtq_cursor_span(&at, &base), three[i]);
            cr_assert_eq(base, (void *)b.bases[part * 3 + i]);
            cr_assert_eq(part == 0 ? virtq_cursor_read(&at, to, three[i])
                                   : virtq_cursor_write(&at, to, three[i]),
                         three[i]);
        }
        base = to;
        cr_assert_eq(virtq_cursor_span(&at, &base), 0u);
        cr_assert_eq(base, (void *)to);
    }
    buffer_close(&b);
}

Test(core_chain, more_than_there_is_gives_what_there_is)
{
    static const uint32_t lens[] = {3, 1, 9};
    unsigned char to[32];
    struct buffer b;
    struct virtq_cursor at;

    buffer_open(&b, lens, 3, lens, 3);
    at = virtq_chain_reader(&b.chain);
    memset(to, 0xee, sizeof(to));
    cr_assert_eq(virtq_cursor_read(&at, to, sizeof(to)), 13u);
    cr_assert(counts_up(to, 0, 13));
    cr_assert_eq(to[13], 0xeeu);
    at = virtq_chain_writer(&b.chain);
    cr_assert_eq(virtq_cursor_write(&at, to, sizeof(to)), 13u);
    at = virtq_chain_reader(&b.chain);
    cr_assert_eq(virtq_cursor_skip(&at, UINT64_MAX), 13u);
    cr_assert_eq(virtq_cursor_moved(&at), 13u);
    at = virtq_chain_reader(&b.chain);
    cr_assert_eq(virtq_cursor_peek(&at, to, SIZE_MAX), 13u);
    cr_assert_eq(virtq_cursor_moved(&at), 0u);
    buffer_close(&b);
}

Test(core_chain, nothing_is_done_for_a_length_of_zero)
{
    static const uint32_t lens[] = {4};
    struct buffer b;
    struct virtq_cursor reader;
    struct virtq_cursor writer;

    buffer_open(&b, lens, 1, lens, 1);
    reader = virtq_chain_reader(&b.chain);
    writer = virtq_chain_writer(&b.chain);
    for (unsigned i = 0; i < 2; i++) {
        unsigned char byte = 0;

        cr_assert_eq(virtq_cursor_read(&reader, &byte, 0), 0u);
        cr_assert_eq(virtq_cursor_read_exact(&reader, &byte, 0), VIRTQ_OK);
        cr_assert_eq(virtq_cursor_peek(&reader, &byte, 0), 0u);
        cr_assert_eq(virtq_cursor_write(&writer, &byte, 0), 0u);
        cr_assert_eq(virtq_cursor_copy(&writer, &reader, 0), 0u);
        cr_assert_eq(virtq_cursor_skip(&reader, 0), 0u);
        /* Also at the end. */
        cr_assert_eq(virtq_cursor_skip(&reader, 4), i == 0 ? 4u : 0u);
        cr_assert_eq(virtq_cursor_skip(&writer, 4), i == 0 ? 4u : 0u);
    }
    buffer_close(&b);
}

Test(core_chain, exactly_or_nothing)
{
    static const uint32_t lens[] = {3, 5};
    unsigned char to[9];
    struct buffer b;
    struct virtq_cursor reader;

    buffer_open(&b, lens, 2, NULL, 0);
    reader = virtq_chain_reader(&b.chain);
    memset(to, 0xee, sizeof(to));
    cr_assert_eq(virtq_cursor_read_exact(&reader, to, 9), VIRTQ_ETOOBIG);
    cr_assert_eq(to[0], 0xeeu);
    cr_assert_eq(virtq_cursor_left(&reader), 8u);
    cr_assert_eq(virtq_cursor_read_exact(&reader, to, 8), VIRTQ_OK);
    cr_assert(counts_up(to, 0, 8));
    cr_assert_eq(virtq_cursor_read_exact(&reader, to, 1), VIRTQ_ETOOBIG);
    buffer_close(&b);
}

Test(core_chain, a_part_without_pieces_is_empty)
{
    static const uint32_t lens[] = {3};
    struct virtq_chain bad;
    unsigned char byte = 0;

    memset(&bad, 0, sizeof(bad)); /* A bad buffer has no pieces at all. */
    bad.reason = VIRTQ_REASON_ADDRESS;
    for (unsigned i = 0; i < 3; i++) {
        struct buffer b;
        const struct virtq_chain *chain = i < 2 ? &b.chain : &bad;
        struct virtq_cursor reader;
        struct virtq_cursor writer;

        buffer_open(&b, lens, i == 0, lens, i != 0);
        reader = virtq_chain_reader(chain);
        writer = virtq_chain_writer(chain);
        cr_assert_eq(virtq_cursor_left(&reader), i == 0 ? 3u : 0u);
        cr_assert_eq(virtq_cursor_left(&writer), i == 1 ? 3u : 0u);
        cr_assert_eq(virtq_cursor_copy(&writer, &reader, 9), 0u);
        cr_assert_eq(virtq_cursor_read(&reader, &byte, 1), i == 0 ? 1u : 0u);
        cr_assert_eq(virtq_cursor_write(&writer, &byte, 1), i == 1 ? 1u : 0u);
        buffer_close(&b);
    }
}

Test(core_chain, a_copy_ends_with_the_shorter_part)
{
    static const uint32_t few[] = {4, 1, 2};
    static const uint32_t many[] = {1, 1, 9};

    for (unsigned way = 0; way < 2; way++) {
        struct buffer b;
        struct virtq_cursor reader;
        struct virtq_cursor writer;

        buffer_open(&b, way == 0 ? few : many, 3, way == 0 ? many : few, 3);
        reader = virtq_chain_reader(&b.chain);
        writer = virtq_chain_writer(&b.chain);
        cr_assert_eq(virtq_cursor_copy(&writer, &reader, 3), 3u);
        cr_assert_eq(virtq_cursor_copy(&writer, &reader, SIZE_MAX), 4u);
        cr_assert_eq(virtq_cursor_moved(&reader), 7u);
        cr_assert_eq(virtq_cursor_moved(&writer), 7u);
        for (size_t i = 0; i < 7; i++) {
            cr_assert_eq(written_at(&b, i), byte_at(i));
        }
        buffer_close(&b);
    }
}

Test(core_chain, a_copy_onto_itself_is_whole)
{
    /* A driver may list the same memory in both parts, one byte apart. */
    unsigned char bytes[64];
    struct virtq_piece pieces[2];
    struct virtq_chain chain;
    struct virtq_cursor reader;
    struct virtq_cursor writer;

    for (size_t i = 0; i < 64; i++) {
        bytes[i] = byte_at(i);
    }
    memset(&chain, 0, sizeof(chain));
    pieces[0].base = bytes;
    pieces[1].base = bytes + 1;
    pieces[0].len = 63;
    pieces[1].len = 63;
    chain.pieces = pieces;
    chain.readable = 1;
    chain.writable = 1;
    chain.readable_bytes = 63;
    chain.writable_bytes = 63;
    reader = virtq_chain_reader(&chain);
    writer = virtq_chain_writer(&chain);
    cr_assert_eq(virtq_cursor_copy(&writer, &reader, 63), 63u);
    cr_assert(counts_up(bytes + 1, 0, 63));
}

/* One step of a random walk: `model` is where the cursor has to be. */
static size_t walk_on(struct virtq_cursor *reader, uint64_t *random, size_t model, size_t all)
{
    const size_t want = (size_t)random_below(random, random_below(random, 4) == 0 ? 3000 : 16);
    const size_t part = want < all - model ? want : all - model;
    unsigned char to[3000];
    void *base = NULL;
    size_t span;

    switch (random_below(random, 5)) {
    case 0:
        cr_assert_eq(virtq_cursor_read(reader, to, want), part);
        cr_assert(counts_up(to, model, part));
        return model + part;
    case 1:
        cr_assert_eq(virtq_cursor_skip(reader, want), part);
        return model + part;
    case 2:
        cr_assert_eq(virtq_cursor_peek(reader, to, want), part);
        cr_assert(counts_up(to, model, part));
        return model;
    case 3:
        cr_assert_eq(virtq_cursor_read_exact(reader, to, want),
                     want == part ? VIRTQ_OK : VIRTQ_ETOOBIG);
        return want == part ? model + part : model;
    default:
        span = virtq_cursor_span(reader, &base);
        cr_assert((span == 0) == (model == all) && span <= all - model);
        cr_assert(counts_up(base, model, span));
        return model;
    }
}

Test(core_chain, any_mixture_of_steps_over_any_pieces_agrees_with_one_flat_copy)
{
    uint64_t random = 2;

    for (unsigned round = 0; round < 300; round++) {
        const unsigned count = 1 + (unsigned)random_below(&random, MOST - 1);
        uint32_t lens[MOST];
        struct buffer b;
        struct virtq_cursor reader;
        size_t all = 0;
        size_t model = 0;

        for (unsigned i = 0; i < count; i++) {
            lens[i] = 1 + (uint32_t)random_below(&random, random_below(&random, 3) ? 9 : 5000);
            all += lens[i];
        }
        buffer_open(&b, lens, count, lens, 1);
        reader = virtq_chain_reader(&b.chain);
        for (unsigned i = 0; i < 60; i++) {
            model = walk_on(&reader, &random, model, all);
            cr_assert_eq(virtq_cursor_moved(&reader), model);
            cr_assert_eq(virtq_cursor_left(&reader), all - model);
        }
        buffer_close(&b);
    }
}
