/* SPDX-License-Identifier: BSD-3-Clause */
/* Every variant that this machine has, against a sum that is taken byte by byte as RFC 1071 says.
 */
#ifndef _GNU_SOURCE
#    define _GNU_SOURCE
#endif
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "copy/trap.h"
#include "support/guarded.h"
#include "support/random.h"
#include "support/runner.h"
#include "virtq/copy_checksum.h"
#include "virtq/error.h"

enum {
    ALIGNMENTS = 16,
    LENGTHS = 2049,
    MARGIN = 64, /* Around a copy, to see what must not be written. */
    FRESH = 0xA5,
    BLOCK = 1 << 20
};

static const uint32_t variants[] = {VIRTQ_CHECKSUM_PORTABLE, VIRTQ_CHECKSUM_SIMD128,
                                    VIRTQ_CHECKSUM_AVX2, VIRTQ_CHECKSUM_AVX512};

#define EACH_VARIANT(checksum)                                               \
    for (unsigned v_ = 0; v_ < sizeof(variants) / sizeof(variants[0]); v_++) \
        if (virtq_checksum_init_variant(&(checksum), variants[v_]) == VIRTQ_OK)

/* The sum of one more byte, number `at`. */
static uint32_t oracle_add(uint32_t sum, unsigned char byte, size_t at)
{
    sum += at % 2 == 0 ? (uint32_t)byte << 8 : byte;
    return sum > 0xffff ? sum - 0xffff : sum;
}

static uint32_t oracle(const unsigned char *from, size_t len)
{
    uint32_t sum = 0;

    for (size_t at = 0; at < len; at++) {
        sum = oracle_add(sum, from[at], at);
    }
    return sum;
}

static void fill(unsigned char *at, size_t len, uint64_t *seed)
{
    for (size_t i = 0; i < len; i++) {
        at[i] = (unsigned char)random_next(seed);
    }
}

static size_t count_fresh(const unsigned char *at, size_t len)
{
    size_t count = 0;

    while (count < len && at[count] == FRESH) {
        count++;
    }
    return count;
}

/* Copies into the middle of fresh memory, and proves the copy and what is around it. */
static void copy_checked(struct virtq_checksum *checksum, unsigned char *room, size_t offset,
                         const unsigned char *from, size_t len)
{
    unsigned char *to = room + MARGIN + offset;

    memset(to - MARGIN, FRESH, len + (size_t)2 * MARGIN);
    virtq_checksum_copy(checksum, to, from, len);
    cr_assert(memcmp(to, from, len) == 0, "variant %u: wrong bytes", checksum->variant);
    cr_assert_eq(count_fresh(to - MARGIN, MARGIN), (size_t)MARGIN, "variant %u: written before",
                 checksum->variant);
    cr_assert_eq(count_fresh(to + len, MARGIN), (size_t)MARGIN, "variant %u: written behind",
                 checksum->variant);
}

Test(copy_checksum, every_length_at_every_alignment_copies_and_sums)
{
    static unsigned char from[LENGTHS + ALIGNMENTS];
    static unsigned char room[LENGTHS + ALIGNMENTS + 2 * MARGIN];
    struct virtq_checksum checksum;
    uint64_t seed = 1;

    fill(from, sizeof(from), &seed);
    EACH_VARIANT(checksum)
    {
        for (size_t alignment = 0; alignment < ALIGNMENTS; alignment++) {
            uint32_t sum = 0;

            for (size_t len = 0; len < LENGTHS; len++) {
                virtq_checksum_reset(&checksum);
                /* All alignments of the copy come up with each of the source. */
                copy_checked(&checksum, room, (alignment + len * 7) % ALIGNMENTS, from + alignment,
                             len);
                cr_assert_eq(virtq_checksum_fold(&checksum), sum, "variant %u: length %zu from %zu",
                             checksum.variant, len, alignment);
                sum = oracle_add(sum, from[alignment + len], len);
            }
        }
    }
}

/* It matters where in a line the bytes lie, and how far into a page their copy is from there: a
 * long copy may begin at its end. */
Test(copy_checksum, long_copies_sum_wherever_in_lines_and_pages_they_lie)
{
    enum { LINE = 64, PAGE = 4096, LONGEST = 4096 };
    static unsigned char from[LINE + LONGEST];
    static unsigned char room[PAGE + LONGEST + 2 * MARGIN];
    static uint32_t sums[LONGEST + 1]; /* Of so many bytes. */
    struct virtq_checksum checksum;
    uint64_t seed = 5;

    fill(from, sizeof(from), &seed);
    for (size_t at = 0; at < LINE; at++) {
        for (size_t len = 0; len < LONGEST; len++) {
            sums[len + 1] = oracle_add(sums[len], from[at + len], len);
        }
        EACH_VARIANT(checksum)
        {
            for (size_t len = random_below(&seed, 100); len <= LONGEST;
                 len += 1 + random_below(&seed, 100)) {
                virtq_checksum_reset(&checksum);
                copy_checked(&checksum, room, random_below(&seed, PAGE), from + at, len);
                cr_assert_eq(virtq_checksum_fold(&checksum), sums[len],
                             "variant %u: length %zu from %zu, seed 5", checksum.variant, len, at);
            }
        }
    }
}

