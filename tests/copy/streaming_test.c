/* SPDX-License-Identifier: BSD-3-Clause */
/* Write-combining memory is written in order by aligned stores, and never read to be written. */
#ifndef _GNU_SOURCE
#    define _GNU_SOURCE
#endif
#include <stdio.h>
#include <string.h>

#include "copy/trap.h"
#include "support/guarded.h"
#include "support/random.h"
#include "support/runner.h"
#include "virtq/copy_streaming.h"

enum { ROOM = 1024, LONGEST = 600 };

Test(copy_streaming, copies_every_length_at_every_alignment_and_no_byte_beyond)
{
    static _Alignas(64) unsigned char shared[ROOM];
    unsigned char from[ROOM];
    unsigned char back[ROOM];
    struct virtq_copy copy;
    uint64_t seed = 1;

    virtq_copy_streaming(&copy);
    for (size_t i = 0; i < ROOM; i++) {
        from[i] = (unsigned char)(random_next(&seed) | 1);
    }
    for (size_t len = 0; len <= LONGEST; len += 1 + len / 128) {
        for (size_t at = 0; at < 32; at++) {
            size_t source = (at * 5 + len) % 32;

            memset(shared, 0, sizeof(shared));
            copy.to_shared(copy.context, shared + at, from + source, len);
            copy.done(copy.context);
            cr_assert(memcmp(shared + at, from + source, len) == 0);
            cr_assert(at == 0 || shared[at - 1] == 0);
            cr_assert_eq(shared[at + len], 0);
            memset(back, 0, sizeof(back));
            copy.from_shared(copy.context, back + source, shared + at, len);
            cr_assert(memcmp(back + source, from + source, len) == 0);
            cr_assert_eq(back[source + len], 0);
            copy.zero(copy.context, shared + at, len);
            copy.done(copy.context);
            for (size_t i = 0; i < len; i++) {
                cr_assert_eq(shared[at + i], 0);
            }
        }
    }
}

Test(copy_streaming, touches_nothing_outside_of_its_ranges)
{
    size_t page = guarded_page();
    unsigned char *shared = guarded_alloc(page);
    unsigned char *own = guarded_alloc(page);
    struct virtq_copy copy;

    virtq_copy_streaming(&copy);
    for (size_t len = 0; len <= 130; len++) {
        copy.to_shared(copy.context, shared, own + page - len, len);
        copy.to_shared(copy.context, shared + page - len, own, len);
        copy.from_shared(copy.context, own + page - len, shared, len);
        copy.from_shared(copy.context, own, shared + page - len, len);
        copy.zero(copy.context, shared + page - len, len);
        copy.zero(copy.context, shared, len);
        copy.done(copy.context);
    }
    guarded_free(shared, page);
    guarded_free(own, page);
}

#ifdef TRAP_WORKS

enum { WIDTHS = 1 | 2 | 4 | 8 | 16 };

/* At most 4 narrow accesses on either side of whole units. */
static void few(unsigned count, size_t len)
{
    cr_assert_leq(count, len / 16 + 8);
}

static void trap_range(const struct virtq_copy *copy, size_t at, size_t len)
{
    unsigned char from[ROOM];
    unsigned char back[ROOM];
    uint64_t seed = at * 1000 + len;

    for (size_t i = 0; i < len; i++) {
        from[i] = (unsigned char)(random_next(&seed) | 1);
        trap.back[at + i] = (unsigned char)~from[i]; /* So that a store changes every byte. */
    }
    trap_arm();
    copy->to_shared(copy->context, trap.view + at, from, len);
    few(trap_judge(at, len, WIDTHS, true), len);
    cr_assert(memcmp(trap.back + at, from, len) == 0);
    trap_arm();
    copy->from_shared(copy->context, back, trap.view + at, len);
    few(trap_judge(at, len, WIDTHS, false), len);
    cr_assert(memcmp(back, from, len) == 0);
    trap_arm();
    copy->zero(copy->context, trap.view + at, len);
    few(trap_judge(at, len, WIDTHS, true), len);
}

Test(copy_streaming, traps_prove_that_stores_are_aligned_and_nothing_is_read_to_be_written)
{
    struct virtq_copy copy;

    if (!trap_open()) {
        (void)printf("copy.streaming: SKIPPED, traps do not work here\n");
        return;
    }
    virtq_copy_streaming(&copy);
    for (size_t at = 0; at < 17; at++) {
        for (size_t len = 0; len <= 100; len += 1 + len / 12) {
            trap_range(&copy, at, len);
        }
    }
    trap_range(&copy, TRAP_SIZE - LONGEST, LONGEST);
}

#else

Test(copy_streaming, traps_prove_that_stores_are_aligned_and_nothing_is_read_to_be_written)
{
    (void)printf("copy.streaming: SKIPPED, traps need x86-64 Linux and no sanitizer\n");
}

#endif
