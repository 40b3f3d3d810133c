/* SPDX-License-Identifier: BSD-3-Clause */
/* A guest's end and a host's on one memory, and the instruction between them, which can be made to
 * answer something else. */
#ifndef VIRTQ_TESTS_IOMMU_ZPCI_PAIR_H
#define VIRTQ_TESTS_IOMMU_ZPCI_PAIR_H

#include "virtq/iommu/zpci_guest.h"
#include "zpci_fixture.h"

/* Where the guest has its tables: crooked, for they align themselves. */
#define PAIR_TABLES ((size_t)0x600000 + 0x1238)
#define PAIR_ROOM (ZPCI_SIZE - PAIR_TABLES)

enum { PAIR_CALLS = 64 };

struct zpci_pair {
    struct zpci_stand stand;
    struct virtq_zpci_guest_config config;
    struct virtq_zpci_guest guest;
    struct virtq_iommu_backend backend;
    void *books;
    struct {
        virtq_addr_t first;
        uint64_t len;
    } calls[PAIR_CALLS]; /* the last ones */
    unsigned count;
    unsigned withheld; /* so many of the next calls are answered below, without the host */
    uint32_t condition;
    uint32_t status;
};

static inline uint32_t pair_rpcit(void *context, uint64_t function, virtq_addr_t first,
                                  uint64_t len, uint32_t *status)
{
    struct zpci_pair *pair = context;
    struct virtq_zpci_answer answer;

    cr_assert(first % 4096 == 0 && len % 4096 == 0 && len != 0);
    pair->calls[pair->count % PAIR_CALLS].first = first;
    pair->calls[pair->count % PAIR_CALLS].len = len;
    pair->count++;
    if (pair->withheld > 0) {
        pair->withheld--;
        *status = pair->status;
        return pair->condition;
    }
    virtq_zpci_host_refresh(&pair->stand.host, function, first, len, &answer);
    *status = answer.status;
    return answer.condition;
}

static inline void pair_withhold(struct zpci_pair *pair, unsigned count, uint32_t condition,
                                 uint32_t status)
{
    pair->withheld = count;
    pair->condition = condition;
    pair->status = status;
}

static inline void pair_open(struct zpci_pair *pair, uint32_t flags)
{
    const struct virtq_zpci_guest_config config = VIRTQ_ZPCI_GUEST_CONFIG_INIT;

    memset(pair, 0, sizeof(*pair));
    zpci_open(&pair->stand);
    pair->config = config;
    pair->config.memory = &pair->stand.region;
    pair->config.memory_count = 1;
    pair->config.flags = flags;
    pair->config.tables = pair->stand.memory + PAIR_TABLES;
    pair->config.segment_tables = 2;
    pair->config.page_tables = 8;
    pair->config.handle = ZPCI_HANDLE;
    pair->config.context = pair;
    pair->config.rpcit = pair_rpcit;
}

static inline void pair_start(struct zpci_pair *pair)
{
    struct virtq_zpci_guest_config *config = &pair->config;

    config->tables_size = virtq_zpci_guest_tables_size(config->segment_tables, config->page_tables);
    config->books_size = virtq_zpci_guest_books_size(config->segment_tables, config->page_tables);
    cr_assert_leq(config->tables_size, PAIR_ROOM);
    config->books = pair->books = malloc(config->books_size);
    cr_assert_not_null(pair->books);
    cr_assert_eq(virtq_zpci_guest_init(&pair->guest, config), 0);
    virtq_zpci_guest_backend(&pair->guest, &pair->backend);
    zpci_start(&pair->stand);
    cr_assert_eq(virtq_zpci_host_unregister(&pair->stand.host), 0);
    cr_assert_eq(virtq_zpci_host_register(&pair->stand.host, config->first, config->last,
                                          virtq_zpci_guest_anchor(&pair->guest)),
                 0);
}

static inline void pair_close(struct zpci_pair *pair)
{
    zpci_close(&pair->stand);
    free(pair->books);
}

/* Pages of the memory at an address. */
static inline struct virtq_region pair_range(struct zpci_pair *pair, virtq_addr_t first,
                                             unsigned pages, unsigned data, uint32_t permissions)
{
    return (struct virtq_region){first, first + pages * (uint64_t)4096 - 1,
                                 pair->stand.memory + (size_t)data * 4096, permissions};
}

static inline int pair_map(struct zpci_pair *pair, const struct virtq_region *ranges,
                           unsigned count)
{
    return pair->backend.map(&pair->guest, ranges, count);
}

static inline int pair_unmap(struct zpci_pair *pair, const struct virtq_region *ranges,
                             unsigned count)
{
    return pair->backend.unmap(&pair->guest, ranges, count);
}

static inline int pair_flush(struct zpci_pair *pair, const struct virtq_region *ranges,
                             unsigned count)
{
    return pair->backend.flush(&pair->guest, ranges, count);
}

/* What the tables say of a page, as the format has it: 0, or its place in the memory with 1 for
 * reading and 2 for writing. Read byte by byte, with nothing of the library. */
static inline uint64_t pair_says(const struct zpci_pair *pair, virtq_addr_t addr)
{
    const struct zpci_stand *stand = &pair->stand;
    uint64_t at = (virtq_zpci_guest_anchor(&pair->guest) & ~(uint64_t)0xfff) - ZPCI_ABSOLUTE;
    uint64_t entry = zpci_get(stand, (uint32_t)at, (unsigned)(addr >> 31));
    uint64_t guarded = entry;

    if ((entry & 0x20) != 0) {
        return 0;
    }
    cr_assert_eq(entry & 0xff, 0x7u);
    at = (entry & ~(uint64_t)0x3fff) - ZPCI_ABSOLUTE;
    entry = zpci_get(stand, (uint32_t)at, addr >> 20 & 0x7ff);
    guarded |= entry;
    if ((entry & 0x20) != 0) {
        return 0;
    }
    cr_assert_eq(entry & 0xc, 0u);
    if ((entry & 0x400) != 0) {
        at = (entry & ~(uint64_t)0xfffff) + (addr & 0xff000);
    } else {
        at = (entry & ~(uint64_t)0x7ff) - ZPCI_ABSOLUTE;
        entry = zpci_get(stand, (uint32_t)at, addr >> 12 & 0xff);
        guarded |= entry;
        if ((entry & 0x400) != 0) {
            return 0;
        }
        at = entry & ~(uint64_t)0xfff;
    }
    return (at - ZPCI_ABSOLUTE) | 1 | ((guarded & 0x200) != 0 ? 0 : 2);
}

/* What the device finds at a page, in the same words. */
static inline uint64_t pair_finds(struct zpci_pair *pair, virtq_addr_t addr)
{
    struct virtq_space *space = &pair->stand.host.space;
    struct virtq_window window;

    if (space->ops->window(space, addr, SPACES_READ, &window) != 0) {
        return 0;
    }
    return (uint64_t)(window.base + (addr - window.first) - pair->stand.memory) |
           window.permissions;
}

#endif
