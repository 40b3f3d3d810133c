/* SPDX-License-Identifier: BSD-3-Clause */
/* Guests that lie in their tables, and that change them while they are walked. M7. */
#include <stdio.h>

#include "hostile/trace.h"
/* The hook first, then the walk with it. */
#include "../../lib/iommu/zpci_walk.c"
#include "support/random.h"
#include "zpci_fixture.h"

static struct zpci_stand stand;

static void expect_event(virtq_addr_t first, uint64_t len, uint32_t event, virtq_addr_t addr)
{
    struct virtq_zpci_answer answer = zpci_refresh(&stand, first, len);

    cr_assert_eq(answer.condition, (uint32_t)VIRTQ_ZPCI_ERROR);
    cr_assert_eq(answer.status, (uint32_t)VIRTQ_ZPCI_STATUS_IN_ERROR);
    cr_assert_eq(answer.event, event);
    cr_assert_eq(answer.addr, addr);
    cr_assert_eq(virtq_zpci_host_state(&stand.host), (uint32_t)VIRTQ_ZPCI_IN_ERROR);
    cr_assert_eq(stand.pinned, 0u, "an error empties the shadow");
    cr_assert_eq(zpci_where(&stand, 0, SPACES_READ), VIRTQ_EFAULT);
    cr_assert_eq(virtq_zpci_host_set_state(&stand.host, VIRTQ_ZPCI_ENABLED), 0);
}

Test(iommu_zpci_hostile, entries_that_break_a_rule_are_errors_of_the_function)
{
    static const struct {
        uint32_t table;
        unsigned slot;
        uint64_t entry;
        uint32_t event;
    } rows[] = {
        {ZPCI_REGIONS, 0, 0, VIRTQ_ZPCI_EVENT_ENTRY},
        {ZPCI_REGIONS, 0, 0x4 | 0x2, VIRTQ_ZPCI_EVENT_LENGTH},
        {ZPCI_REGIONS, 0, 0x40 | 0x7, VIRTQ_ZPCI_EVENT_LENGTH},
        {ZPCI_REGIONS, 0, 0x80 | 0x7, VIRTQ_ZPCI_EVENT_LENGTH},
        {ZPCI_REGIONS, 0, ZPCI_ABSOLUTE | 0x3, VIRTQ_ZPCI_EVENT_TYPE},
        {ZPCI_REGIONS, 0, ZPCI_ABSOLUTE | 0xb, VIRTQ_ZPCI_EVENT_TYPE},
        {ZPCI_REGIONS, 0, ZPCI_ABSOLUTE | 0xf, VIRTQ_ZPCI_EVENT_TYPE},
        /* A loop: the region table as its own segment table. */
        {ZPCI_REGIONS, 0, ZPCI_ABSOLUTE | 0x7, VIRTQ_ZPCI_EVENT_TYPE},
        /* Tables outside the guest's memory: below it, half in it, above it, at the top. */
        {ZPCI_REGIONS, 0, (ZPCI_ABSOLUTE - 0x4000) | 0x7, VIRTQ_ZPCI_EVENT_ENTRY},
        {ZPCI_REGIONS, 0, (ZPCI_ABSOLUTE + ZPCI_SIZE) | 0x7, VIRTQ_ZPCI_EVENT_ENTRY},
        {ZPCI_REGIONS, 0, UINT64_MAX << 14 | 0x7, VIRTQ_ZPCI_EVENT_ENTRY},
        {ZPCI_SEGMENTS(0), 0, 0, VIRTQ_ZPCI_EVENT_ENTRY},
        {ZPCI_SEGMENTS(0), 0, ZPCI_ABSOLUTE | 0x4, VIRTQ_ZPCI_EVENT_TYPE},
        {ZPCI_SEGMENTS(0), 0, ZPCI_ABSOLUTE | 0x8, VIRTQ_ZPCI_EVENT_TYPE},
        {ZPCI_SEGMENTS(0), 0, ZPCI_ABSOLUTE | 0xc, VIRTQ_ZPCI_EVENT_TYPE},
        {ZPCI_SEGMENTS(0), 0, ZPCI_ABSOLUTE - 0x800, VIRTQ_ZPCI_EVENT_ENTRY},
        {ZPCI_SEGMENTS(0), 0, ZPCI_ABSOLUTE + ZPCI_SIZE, VIRTQ_ZPCI_EVENT_ENTRY},
        {ZPCI_SEGMENTS(0), 0, UINT64_MAX << 11, VIRTQ_ZPCI_EVENT_ENTRY},
        /* Frames: not all of it is memory. */
        {ZPCI_SEGMENTS(0), 0, 0x7ff00000 | 0x400, VIRTQ_ZPCI_EVENT_ENTRY},
        {ZPCI_SEGMENTS(0), 0, 0x80700000 | 0x400, VIRTQ_ZPCI_EVENT_ENTRY},
        {ZPCI_PAGES(0), 0, 0, VIRTQ_ZPCI_EVENT_ENTRY},
        {ZPCI_PAGES(0), 255, 0, VIRTQ_ZPCI_EVENT_ENTRY},
        {ZPCI_PAGES(0), 0, ZPCI_ABSOLUTE - 4096, VIRTQ_ZPCI_EVENT_ENTRY},
        {ZPCI_PAGES(0), 0, ZPCI_ABSOLUTE + ZPCI_SIZE, VIRTQ_ZPCI_EVENT_ENTRY},
        {ZPCI_PAGES(0), 0, UINT64_MAX << 12, VIRTQ_ZPCI_EVENT_ENTRY},
    };

    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        zpci_open(&stand);
        zpci_start(&stand);
        zpci_page(&stand, 256, 3, 0);
        zpci_done(&stand, 0x100000, 0x100000);
        zpci_put(&stand, rows[i].table, rows[i].slot, rows[i].entry);
        expect_event(0, 0x200000, rows[i].event, 0);
        zpci_close(&stand);
    }
}

