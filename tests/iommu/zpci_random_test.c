/* SPDX-License-Identifier: BSD-3-Clause */
/* A million random maps and unmaps in the tables, with refreshes of some of them: after one the
 * device finds what the tables say, and where it was withheld what they said before. M7. */
#include <stdio.h>

#include "support/random.h"
#include "zpci_pair.h"

enum { PAGES = 1024, LONG = 64, FIRST = 0x80, DATA = 0x100, DATA_PAGES = 256 };

static struct zpci_pair pair;
static uint64_t tables[PAGES]; /* what they should say, as pair_says() */
static uint64_t known[PAGES];  /* what the device should find */
static unsigned length[PAGES]; /* of the mapping that begins there */
static unsigned differing;     /* pages where these differed when they were compared */

static virtq_addr_t address(unsigned page)
{
    return (FIRST + (virtq_addr_t)page) * 4096;
}

static unsigned room_at(unsigned page, unsigned most)
{
    unsigned count = 0;

    while (count < most && page + count < PAGES && tables[page + count] == 0) {
        count++;
    }
    return count;
}

static void map_some(uint64_t *seed, unsigned page)
{
    unsigned count = room_at(page, 1 + (unsigned)random_below(seed, LONG));
    unsigned data = (unsigned)random_below(seed, DATA_PAGES);
    uint32_t may = random_below(seed, 2) == 0 ? SPACES_READ : SPACES_BOTH;
    struct virtq_region range = pair_range(&pair, address(page), count, DATA + data, may);

    if (count == 0) {
        range.last = range.first + 4095;
        cr_assert_eq(pair_map(&pair, &range, 1), VIRTQ_EINVAL);
        return;
    }
    cr_assert_eq(pair_map(&pair, &range, 1), 0);
    length[page] = count;
    for (unsigned i = 0; i < count; i++) {
        tables[page + i] = (uint64_t)(DATA + data + i) * 4096 | may;
    }
}

static void unmap_some(unsigned page)
{
    struct virtq_region range = pair_range(&pair, address(page), length[page], 0, 0);

    cr_assert_eq(pair_unmap(&pair, &range, 1), 0);
    memset(&tables[page], 0, length[page] * sizeof(tables[0]));
    length[page] = 0;
}

static void refresh_some(unsigned page, unsigned count)
{
    cr_assert_eq(virtq_zpci_guest_refresh(&pair.guest, address(page), address(page + count) - 1),
                 0);
    memcpy(&known[page], &tables[page], count * sizeof(known[0]));
}

static void compare(unsigned page, unsigned count)
{
    for (unsigned i = page; i < page + count; i++) {
        cr_assert_eq(pair_says(&pair, address(i)), tables[i], "page %u", i);
        cr_assert_eq(pair_finds(&pair, address(i)), known[i], "page %u", i);
        differing += tables[i] != known[i];
    }
}

Test(iommu_zpci_random, m7_the_device_finds_the_tables_as_they_were_at_the_last_refresh)
{
    const unsigned long rounds = getenv("VIRTQ_TEST_HURRIED") != NULL ? 20000 : 1000000;
    uint64_t seed = 7;

    (void)printf("seed %llu\n", (unsigned long long)seed);
    pair_open(&pair, 0);
    pair_start(&pair);
    for (unsigned long round = 0; round < rounds; round++) {
        unsigned page = (unsigned)random_below(&seed, PAGES);
        unsigned kind = (unsigned)random_below(&seed, 1000);

        if (kind < 900 && length[page] != 0) {
            unmap_some(page);
        } else if (kind < 900) {
            map_some(&seed, page);
        } else if (kind < 998) {
            unsigned count = 1 + (unsigned)random_below(&seed, 16);

            count = count < PAGES - page ? count : PAGES - page;
            refresh_some(page, count);
            compare(page, count);
        } else if (kind < 999) {
            compare(0, PAGES);
        } else {
            refresh_some(0, PAGES);
            compare(0, PAGES);
        }
    }
    cr_assert_gt(differing, rounds / 10, "enough was withheld");
    cr_assert_eq(virtq_zpci_host_unregister(&pair.stand.host), 0);
    pair_close(&pair);
}
