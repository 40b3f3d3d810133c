/* SPDX-License-Identifier: BSD-3-Clause */
/* A guest's memory at absolute addresses of its own, tables in it that the test writes byte by
 * byte, and a host's end on it that remembers what it has pinned. */
#ifndef VIRTQ_TESTS_IOMMU_ZPCI_FIXTURE_H
#define VIRTQ_TESTS_IOMMU_ZPCI_FIXTURE_H

#include <stdbool.h>
#include <stdlib.h>

#include "support/spaces.h"
#include "virtq/iommu/zpci_host.h"
#include "virtq/space/direct.h"

#define ZPCI_ABSOLUTE ((uint64_t)0x7fff0000)
#define ZPCI_SIZE ((size_t)0x800000)

/* Where the tables lie in the guest's memory, and its pages of data. */
#define ZPCI_REGIONS 0u
#define ZPCI_SEGMENTS(n) (0x4000u * (1u + (n)))
#define ZPCI_PAGES(n) (0x40000u + 0x800u * (n))
#define ZPCI_DATA(n) (0x100000u + 0x1000u * (n))

#define ZPCI_HANDLE 0x81020304u

enum { ZPCI_PINS = 2048 };

struct zpci_stand {
    unsigned char *memory;
    struct virtq_region region;
    struct virtq_direct direct;
    struct virtq_zpci_host_config config;
    struct virtq_zpci_host host;
    void *tables;
    unsigned char pins[ZPCI_PINS]; /* of each page, by its number in the memory */
    unsigned pinned;
    unsigned pin_calls;
    int pin_error; /* what the next pin answers */
};

static inline int zpci_pin(void *context, uint64_t absolute, uint64_t len, uint32_t permissions)
{
    struct zpci_stand *stand = context;
    int error = stand->pin_error;

    cr_assert(permissions != 0);
    cr_assert(absolute >= ZPCI_ABSOLUTE && absolute - ZPCI_ABSOLUTE + len <= ZPCI_SIZE);
    stand->pin_error = 0;
    stand->pin_calls++;
    for (uint64_t at = 0; at < len && error == 0; at += 4096) {
        stand->pins[(absolute - ZPCI_ABSOLUTE + at) / 4096]++;
        stand->pinned++;
    }
    return error;
}

static inline void zpci_unpin(void *context, uint64_t absolute, uint64_t len, uint32_t permissions)
{
    struct zpci_stand *stand = context;

    cr_assert(permissions != 0);
    for (uint64_t at = 0; at < len; at += 4096) {
        unsigned char *pin = &stand->pins[(absolute - ZPCI_ABSOLUTE + at) / 4096];

        cr_assert(*pin > 0, "unpinned what was not pinned");
        --*pin;
        stand->pinned--;
    }
}

/* Big-endian, without the library's help. */
static inline void zpci_put(struct zpci_stand *stand, uint32_t table, unsigned slot, uint64_t entry)
{
    unsigned char *at = stand->memory + table + (size_t)slot * 8;

    for (unsigned i = 0; i < 8; i++) {
        at[i] = (unsigned char)(entry >> (56 - 8 * i));
    }
}

static inline uint64_t zpci_get(const struct zpci_stand *stand, uint32_t table, unsigned slot)
{
    const unsigned char *at = stand->memory + table + (size_t)slot * 8;
    uint64_t entry = 0;

    for (unsigned i = 0; i < 8; i++) {
        entry = entry << 8 | at[i];
    }
    return entry;
}

static inline void zpci_fill(struct zpci_stand *stand, uint32_t table, unsigned slots,
                             uint64_t entry)
{
    for (unsigned i = 0; i < slots; i++) {
        zpci_put(stand, table, i, entry);
    }
}

