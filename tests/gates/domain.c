/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief Work for an instruction counter: pages are mapped one by one and unmapped by lists, as a
 * lazy queue does it, in steady state.
 *
 * Usage: domain ROUNDS, and it exits with 1 if anything fails.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "virtq/iommu/domain.h"

enum { PAGE = 4096, LIST = 128, LIVE = 3 * LIST, SHARDS = 4 };

static unsigned char room[VIRTQ_DOMAIN_SHARDS_SIZE(SHARDS, LIVE)];
static struct virtq_domain domain;
static struct virtq_iommu_backend backend;
static struct virtq_region ranges[LIVE];

static void check(int ok, const char *what)
{
    if (!ok) {
        (void)fprintf(stderr, "domain: %s\n", what);
        exit(1);
    }
}

static void open_domain(void)
{
    struct virtq_domain_config config = VIRTQ_DOMAIN_CONFIG_INIT;
    unsigned i;

    config.last = (virtq_addr_t)1 << 40;
    config.shards = SHARDS;
    config.capacity = LIVE;
    config.memory = room;
    config.memory_size = sizeof(room);
    check(virtq_domain_init_shards(&domain, &config) == 0, "domain");
    virtq_domain_backend(&domain, &backend);
    for (i = 0; i < LIVE; i++) {
        /* Addresses of a magazine are in no order: an odd factor visits each page once. */
        unsigned page = i * 101 % LIVE;

        ranges[i].first = (virtq_addr_t)page * PAGE;
        ranges[i].last = ranges[i].first + PAGE - 1;
        ranges[i].base = (void *)((uintptr_t)(2 * page + 1) * PAGE);
        ranges[i].permissions = VIRTQ_PERMISSION_READ;
    }
}

int main(int argc, char **argv)
{
    unsigned rounds = argc == 2 ? (unsigned)strtoul(argv[1], NULL, 10) : 0;
    unsigned round;
    unsigned i;

    check(rounds != 0, "usage: domain ROUNDS");
    open_domain();
    for (i = 0; i < LIVE - LIST; i++) {
        check(backend.map(backend.context, &ranges[i], 1) == 0, "map");
    }
    for (round = 2; round < rounds + 2; round++) {
        struct virtq_region *list = ranges + (size_t)(round % 3) * LIST;

        for (i = 0; i < LIST; i++) {
            check(backend.map(backend.context, &list[i], 1) == 0, "map");
        }
        list = ranges + (size_t)((round + 1) % 3) * LIST;
        check(backend.unmap(backend.context, list, LIST) == 0, "unmap");
        check(backend.flush(backend.context, list, LIST) == 0, "flush");
    }
    return 0;
}