Test(iommu_zpci_hostile, entries_of_all_ones_lead_nowhere)
{
    zpci_open(&stand);
    zpci_start(&stand);
    zpci_page(&stand, 0, 0, 0);
    zpci_page(&stand, 256, 1, 0);
    zpci_page(&stand, 512, 2, 0);
    zpci_done(&stand, 0, 0x400000);
    cr_assert_eq(stand.pinned, 3u);
    zpci_put(&stand, ZPCI_PAGES(0), 0, UINT64_MAX);
    zpci_put(&stand, ZPCI_SEGMENTS(0), 1, UINT64_MAX);
    zpci_done(&stand, 0, 0x400000);
    cr_assert_eq(stand.pinned, 1u);
    zpci_fill(&stand, ZPCI_REGIONS, 2048, UINT64_MAX);
    zpci_done(&stand, 0, VIRTQ_ZPCI_LAST + 1);
    cr_assert_eq(stand.pinned, 0u);
    zpci_close(&stand);
}

Test(iommu_zpci_hostile, a_region_table_outside_the_memory_is_an_error)
{
    static const uint64_t origins[] = {0, ZPCI_ABSOLUTE - 0x1000, ZPCI_ABSOLUTE + ZPCI_SIZE,
                                       UINT64_MAX << 12};

    for (unsigned i = 0; i < sizeof(origins) / sizeof(origins[0]); i++) {
        zpci_open(&stand);
        zpci_start(&stand);
        cr_assert_eq(virtq_zpci_host_unregister(&stand.host), 0);
        cr_assert_eq(virtq_zpci_host_register(&stand.host, 0, VIRTQ_ZPCI_LAST, origins[i] | 0x804),
                     0);
        expect_event(0, 4096, VIRTQ_ZPCI_EVENT_ENTRY, 0);
        zpci_close(&stand);
    }
}

/* Four terabytes, all of them through one segment table and one page table. */
Test(iommu_zpci_hostile, the_work_of_a_refresh_is_bounded_and_nothing_old_stays)
{
    struct virtq_zpci_answer answer;
    struct virtq_zpci_host_usage usage;

    zpci_open(&stand);
    stand.config.words_max = 10000;
    zpci_start(&stand);
    zpci_page(&stand, 600, 5, 0);
    zpci_put(&stand, ZPCI_SEGMENTS(0), 1000, ZPCI_ABSOLUTE + ZPCI_PAGES(2));
    zpci_done(&stand, 0, VIRTQ_ZPCI_LAST + 1);
    cr_assert_eq(stand.pinned, 2u);
    for (unsigned i = 0; i < 2048; i++) {
        zpci_put(&stand, ZPCI_REGIONS, i, (ZPCI_ABSOLUTE + ZPCI_SEGMENTS(0)) | 0x7);
        zpci_put(&stand, ZPCI_SEGMENTS(0), i, ZPCI_ABSOLUTE + ZPCI_PAGES(1));
    }
    virtq_zpci_host_read_usage(&stand.host, &usage);
    answer = zpci_refresh(&stand, 0, VIRTQ_ZPCI_LAST + 1);
    cr_assert_eq(answer.status, (uint32_t)VIRTQ_ZPCI_STATUS_RESOURCES);
    cr_assert_leq(stand.host.usage.words - usage.words, 10000u);
    cr_assert_geq(stand.host.usage.words - usage.words, 9000u);
    cr_assert_eq(stand.pinned, 0u, "what was not looked at is not kept");
    /* What is asked for in reasonable pieces is done. */
    zpci_page(&stand, 256, 7, 0);
    zpci_done(&stand, VIRTQ_ZPCI_LAST - 0xfffff, 0x100000);
    cr_assert_eq(zpci_where(&stand, VIRTQ_ZPCI_LAST - 0xfffff, SPACES_READ), ZPCI_DATA(7));
    cr_assert_eq(stand.host.usage.shortages, 1u);
    zpci_close(&stand);
}