/* Region n leads to segment table n, segment n of region 0 to page table n; all else nowhere. */
static inline void zpci_lead(struct zpci_stand *stand, unsigned regions, unsigned segments)
{
    zpci_fill(stand, ZPCI_REGIONS, 2048, 0x20);
    for (unsigned i = 0; i < regions; i++) {
        zpci_fill(stand, ZPCI_SEGMENTS(i), 2048, 0x20);
        zpci_put(stand, ZPCI_REGIONS, i, (ZPCI_ABSOLUTE + ZPCI_SEGMENTS(i)) | 0x7);
    }
    for (unsigned i = 0; i < segments; i++) {
        zpci_fill(stand, ZPCI_PAGES(i), 256, 0x400);
        zpci_put(stand, ZPCI_SEGMENTS(0), i, ZPCI_ABSOLUTE + ZPCI_PAGES(i));
    }
}

static inline void zpci_page(struct zpci_stand *stand, unsigned page, unsigned data, uint64_t flags)
{
    zpci_put(stand, ZPCI_PAGES(page / 256), page % 256, (ZPCI_ABSOLUTE + ZPCI_DATA(data)) | flags);
}

/* Called before zpci_start(), which takes what is in `config` then. */
static inline void zpci_open(struct zpci_stand *stand)
{
    const struct virtq_zpci_host_config config = VIRTQ_ZPCI_HOST_CONFIG_INIT;

    memset(stand, 0, sizeof(*stand));
    stand->memory = aligned_alloc(0x10000, ZPCI_SIZE);
    cr_assert_not_null(stand->memory);
    memset(stand->memory, 0, ZPCI_SIZE);
    stand->region = (struct virtq_region){ZPCI_ABSOLUTE, ZPCI_ABSOLUTE + ZPCI_SIZE - 1,
                                          stand->memory, SPACES_BOTH};
    cr_assert_eq(virtq_direct_init_regions(&stand->direct, &stand->region, 1), 0);
    stand->config = config;
    stand->config.memory = &stand->direct.space;
    stand->config.regions = 3;
    stand->config.segments = 8;
    stand->config.handle = ZPCI_HANDLE;
    stand->config.context = stand;
    stand->config.pin = zpci_pin;
    stand->config.unpin = zpci_unpin;
    zpci_lead(stand, 1, 4);
}

static inline void zpci_start(struct zpci_stand *stand)
{
    struct virtq_zpci_host_config *config = &stand->config;

    config->tables_size = virtq_zpci_host_size(config->regions, config->segments);
    config->tables = stand->tables = malloc(config->tables_size);
    cr_assert_not_null(config->tables);
    cr_assert_eq(virtq_zpci_host_init(&stand->host, config), 0);
    cr_assert_eq(virtq_zpci_host_register(&stand->host, config->first, config->last,
                                          (ZPCI_ABSOLUTE + ZPCI_REGIONS) | 0x804),
                 0);
}

static inline void zpci_close(struct zpci_stand *stand)
{
    virtq_zpci_host_destroy(&stand->host);
    cr_assert_eq(stand->pinned, 0u, "pages stay pinned");
    cr_assert_null(stand->direct.space.listeners);
    free(stand->tables);
    free(stand->memory);
}

static inline struct virtq_zpci_answer zpci_refresh(struct zpci_stand *stand, virtq_addr_t first,
                                                    uint64_t len)
{
    struct virtq_zpci_answer answer;

    virtq_zpci_host_refresh(&stand->host, (uint64_t)ZPCI_HANDLE << 32, first, len, &answer);
    return answer;
}

/* The refresh has to succeed. */
static inline void zpci_done(struct zpci_stand *stand, virtq_addr_t first, uint64_t len)
{
    struct virtq_zpci_answer answer = zpci_refresh(stand, first, len);

    cr_assert_eq(answer.condition, (uint32_t)VIRTQ_ZPCI_DONE);
    cr_assert_eq(answer.status, (uint32_t)VIRTQ_ZPCI_STATUS_NONE);
    cr_assert_eq(answer.event, (uint32_t)VIRTQ_ZPCI_EVENT_NONE);
}

/* Where an address leads: the offset in the guest's memory, or an error. */
static inline int64_t zpci_where(struct zpci_stand *stand, virtq_addr_t addr, uint32_t permission)
{
    void *base = NULL;
    int64_t some = virtq_space_translate(&stand->host.space, addr, 1, permission, &base);

    return some < 0 ? some : (int64_t)((unsigned char *)base - stand->memory);
}

#endif