Test(copy_checksum, pieces_sum_up_to_the_whole_however_it_is_cut)
{
    static unsigned char from[4096];
    static unsigned char to[4096];
    static uint32_t sums[sizeof(from) + 1]; /* Of so many bytes. */
    struct virtq_checksum checksum;
    uint64_t seed = 2;

    fill(from, sizeof(from), &seed);
    for (size_t at = 0; at < sizeof(from); at++) {
        sums[at + 1] = oracle_add(sums[at], from[at], at);
    }

    EACH_VARIANT(checksum)
    {
        for (unsigned round = 0; round < 300; round++) {
            size_t most = (size_t)1 << random_below(&seed, 11);
            size_t len = random_below(&seed, sizeof(from) + 1);
            size_t done = 0;

            memset(to, FRESH, sizeof(to));
            virtq_checksum_reset(&checksum);
            while (done < len) {
                size_t piece = random_below(&seed, most + 1);

                piece = piece < len - done ? piece : len - done;
                if (random_below(&seed, 8) != 0) {
                    virtq_checksum_copy(&checksum, to + done, from + done, piece);
                } else {
                    virtq_checksum_add(&checksum, from + done, piece);
                    memcpy(to + done, from + done, piece);
                }
                done += piece;
                cr_assert_eq(virtq_checksum_fold(&checksum), sums[done],
                             "variant %u, round %u: seed 2", checksum.variant, round);
            }
            cr_assert(memcmp(to, from, len) == 0);
            cr_assert_eq(count_fresh(to + len, sizeof(to) - len), sizeof(to) - len);
        }
    }
}

