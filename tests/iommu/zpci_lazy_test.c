/* SPDX-License-Identifier: BSD-3-Clause */
/* The lazy space on zPCI tables: no address twice without a refresh in between. L4, L5, M6. */
#include "virtq/iommu/zpci_lazy.h"

#include <pthread.h>
#include <stdio.h>

#include "support/random.h"
#include "zpci_pair.h"

enum { PAGES = 130, DATA = 0x100 };

static struct zpci_pair pair;
static struct virtq_zpci_lazy lazy;
static void *bitmaps;

static void lazy_open(uint32_t flags, unsigned pages)
{
    struct virtq_zpci_lazy_config config = VIRTQ_ZPCI_LAZY_CONFIG_INIT;

    pair_open(&pair, flags);
    pair_start(&pair);
    config.guest = &pair.guest;
    config.first = 0x7f000;
    config.last = 0x7f000 + pages * (uint64_t)4096 - 1;
    config.bitmaps_size = virtq_zpci_lazy_size(config.first, config.last);
    config.bitmaps = bitmaps = malloc(config.bitmaps_size);
    cr_assert_not_null(bitmaps);
    cr_assert_eq(virtq_zpci_lazy_init(&lazy, &config), 0);
}

static void lazy_close(void)
{
    pair_close(&pair);
    free(bitmaps);
}

static int map_pages(struct spaces_buffer *buffer, unsigned data, unsigned pages)
{
    spaces_segment(buffer, 0, pair.stand.memory + (size_t)data * 4096 + 5, pages * 4096 - 5);
    return spaces_map(&lazy.space, buffer, 1, 0, 1);
}

Test(iommu_zpci_lazy, m6_one_global_refresh_at_the_wrap_and_no_other_call)
{
    struct spaces_buffer buffer;
    virtq_addr_t before = 0;

    lazy_open(0, PAGES);
    for (unsigned i = 0; i < 3 * PAGES; i++) {
        cr_assert_eq(map_pages(&buffer, DATA + i, 1), 0);
        cr_assert_eq(pair.count, i / PAGES, "round %u", i);
        cr_assert_eq(buffer.runs[0].addr, 0x7f005 + (virtq_addr_t)(i % PAGES) * 4096);
        cr_assert_neq(buffer.runs[0].addr, before);
        before = buffer.runs[0].addr;
        cr_assert_eq(pair_says(&pair, before & ~(virtq_addr_t)4095), (DATA + i) * 4096u | 1);
        spaces_unmap(&lazy.space, &buffer, 0);
        cr_assert_eq(pair_says(&pair, before & ~(virtq_addr_t)4095), 0u);
    }
    cr_assert_eq(pair.calls[0].first, 0u);
    cr_assert_eq(pair.calls[0].len, VIRTQ_ZPCI_LAST + 1);
    cr_assert_eq(lazy.usage.flushes, 2u);
    cr_assert_eq(lazy.usage.waiting, (uint64_t)PAGES);
    cr_assert_eq(virtq_zpci_lazy_flush(&lazy), 0);
    cr_assert_eq(lazy.usage.waiting, 0u);
    cr_assert_eq(pair.count, 3u);
    lazy_close();
}

Test(iommu_zpci_lazy, a_buffer_is_one_run_of_addresses_and_one_refresh_where_it_is_asked_for)
{
    struct spaces_buffer buffer;
    struct virtq_zpci_lazy_usage usage;

    lazy_open(VIRTQ_ZPCI_REFRESH_MAP, PAGES);
    spaces_segment(&buffer, 0, pair.stand.memory + DATA * 4096 + 7, 2 * 4096);
    spaces_segment(&buffer, 1, pair.stand.memory + (DATA + 9) * 4096, 10);
    cr_assert_eq(spaces_map(&lazy.space, &buffer, 1, 1, 1), VIRTQ_EFULL);
    cr_assert_eq(spaces_map(&lazy.space, &buffer, 0, 0, 1), VIRTQ_EINVAL);
    cr_assert_eq(spaces_map(&lazy.space, &buffer, 1, 1, 2), 0);
    cr_assert_eq(pair.count, 1u);
    cr_assert_eq(buffer.runs[0].addr, 0x7f007u);
    cr_assert_eq(buffer.runs[1].addr, 0x7f000u + 3 * 4096);
    cr_assert_eq(pair_finds(&pair, 0x81000), (DATA + 2) * 4096u | 1);
    cr_assert_eq(pair_finds(&pair, 0x82000), (DATA + 9) * 4096u | 3);
    virtq_zpci_lazy_read_usage(&lazy, &usage);
    cr_assert_eq(usage.mapped, 1u);
    spaces_unmap(&lazy.space, &buffer, 0);
    cr_assert_eq(pair.count, 1u, "taking it back is no call");
    cr_assert_eq(pair_finds(&pair, 0x81000), (DATA + 2) * 4096u | 1, "until everything is flushed");
    cr_assert_eq(virtq_zpci_lazy_flush(&lazy), 0);
    cr_assert_eq(pair_finds(&pair, 0x81000), 0u);
    lazy_close();
}

