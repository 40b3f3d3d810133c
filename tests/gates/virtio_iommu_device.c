/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief Work for an instruction counter: a virtio-iommu device whose domain is filled to 65536
 * mappings, and then translates.
 *
 * Usage: virtio_iommu_device random|up|down MAPS CHURN TRANSLATIONS WINDOWS, and it exits with 1 if
 * an answer is wrong. MAPS mappings come in that order; 64 of them go and come again CHURN times;
 * then addresses are translated, to guest-physical ones and to memory.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "virtq/iommu/virtio_iommu.h"
#include "virtq/iommu/virtio_iommu_device.h"
#include "virtq/space/direct.h"

enum { MAPPINGS = 65536, PAGE = 4096 };

static unsigned order[MAPPINGS];
static unsigned char page[PAGE];
static struct virtq_virtio_iommu_device *iommu;
static struct virtq_virtio_iommu_endpoint endpoint;
static uint64_t state = 88172645463325252u;

static void check(int ok, const char *what)
{
    if (!ok) {
        (void)fprintf(stderr, "virtio_iommu_device: %s\n", what);
        exit(1);
    }
}

static unsigned below(unsigned count)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (unsigned)(state % count);
}

static void arrange(const char *how)
{
    unsigned i;

    for (i = 0; i < MAPPINGS; i++) {
        order[i] = strcmp(how, "down") == 0 ? MAPPINGS - 1 - i : i;
    }
    for (i = MAPPINGS - 1; i > 0 && strcmp(how, "random") == 0; i--) {
        const unsigned j = below(i + 1);
        const unsigned other = order[i];

        order[i] = order[j];
        order[j] = other;
    }
}

/* A request as it comes off a queue: in two pieces. */
struct popped {
    union {
        struct virtio_iommu_req_map map;
        struct virtio_iommu_req_unmap unmap;
        struct virtio_iommu_req_attach attach;
    } request;
    struct virtio_iommu_req_tail tail;
    struct virtq_piece pieces[2];
    struct virtq_chain chain;
};

static void prepare(struct popped *popped, uint32_t length)
{
    popped->pieces[0] = (struct virtq_piece){.base = &popped->request, .len = length};
    popped->pieces[1] = (struct virtq_piece){.base = &popped->tail, .len = sizeof(popped->tail)};
    popped->chain = (struct virtq_chain){.pieces = popped->pieces,
                                         .readable_bytes = length,
                                         .writable_bytes = sizeof(popped->tail),
                                         .readable = 1,
                                         .writable = 1};
    popped->tail.status = 0xee;
}

static void handle(struct popped *popped)
{
    uint32_t used;

    check(virtq_virtio_iommu_device_handle(iommu, &popped->chain, &used) == 0 && used == 4,
          "handle");
    check(popped->tail.status == VIRTIO_IOMMU_S_OK, "status");
}

/* Neighbours neither touch nor lead to neighbours, so that each is a window of its own. */
static uint64_t virt(unsigned i)
{
    return (uint64_t)i * 2 * PAGE;
}

static void prepare_map(struct popped *popped, unsigned i)
{
    popped->request.map = (struct virtio_iommu_req_map){.head = {VIRTIO_IOMMU_T_MAP, {0, 0, 0}},
                                                        .domain = 1,
                                                        .virt_start = virt(i),
                                                        .virt_end = virt(i) + PAGE - 1,
                                                        .phys_start = 0,
                                                        .flags = 3};
    prepare(popped, offsetof(struct virtio_iommu_req_map, tail));
}

static void map(unsigned i)
{
    struct popped popped;

    prepare_map(&popped, i);
    handle(&popped);
}

static void unmap(unsigned i)
{
    struct popped popped;

    popped.request.unmap =
        (struct virtio_iommu_req_unmap){.head = {VIRTIO_IOMMU_T_UNMAP, {0, 0, 0}},
                                        .domain = 1,
                                        .virt_start = virt(i),
                                        .virt_end = virt(i) + PAGE - 1};
    prepare(&popped, offsetof(struct virtio_iommu_req_unmap, tail));
    handle(&popped);
}