static unsigned char *watched;

/* After its one load a word is the guest's again: whatever a second one found would be this. */
static void spoil(const struct access *access)
{
    static const unsigned char *before;

    if (before != NULL && before >= watched && before < watched + ZPCI_SIZE) {
        memset(stand.memory + (before - stand.memory), 0x5a, 8);
    }
    before = access->at;
}

Test(iommu_zpci_hostile, m7_each_word_is_loaded_once_and_what_was_loaded_counts)
{
    zpci_open(&stand);
    zpci_start(&stand);
    for (unsigned i = 0; i < 600; i++) {
        zpci_page(&stand, i, i, i % 3 == 0 ? 0x200 : 0);
    }
    watched = stand.memory;
    trace_count = 0;
    trace_hook = spoil;
    zpci_done(&stand, 0, 0x400000);
    trace_hook = NULL;
    cr_assert_eq(trace_count, 1u + 4u + 4u * 256u);
    for (unsigned i = 0; i < trace_count; i++) {
        cr_assert_eq(trace_log[i].width, 8u);
        cr_assert(!trace_log[i].store);
        for (unsigned k = 0; k < i; k++) {
            cr_assert(trace_log[k].at != trace_log[i].at, "%u and %u load the same word", k, i);
        }
    }
    for (unsigned i = 0; i < 600; i++) {
        cr_assert_eq(zpci_where(&stand, i * 4096, SPACES_READ), ZPCI_DATA(i));
        cr_assert_eq(zpci_where(&stand, i * 4096, SPACES_WRITE),
                     i % 3 == 0 ? (int64_t)VIRTQ_EPERM : (int64_t)ZPCI_DATA(i));
    }
    zpci_close(&stand);
}

static uint64_t seed;

/* Any word of the tables may change before any load. */
static void scribble(const struct access *access)
{
    const uint64_t word = random_next(&seed);
    uint64_t entry = ZPCI_ABSOLUTE + (random_next(&seed) & (ZPCI_SIZE - 1));
    unsigned char *at = stand.memory + word % 0x48000 / 8 * 8;

    (void)access;
    if ((word >> 32) % 4 != 0) {
        return;
    }
    if ((word >> 40) % 2 == 0) {
        /* The very word that is about to be loaded. */
        at = stand.memory + (access->at - stand.memory);
    }
    entry = (word >> 48) % 8 == 0 ? random_next(&seed) : entry;
    for (unsigned i = 0; i < 8; i++) {
        at[i] = (unsigned char)(entry >> (56 - 8 * i));
    }
}

Test(iommu_zpci_hostile, tables_that_change_under_the_walk_never_lead_out_of_the_memory)
{
    const unsigned rounds = getenv("VIRTQ_TEST_HURRIED") != NULL ? 50 : 3000;
    unsigned errors = 0;

    seed = 11;
    (void)printf("seed %llu\n", (unsigned long long)seed);
    zpci_open(&stand);
    zpci_start(&stand);
    for (unsigned round = 0; round < rounds; round++) {
        zpci_lead(&stand, 1, 4);
        cr_assert_eq(virtq_zpci_host_set_state(&stand.host, VIRTQ_ZPCI_ENABLED), 0);
        for (unsigned i = 0; i < 64; i++) {
            zpci_page(&stand, (unsigned)random_below(&seed, 1024), i, 0);
        }
        trace_hook = scribble;
        for (unsigned k = 0; k < 3; k++) {
            errors += zpci_refresh(&stand, random_below(&seed, 1024) * 4096,
                                   random_below(&seed, 1024) * 4096)
                          .condition != 0;
        }
        trace_hook = NULL;
        for (unsigned i = 0; i < 1024; i += 1 + (unsigned)random_below(&seed, 8)) {
            int64_t at = zpci_where(&stand, i * 4096, SPACES_READ);

            cr_assert(at == VIRTQ_EFAULT || at == VIRTQ_EPERM ||
                      (at >= 0 && (uint64_t)at < ZPCI_SIZE && stand.pins[at / 4096] > 0));
        }
    }
    zpci_close(&stand);
    cr_assert_gt(errors, rounds / 4);
}