Test(iommu_zpci_lazy, shared_memory_stays_and_what_does_not_fit_is_said)
{
    struct spaces_buffer buffer;
    virtq_addr_t addr = 0;
    virtq_addr_t other = 0;

    lazy_open(0, PAGES);
    cr_assert_eq(virtq_space_share(&lazy.space, pair.stand.memory + DATA * 4096 + 8, 100 * 4096,
                                   SPACES_BOTH, &addr),
                 0);
    cr_assert_eq(addr, 0x7f008u);
    cr_assert_eq(pair_says(&pair, 0x7f000 + 100 * 4096), (DATA + 100) * 4096u | 3);
    cr_assert_eq(map_pages(&buffer, DATA, PAGES + 1), VIRTQ_ETOOBIG);
    cr_assert_eq(map_pages(&buffer, DATA, 30), VIRTQ_ENOMEM);
    cr_assert_eq(virtq_space_share(&lazy.space, pair.stand.memory, 30 * 4096, 1, &other),
                 VIRTQ_ENOMEM);
    cr_assert_eq(pair.count, 0u, "nothing waits, so nobody is asked");
    cr_assert_eq(virtq_space_share(&lazy.space, pair.stand.memory, 4096, 4, &other), VIRTQ_EINVAL);
    cr_assert_eq(virtq_space_share(&lazy.space, pair.stand.memory, 0, 1, &other), VIRTQ_EINVAL);
    cr_assert_eq(map_pages(&buffer, DATA, 29), 0);
    spaces_unmap(&lazy.space, &buffer, 0);
    virtq_space_unshare(&lazy.space, addr, 100 * 4096);
    cr_assert_eq(pair.guest.usage.pages, 0u);
    cr_assert_eq(map_pages(&buffer, DATA, PAGES), 0);
    cr_assert_eq(pair.count, 1u);
    spaces_unmap(&lazy.space, &buffer, 0);
    cr_assert_eq(lazy.usage.shortages, 2u);
    lazy_close();
}

Test(iommu_zpci_lazy, l4_a_refresh_that_fails_frees_no_address)
{
    struct spaces_buffer buffer;

    lazy_open(0, 64);
    cr_assert_eq(map_pages(&buffer, DATA, 40), 0);
    spaces_unmap(&lazy.space, &buffer, 0);
    pair_withhold(&pair, 2, VIRTQ_ZPCI_ERROR, VIRTQ_ZPCI_STATUS_IN_ERROR);
    cr_assert_eq(map_pages(&buffer, DATA, 40), VIRTQ_ENOMEM);
    cr_assert_eq(virtq_zpci_lazy_flush(&lazy), VIRTQ_EBROKEN);
    cr_assert_eq(lazy.usage.waiting, 40u);
    cr_assert_eq(map_pages(&buffer, DATA, 24), 0, "what never was in use is free");
    cr_assert_eq(buffer.runs[0].addr, 0x7f005u + 40 * 4096);
    spaces_unmap(&lazy.space, &buffer, 0);
    cr_assert_eq(map_pages(&buffer, DATA, 64), 0);
    spaces_unmap(&lazy.space, &buffer, 0);
    lazy_close();
}

Test(iommu_zpci_lazy, memory_without_an_absolute_address_is_not_mapped)
{
    struct spaces_buffer buffer;
    unsigned char own[16];

    lazy_open(0, 64);
    spaces_segment(&buffer, 0, own, 16);
    cr_assert_eq(spaces_map(&lazy.space, &buffer, 1, 0, 1), VIRTQ_EFAULT);
    cr_assert_eq(lazy.usage.mapped, 0u);
    lazy_close();
}

Test(iommu_zpci_lazy, a_config_that_lacks_something_is_refused)
{
    lazy_open(0, 64);
    cr_assert_eq(virtq_zpci_lazy_size(0x1000, 0xfff), SIZE_MAX);
    cr_assert_eq(virtq_zpci_lazy_size(0x800, 0xfff), SIZE_MAX);
    cr_assert_eq(virtq_zpci_lazy_size(0, 0x7ff), SIZE_MAX);
    cr_assert_eq(virtq_zpci_lazy_size(0, VIRTQ_ZPCI_LAST + 4096), SIZE_MAX);
    for (unsigned i = 0; i < 6; i++) {
        struct virtq_zpci_lazy_config config = VIRTQ_ZPCI_LAZY_CONFIG_INIT;
        struct virtq_zpci_lazy other;

        config.struct_size -= i == 0;
        config.guest = i == 1 ? NULL : &pair.guest;
        config.last = i == 2 ? 0x4000 : 0x3fff;
        config.bitmaps = i == 3 ? NULL : i == 4 ? (char *)bitmaps + 4 : bitmaps;
        config.bitmaps_size = i == 5 ? 23 : 24;
        cr_assert_eq(virtq_zpci_lazy_init(&other, &config), VIRTQ_EINVAL, "row %u", i);
    }
    lazy_close();
}