/* A function of its own, so that it can be counted: a handful of instructions a request are the
 * loop's. */
__attribute__((noinline)) unsigned map_again(const struct popped *popped, unsigned count);

unsigned map_again(const struct popped *popped, unsigned count)
{
    unsigned written = 0;
    unsigned i;

    for (i = 0; i < count; i++) {
        uint32_t used;

        (void)!virtq_virtio_iommu_device_handle(iommu, &popped[i].chain, &used);
        written += used;
    }
    return written;
}

/* Takes mappings away at random, 64 at a time, and maps them again. */
static void churn(unsigned rounds)
{
    static struct popped popped[64];
    unsigned i;

    while (rounds-- > 0) {
        for (i = 0; i < 64; i++) {
            /* Each from a part of its own, so that none comes twice. */
            const unsigned which = i * (MAPPINGS / 64) + below(MAPPINGS / 64);

            unmap(which);
            prepare_map(&popped[i], which);
        }
        check(map_again(popped, 64) == 64 * sizeof(popped->tail), "mapped again");
        for (i = 0; i < 64; i++) {
            check(popped[i].tail.status == VIRTIO_IOMMU_S_OK, "status");
        }
    }
}

static void open_device(struct virtq_direct *memory)
{
    struct virtq_virtio_iommu_device_config config = VIRTQ_VIRTIO_IOMMU_DEVICE_CONFIG_INIT;
    const struct virtq_virtio_iommu_endpoint_config own = VIRTQ_VIRTIO_IOMMU_ENDPOINT_CONFIG_INIT;
    const struct virtq_region region = {0, PAGE - 1, page, 3};
    struct popped attach;
    static struct virtq_region regions[1];
    size_t size;

    regions[0] = region;
    check(virtq_direct_init_regions(memory, regions, 1) == 0, "memory");
    config.mappings = MAPPINGS;
    config.memory = &memory->space;
    size = virtq_virtio_iommu_device_size(&config);
    check(virtq_virtio_iommu_device_init(aligned_alloc(VIRTQ_CACHE_LINE, size), size, &config,
                                         &iommu) == 0,
          "device");
    check(virtq_virtio_iommu_device_negotiate(iommu, config.features) == 0, "features");
    check(virtq_virtio_iommu_device_add(iommu, &endpoint, &own) == 0, "endpoint");
    attach.request.attach =
        (struct virtio_iommu_req_attach){.head = {VIRTIO_IOMMU_T_ATTACH, {0, 0, 0}}, .domain = 1};
    prepare(&attach, offsetof(struct virtio_iommu_req_attach, tail));
    handle(&attach);
}

int main(int argc, char **argv)
{
    static struct virtq_direct memory;
    unsigned counts[4];
    unsigned i;

    check(argc == 6, "usage: virtio_iommu_device random|up|down MAPS CHURN TRANSLATIONS WINDOWS");
    for (i = 0; i < 4; i++) {
        counts[i] = (unsigned)strtoul(argv[2 + i], NULL, 10);
    }
    check(counts[0] <= MAPPINGS, "too many");
    open_device(&memory);
    arrange(argv[1]);
    for (i = 0; i < counts[0]; i++) {
        map(order[i]);
    }
    churn(counts[1]);
    for (i = 0; i < counts[2]; i++) {
        struct virtq_virtio_iommu_mapping mapping;
        const unsigned which = order[below(counts[0])];

        check(virtq_virtio_iommu_endpoint_translate(&endpoint, virt(which) + 77,
                                                    VIRTQ_PERMISSION_READ, &mapping) == 0,
              "translate");
        check(mapping.first == virt(which) && mapping.phys == 0, "another mapping");
    }
    for (i = 0; i < counts[3]; i++) {
        void *base;

        check(virtq_space_translate(&endpoint.space, virt(order[below(counts[0])]) + 77, 1,
                                    VIRTQ_PERMISSION_READ, &base) == 1,
              "window");
        check(base == page + 77, "another byte");
    }
    return 0;
}
