/* SPDX-License-Identifier: BSD-3-Clause */
/* Device memory is accessed by the allowed widths alone. */
#ifndef _GNU_SOURCE
#    define _GNU_SOURCE
#endif
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "copy/trap.h"
#include "support/random.h"
#include "support/runner.h"
#include "virtq/copy_device.h"
#include "virtq/error.h"

enum { ROOM = 160, ALL = 15 };

static const uint32_t own_widths = sizeof(void *) < 8 ? 7 : ALL;

/* Whether accesses of some of these widths cover a range, tried out byte by byte. */
static bool covers(uint32_t widths, size_t at, size_t len)
{
    bool reached[ROOM + 1] = {true};

    for (size_t i = 0; i < len; i++) {
        for (size_t width = 1; reached[i] && width <= 8; width *= 2) {
            if ((widths & width) != 0 && (at + i) % width == 0 && i + width <= len) {
                reached[i + width] = true;
            }
        }
    }
    return reached[len];
}

Test(copy_device, refuses_sets_of_widths_that_are_none)
{
    static const uint32_t wrong[] = {0, 16, 17, 31, 0x80000000u, UINT32_MAX};
    struct virtq_copy copy = {0};

    for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        cr_assert_eq(virtq_copy_device(&copy, wrong[i]), VIRTQ_EINVAL);
        cr_assert_eq(virtq_copy_device_fits(wrong[i], 0, 0), VIRTQ_EINVAL);
        cr_assert(copy.to_shared == NULL && copy.done == NULL);
    }
    if (own_widths != ALL) {
        cr_assert_eq(virtq_copy_device(&copy, 8), VIRTQ_ENOTSUP);
        cr_assert_eq(virtq_copy_device_fits(8, 0, 8), VIRTQ_ENOTSUP);
    }
}

Test(copy_device, says_which_ranges_fit)
{
    for (uint32_t widths = 1; widths <= ALL; widths++) {
        for (size_t at = 0; (widths & own_widths) != 0 && at < 16; at++) {
            for (size_t len = 0; len <= 40; len++) {
                bool fits = virtq_copy_device_fits(widths, at, len) == VIRTQ_OK;

                /* An empty range needs no access, but one that begins oddly is a mistake. */
                cr_assert_eq(fits, len != 0 ? covers(widths & own_widths, at, len) : fits);
            }
        }
    }
    cr_assert_eq(virtq_copy_device_fits(4, UINT64_MAX - 3, 4), VIRTQ_OK);
    cr_assert_eq(virtq_copy_device_fits(4, UINT64_MAX - 2, 4), VIRTQ_EINVAL);
    cr_assert_eq(virtq_copy_device_fits(6, 2, (uint64_t)1 << 40), VIRTQ_OK);
}

Test(copy_device, copies_every_range_that_fits_and_no_byte_beyond)
{
    static _Alignas(8) unsigned char shared[ROOM];
    unsigned char from[ROOM];
    unsigned char back[ROOM];
    struct virtq_copy copy;
    uint64_t seed = 1;

    for (uint32_t widths = 1; widths <= ALL; widths++) {
        for (size_t at = 0; virtq_copy_device(&copy, widths) == VIRTQ_OK && at < 16; at++) {
            for (size_t len = 0; len <= 100; len++) {
                if (virtq_copy_device_fits(widths, at, len) != VIRTQ_OK) {
                    continue;
                }
                for (size_t i = 0; i < ROOM; i++) {
                    from[i] = (unsigned char)(random_next(&seed) | 1);
                }
                memset(shared, 0, sizeof(shared));
                copy.to_shared(copy.context, shared + at, from + 3, len);
                copy.done(copy.context);
                cr_assert(memcmp(shared + at, from + 3, len) == 0);
                cr_assert(at == 0 || shared[at - 1] == 0);
                cr_assert_eq(shared[at + len], 0);
                copy.from_shared(copy.context, back + 5, shared + at, len);
                cr_assert(memcmp(back + 5, from + 3, len) == 0);
                memset(shared, 0xff, sizeof(shared));
                copy.zero(copy.context, shared + at, len);
                for (size_t i = 0; i < ROOM; i++) {
                    cr_assert_eq(shared[i], i >= at && i < at + len ? 0 : 0xff);
                }
            }
        }
    }
}

Test(copy_device, leaves_alone_what_does_not_fit)
{
    static _Alignas(8) unsigned char shared[16];
    static const unsigned char from[] = "0123456";
    unsigned char back[8];
    struct virtq_copy copy;

    cr_assert_eq(virtq_copy_device(&copy, 4), VIRTQ_OK);
    memset(shared, 0xaa, sizeof(shared));
    copy.to_shared(copy.context, shared, from, 7);
    cr_assert(memcmp(shared, "0123\xaa\xaa\xaa\xaa", 8) == 0);
    memset(back, 0xbb, sizeof(back));
    copy.from_shared(copy.context, back, shared, 7);
    cr_assert(memcmp(back, "0123\0\0\0\xbb", 8) == 0);
    copy.zero(copy.context, shared, 7);
    cr_assert(memcmp(shared, "\0\0\0\0\xaa\xaa\xaa\xaa", 8) == 0);
    copy.to_shared(copy.context, shared + 1, from, 4);
    cr_assert(memcmp(shared, "\0\0\0\0\xaa\xaa\xaa\xaa", 8) == 0);
}

#ifdef TRAP_WORKS

/* All three functions on one range, each access judged. */
static void trap_range(const struct virtq_copy *copy, uint32_t widths, size_t at, size_t len)
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
    (void)trap_judge(at, len, widths, true);
    cr_assert(memcmp(trap.back + at, from, len) == 0);
    trap_arm();
    copy->from_shared(copy->context, back, trap.view + at, len);
    (void)trap_judge(at, len, widths, false);
    cr_assert(memcmp(back, from, len) == 0);
    trap_arm();
    copy->zero(copy->context, trap.view + at, len);
    (void)trap_judge(at, len, widths, true);
}

Test(copy_device, traps_prove_that_each_access_is_allowed)
{
    struct virtq_copy copy;

    if (!trap_open()) {
        (void)printf("copy.device: SKIPPED, traps do not work here\n");
        return;
    }
    for (uint32_t widths = 1; widths <= ALL; widths++) {
        cr_assert_eq(virtq_copy_device(&copy, widths), VIRTQ_OK);
        for (size_t at = 0; at < 9; at++) {
            for (size_t len = 0; len <= 33; len += 1 + len / 12) {
                if (virtq_copy_device_fits(widths, at, len) == VIRTQ_OK) {
                    trap_range(&copy, widths, at, len);
                }
            }
        }
        trap_range(&copy, widths, TRAP_SIZE - 64, 64); /* Up to the page behind. */
    }
}

#else

Test(copy_device, traps_prove_that_each_access_is_allowed)
{
    (void)printf("copy.device: SKIPPED, traps need x86-64 Linux and no sanitizer\n");
}

#endif