Test(copy_checksum, the_example_of_rfc_1071_gives_its_result)
{
    static const unsigned char words[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
    unsigned char to[sizeof(words)];
    struct virtq_checksum checksum;

    EACH_VARIANT(checksum)
    {
        virtq_checksum_copy(&checksum, to, words, sizeof(words));
        cr_assert_eq(virtq_checksum_fold(&checksum), 0xddf2);
    }
    virtq_checksum_init(&checksum);
    virtq_checksum_add(&checksum, words, sizeof(words));
    cr_assert_eq(virtq_checksum_fold(&checksum), 0xddf2);
}

/* The largest partial sum there is, from each place in a line. */
Test(copy_checksum, a_step_of_large_bytes_loses_no_carry)
{
    enum { LINE = 64 };
    const size_t room = VIRTQ_CHECKSUM_STEP + LINE;
    unsigned char *from = malloc(room);
    unsigned char *to = malloc(room);
    struct virtq_checksum checksum;
    uint32_t sum = 0;

    cr_assert(from != NULL && to != NULL);
    /* One other byte: not the one sum that hides a lost carry. */
    for (size_t at = 0; at <= VIRTQ_CHECKSUM_STEP; at++) {
        sum = oracle_add(sum, at == 2 ? 0x35 : 0xff, at);
    }
    EACH_VARIANT(checksum)
    {
        for (size_t at = 0; at < LINE; at += 7) {
            memset(from, 0xff, room);
            from[at + 1] = 0x35;
            virtq_checksum_reset(&checksum);
            virtq_checksum_add(&checksum, from, 1);
            virtq_checksum_copy(&checksum, to, from + at, VIRTQ_CHECKSUM_STEP);
            cr_assert_eq(virtq_checksum_fold(&checksum), sum, "variant %u from %zu",
                         checksum.variant, at);
        }
    }
    free(from);
    free(to);
}

/* A receiver takes 0 for "no checksum", so zero has two forms that must not be mixed up. */
Test(copy_checksum, only_zeros_sum_up_to_zero)
{
    static unsigned char from[515];
    static unsigned char to[515];
    struct virtq_checksum checksum;

    EACH_VARIANT(checksum)
    {
        for (size_t len = 0; len <= sizeof(from); len++) {
            memset(from, 0, sizeof(from));
            virtq_checksum_reset(&checksum);
            virtq_checksum_copy(&checksum, to, from, len);
            cr_assert_eq(virtq_checksum_fold(&checksum), 0);
            memset(from, 0xff, sizeof(from));
            virtq_checksum_copy(&checksum, to, from, len & ~(size_t)1);
            cr_assert_eq(virtq_checksum_fold(&checksum), len < 2 ? 0 : 0xffff);
        }
    }
}

/* So many, begun at an odd byte, are more than 64 bits hold of them at once. */
Test(copy_checksum, many_large_bytes_lose_no_carry)
{
    size_t len = (size_t)66 * BLOCK + 77;
    unsigned char *from = malloc(len);
    unsigned char *to = malloc(len);
    struct virtq_checksum checksum;
    uint32_t sum;

    cr_assert(from != NULL && to != NULL);
    memset(from, 0xff, len);
    from[1] = 0x35; /* Not the one sum that hides a lost carry. */
    from[len - 1] = 0x12;
    sum = oracle(from, len);
    EACH_VARIANT(checksum)
    {
        unsigned char first = from[0];

        memset(to, 0, len);
        virtq_checksum_copy(&checksum, to, from, len);
        cr_assert_eq(virtq_checksum_fold(&checksum), sum, "variant %u", checksum.variant);
        cr_assert(memcmp(to, from, len) == 0);
        /* And begun at an odd byte. */
        virtq_checksum_reset(&checksum);
        virtq_checksum_add(&checksum, &first, 1);
        virtq_checksum_copy(&checksum, to, from + 1, len - 1);
        cr_assert_eq(virtq_checksum_fold(&checksum), sum, "variant %u, odd", checksum.variant);
    }
    virtq_checksum_init(&checksum);
    virtq_checksum_add(&checksum, from, len);
    cr_assert_eq(virtq_checksum_fold(&checksum), sum);
    free(from);
    free(to);
}

Test(copy_checksum, what_comes_in_one_piece_takes_one_call)
{
    const size_t step = VIRTQ_CHECKSUM_STEP;
    const size_t lengths[] = {0, 1, 2, 63, 64, 1499, 1500, step, step + 1, 2 * step + 13};
    unsigned char *from = malloc(3 * step);
    unsigned char *to = malloc(3 * step);
    struct virtq_checksum checksum;
    uint64_t seed = 1071;

    cr_assert(from != NULL && to != NULL);
    fill(from, 3 * step, &seed);
    EACH_VARIANT(checksum)
    {
        for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
            const size_t len = lengths[i];

            /* What was summed before stays as it was, and goes on afterwards. */
            virtq_checksum_reset(&checksum);
            virtq_checksum_add(&checksum, from, 1 + i % 2);
            to[len] = FRESH;
            cr_assert_eq(virtq_checksum_copy_whole(&checksum, to, from, len), oracle(from, len));
            cr_assert(memcmp(to, from, len) == 0 && to[len] == FRESH);
            cr_assert_eq(virtq_checksum_fold(&checksum), oracle(from, 1 + i % 2));
            virtq_checksum_add(&checksum, from + 1 + i % 2, 3);
            cr_assert_eq(virtq_checksum_fold(&checksum), oracle(from, 4 + i % 2));
        }
    }
    free(from);
    free(to);
}

/* UINT64_MAX is another form of 0 modulo 0xffff. No buffer is long enough to get there. */
Test(copy_checksum, the_carry_out_of_64_bits_goes_round)
{
    static const unsigned char from[] = {0x12, 0x34, 0x56};
    unsigned char to[sizeof(from)];
    struct virtq_checksum checksum;

    EACH_VARIANT(checksum)
    {
        checksum.sum = UINT64_MAX;
        virtq_checksum_copy(&checksum, to, from, sizeof(from));
        cr_assert_eq(virtq_checksum_fold(&checksum), oracle(from, sizeof(from)));
    }
}

Test(copy_checksum, touches_nothing_outside_of_its_ranges)
{
    size_t page = guarded_page();
    unsigned char *from = guarded_alloc(page);
    unsigned char *to = guarded_alloc(page);
    struct virtq_checksum checksum;
    uint64_t seed = 3;

    fill(from, page, &seed);
    EACH_VARIANT(checksum)
    {
        for (size_t len = 0; len <= page; len += len < 300 ? 1 : 59) {
            /* Up to the page behind, and from the page before. */
            virtq_checksum_reset(&checksum);
            virtq_checksum_copy(&checksum, to + page - len, from + page - len, len);
            virtq_checksum_copy(&checksum, to, from, len);
            virtq_checksum_add(&checksum, from + page - len, len);
            cr_assert(memcmp(to, from, len) == 0);
            cr_assert(memcmp(to + page - len, from + page - len, len) == 0);
        }
    }
    guarded_free(from, page);
    guarded_free(to, page);
}