/* Against one mark a page: free, in use, or unmapped and not refreshed. */
Test(iommu_zpci_lazy, l4_random_buffers_never_get_an_address_that_waits)
{
    const unsigned rounds = getenv("VIRTQ_TEST_HURRIED") != NULL ? 3000 : 50000;
    static struct spaces_buffer buffers[8];
    static unsigned char marks[PAGES];
    unsigned sizes[8] = {0};
    uint64_t seed = 5;

    (void)printf("seed %llu\n", (unsigned long long)seed);
    lazy_open(0, PAGES);
    for (unsigned round = 0; round < rounds; round++) {
        unsigned which = (unsigned)random_below(&seed, 8);
        unsigned calls = pair.count;
        unsigned at;

        if (sizes[which] != 0) {
            at = (unsigned)((buffers[which].runs[0].addr - 0x7f000) / 4096);
            spaces_unmap(&lazy.space, &buffers[which], 0);
            memset(marks + at, 2, sizes[which]);
            sizes[which] = 0;
            continue;
        }
        sizes[which] = 1 + (unsigned)random_below(&seed, random_below(&seed, 5) == 0 ? 70 : 9);
        if (map_pages(&buffers[which], DATA + which, sizes[which]) != 0) {
            sizes[which] = 0;
        }
        for (unsigned i = 0; i < PAGES && pair.count != calls; i++) {
            marks[i] = marks[i] == 2 ? 0 : marks[i];
        }
        at = (unsigned)((buffers[which].runs[0].addr - 0x7f000) / 4096);
        for (unsigned i = 0; i < sizes[which]; i++) {
            cr_assert_eq(marks[at + i], 0, "round %u", round);
            marks[at + i] = 1;
        }
    }
    cr_assert_gt(lazy.usage.flushes, rounds / 100);
    lazy_close();
}

/* As another thread's would be, while everything is refreshed. */
static struct spaces_buffer meanwhile;
static int answers[2];

static uint32_t map_meanwhile(void *context, uint64_t function, virtq_addr_t first, uint64_t len,
                              uint32_t *status)
{
    answers[0] = map_pages(&meanwhile, DATA, 64);
    answers[1] = virtq_zpci_lazy_flush(&lazy);
    return pair_rpcit(context, function, first, len, status);
}

Test(iommu_zpci_lazy, l4_what_the_refresh_under_way_is_for_is_not_free_yet)
{
    struct spaces_buffer buffer;

    lazy_open(0, 64);
    pair.guest.rpcit = map_meanwhile;
    pair.guest.busy_tries = 3;
    cr_assert_eq(map_pages(&buffer, DATA, 64), 0);
    spaces_unmap(&lazy.space, &buffer, 0);
    cr_assert_eq(map_pages(&buffer, DATA, 64), 0);
    cr_assert_eq(answers[0], VIRTQ_ENOMEM);
    cr_assert_eq(answers[1], VIRTQ_EBUSY);
    spaces_unmap(&lazy.space, &buffer, 0);
    lazy_close();
}

struct owner {
    pthread_t thread;
    unsigned number;
    unsigned short_of;
};

static void *run(void *context)
{
    struct owner *owner = context;
    const unsigned rounds = getenv("VIRTQ_TEST_HURRIED") != NULL ? 300 : 2000;
    static struct spaces_buffer buffers[3];

    for (unsigned i = 0; i < rounds; i++) {
        unsigned data = DATA + owner->number * 64 + i % 32;

        if (map_pages(&buffers[owner->number], data, 1 + i % 7) != 0) {
            owner->short_of++;
            continue;
        }
        cr_assert_eq(pair_says(&pair, buffers[owner->number].runs[0].addr & ~(virtq_addr_t)4095),
                     data * 4096u | 1);
        spaces_unmap(&lazy.space, &buffers[owner->number], 0);
    }
    return NULL;
}

Test(iommu_zpci_lazy, l5_threads_share_the_space_and_its_refreshes)
{
    static struct owner owners[3];

    lazy_open(0, PAGES);
    for (unsigned i = 0; i < 3; i++) {
        owners[i].number = i;
        cr_assert_eq(pthread_create(&owners[i].thread, NULL, run, &owners[i]), 0);
    }
    for (unsigned i = 0; i < 3; i++) {
        cr_assert_eq(pthread_join(owners[i].thread, NULL), 0);
    }
    cr_assert_eq(lazy.usage.mapped, 0u);
    cr_assert_eq(pair.guest.usage.pages, 0u);
    cr_assert_gt(lazy.usage.flushes, 1u);
    cr_assert_eq(virtq_zpci_lazy_flush(&lazy), 0);
    cr_assert_eq(lazy.usage.waiting, 0u);
    lazy_close();
}