Test(copy_checksum, best_is_the_widest_there_is)
{
    struct virtq_checksum checksum;
    struct virtq_checksum best;
    uint32_t widest = 0;

    EACH_VARIANT(checksum)
    {
        cr_assert_eq(checksum.variant, variants[v_]);
        widest = checksum.variant;
    }
    virtq_checksum_init(&best);
    cr_assert_eq(best.variant, widest);
    cr_assert_geq(widest, (uint32_t)VIRTQ_CHECKSUM_PORTABLE);
    cr_assert_eq(virtq_checksum_init_variant(&checksum, VIRTQ_CHECKSUM_BEST), VIRTQ_OK);
    cr_assert_eq(checksum.variant, widest);
    (void)printf("copy.checksum: the best variant here is %u\n", widest);
}

Test(copy_checksum, refuses_a_variant_that_is_not_there_and_leaves_the_sum_alone)
{
    static const unsigned char byte = 1;
    struct virtq_checksum checksum;
    struct virtq_checksum before;

    virtq_checksum_init(&checksum);
    virtq_checksum_add(&checksum, &byte, 1);
    before = checksum;
    cr_assert_eq(virtq_checksum_init_variant(&checksum, VIRTQ_CHECKSUM_AVX512 + 1), VIRTQ_EINVAL);
    cr_assert_eq(virtq_checksum_init_variant(&checksum, UINT32_MAX), VIRTQ_EINVAL);
    for (uint32_t variant = VIRTQ_CHECKSUM_PORTABLE; variant <= VIRTQ_CHECKSUM_AVX512; variant++) {
        struct virtq_checksum probe = before;
        int error = virtq_checksum_init_variant(&probe, variant);

        cr_assert(error == VIRTQ_OK || error == VIRTQ_ENOTSUP);
        cr_assert(error == VIRTQ_OK || memcmp(&probe, &before, sizeof(probe)) == 0);
#ifndef __x86_64__
        cr_assert(error == VIRTQ_ENOTSUP || variant < VIRTQ_CHECKSUM_AVX2);
#else
        cr_assert(error == VIRTQ_OK || variant > VIRTQ_CHECKSUM_SIMD128);
#endif
    }
    cr_assert(memcmp(&checksum, &before, sizeof(checksum)) == 0);
}

Test(copy_checksum, its_hook_sums_both_directions)
{
    static const unsigned char from[] = "an odd number of bytes..";
    unsigned char to[sizeof(from)];
    unsigned char back[sizeof(from)];
    struct virtq_checksum checksum;
    struct virtq_copy copy;

    virtq_checksum_init(&checksum);
    virtq_checksum_hook(&checksum, &copy);
    cr_assert(copy.zero == NULL && copy.done == NULL);
    copy.to_shared(copy.context, to, from, 5);
    copy.to_shared(copy.context, to + 5, from + 5, sizeof(from) - 5);
    cr_assert_eq(virtq_checksum_fold(&checksum), oracle(from, sizeof(from)));
    virtq_checksum_reset(&checksum);
    copy.from_shared(copy.context, back, to, sizeof(to));
    cr_assert_eq(virtq_checksum_fold(&checksum), oracle(from, sizeof(from)));
    cr_assert(memcmp(back, from, sizeof(from)) == 0);
}

#ifdef TRAP_WORKS

/* Whatever was loaded, the peer changes all of it at once. */
static void change(const struct trap_note *note)
{
    static uint64_t seed = 4;

    for (size_t at = 0; at < TRAP_SIZE && !note->store; at++) {
        trap.back[at] = (unsigned char)random_next(&seed);
    }
}

Test(copy_checksum, is_that_of_the_copy_though_the_peer_changes_every_byte_after_each_load)
{
    static unsigned char to[TRAP_SIZE];
    struct virtq_checksum checksum;

    if (!trap_open()) {
        (void)printf("copy.checksum: SKIPPED, traps do not work here\n");
        return;
    }
    trap.after = change;
    EACH_VARIANT(checksum)
    {
        for (size_t len = 0; len <= 1500; len += 1 + len / 3) {
            size_t offset = len * 5 % 64;

            virtq_checksum_reset(&checksum);
            trap_arm();
            virtq_checksum_copy(&checksum, to + len % 7, trap.view + offset, len);
            trap_disarm();
            cr_assert(len == 0 || trap.count != 0);
            cr_assert_eq(virtq_checksum_fold(&checksum), oracle(to + len % 7, len),
                         "variant %u: length %zu", checksum.variant, len);
        }
    }
}

#else

Test(copy_checksum, is_that_of_the_copy_though_the_peer_changes_every_byte_after_each_load)
{
    (void)printf("copy.checksum: SKIPPED, traps need x86-64 Linux and no sanitizer\n");
}

#endif
