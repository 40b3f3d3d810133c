/* SPDX-License-Identifier: BSD-3-Clause */
/* A device that reaches a pool in system memory and carries a region of its own: one request has
 * its header staged in the pool, its payload as it lies in the region. */
#include "ends.h"

enum { REGION_SIZE = 16 * POOL_PAGE };

/* Where queues find the region: its own offsets begin at 0. */
#define REGION_FIRST (UINT64_C(1) << 40)

struct both {
    struct pool pool;
    struct block block; /* The region. */
    struct virtq_bar bars[2];
    struct virtq_mux_route route;
    struct virtq_mux driver_mux;
    struct virtq_mux device_mux;
    struct virtq_driver_config config;
    struct virtq_driver *driver;
    struct virtq_device *device;
    void *memory[2];
};

static void open_mux(struct both *b)
{
    const uint32_t both = VIRTQ_PERMISSION_READ | VIRTQ_PERMISSION_WRITE;
    struct virtq_mux_config config = VIRTQ_MUX_CONFIG_INIT;
    struct virtq_mux_member members[] = {
        {b->pool.driver.space, pool_first(&b->pool), pool_last(&b->pool), pool_first(&b->pool),
         both},
        {&b->bars[0].space, REGION_FIRST, REGION_FIRST + REGION_SIZE - 1, 0, both}};

    cr_assert_eq(virtq_bar_init(&b->bars[0], b->block.at, REGION_SIZE, both, 0), 0);
    cr_assert_eq(virtq_bar_init(&b->bars[1], b->block.view, REGION_SIZE, both, 0), 0);
    b->route.first = (uintptr_t)b->block.at;
    b->route.last = b->route.first + REGION_SIZE - 1;
    b->route.member = 1;
    config.members = members;
    config.member_count = 2;
    config.routes = &b->route;
    config.route_count = 1;
    config.other = 0;
    cr_assert_eq(virtq_mux_init(&b->driver_mux, &config), 0);
    members[0].space = b->pool.device.space;
    members[1].space = &b->bars[1].space;
    config.route_count = 0;
    cr_assert_eq(virtq_mux_init(&b->device_mux, &config), 0);
}

static struct both *open_both(uint32_t flags, bool packed, bool tables)
{
    struct both *b = calloc(1, sizeof(*b));
    struct virtq_area_addresses addresses;
    struct virtq_device_config device;
    size_t size;

    cr_assert_not_null(b);
    pool_open(&b->pool, VIRTQ_RESTRICTED_SYSTEM, flags);
    block_init(&b->block, REGION_SIZE, POOL_PAGE, true);
    open_mux(b);
    b->config = pool_queue(packed, ENDS_SIZE, tables);
    /* Ring and tables lie in the pool; the queue itself is on both. */
    b->config.space = &b->driver_mux.space;
    cr_assert_eq(virtq_restricted_driver_place(&b->pool.driver, &b->config), 0);
    cr_assert_eq(b->config.space, &b->driver_mux.space);
    size = virtq_driver_size(&b->config);
    b->memory[0] = ends_memory(size);
    cr_assert_eq(virtq_driver_init(b->memory[0], size, &b->config, &b->driver), 0);
    virtq_driver_addresses(b->driver, &addresses);
    device = pool_queue_of(&b->config, &addresses);
    cr_assert_eq(virtq_restricted_device_attach(&b->pool.device, &device), 0);
    device.space = &b->device_mux.space;
    size = virtq_device_size(&device);
    b->memory[1] = ends_memory(size);
    cr_assert_eq(virtq_device_init(b->memory[1], size, &device, &b->device, NULL), 0);
    return b;
}

static void close_both(struct both *b)
{
    virtq_driver_destroy(b->driver);
    virtq_restricted_driver_remove(&b->pool.driver, &b->config);
    virtq_mux_fini(&b->driver_mux);
    virtq_mux_fini(&b->device_mux);
    free(b->memory[0]);
    free(b->memory[1]);
    block_free(&b->block);
    pool_close(&b->pool);
    free(b);
}

/* Segments in turn in private memory, in the region, and in memory of the pool. */
static void make(struct both *b, uint64_t *random, struct ends_flight *flight, unsigned kinds)
{
    const unsigned count = 2 + (unsigned)random_below(random, ENDS_SEGMENTS - 1);
    void *held;

    cr_assert_eq(virtq_restricted_driver_alloc(&b->pool.driver, POOL_PAGE, 0, &held), 0);
    flight->held[0] = held;
    flight->readable = 1 + (unsigned)random_below(random, count - 1);
    flight->writable = count - flight->readable;
    flight->room = 0;
    flight->sum = 1;
    for (unsigned i = 0; i < count; i++) {
        const uint32_t len = 1 + (uint32_t)random_below(random, 600);
        unsigned char *const places[] = {flight->memory[i], b->block.at + (size_t)i * 700 + 3,
                                         (unsigned char *)held + (size_t)i * 600};
        unsigned char *base = places[random_below(random, kinds)];

        for (uint32_t at = 0; at < len; at++) {
            base[at] = (unsigned char)random_next(random);
        }
        flight->segments[i] = (struct virtq_segment){.base = base, .len = len};
        flight->sum = i < flight->readable ? ends_sum(flight->sum, base, len) : flight->sum;
        flight->room += i < flight->readable ? 0 : len;
    }
}

/* `kinds`: private memory and the region; 3: memory of the pool, too. */
static void carry(unsigned kinds, unsigned bits)
{
    struct both *b =
        open_both(kinds == 3 ? VIRTQ_RESTRICTED_PARTS : 0, (bits & 1) != 0, (bits & 2) != 0);
    struct ends_flight *flight = calloc(1, sizeof(*flight));
    uint64_t random = 7 + bits;
    struct virtq_counters counters;

    cr_assert_not_null(flight);
    for (unsigned round = 0; round < 200; round++) {
        struct virtq_completion done;
        struct virtq_buffer buffer;
        const char *wrong;

        make(b, &random, flight, kinds);
        buffer = ends_buffer(flight);
        cr_assert_eq(virtq_driver_add(b->driver, &buffer, 1), 1);
        cr_assert_eq(virtq_driver_publish(b->driver), 1u);
        cr_assert_eq(ends_serve(b->device), 1);
        cr_assert_eq(virtq_driver_poll(b->driver, &done, 1), 1);
        wrong = ends_judge(flight, done.len);
        cr_assert_null(wrong, "%s; round %u", wrong, round);
        cr_assert_eq(virtq_restricted_driver_free(&b->pool.driver, flight->held[0]), 0);
    }
    virtq_driver_counters(b->driver, &counters);
    cr_assert_gt(counters.bytes_copied, 0u);
    free(flight);
    close_both(b);
}

Test(restricted_mux, a_pool_of_the_system_and_a_region_of_the_device_share_one_request)
{
    for (unsigned bits = 0; bits < 4; bits++) {
        carry(2, bits);
    }
}

Test(restricted_mux, and_what_lies_in_the_pool_is_not_copied_either)
{
    for (unsigned bits = 0; bits < 4; bits++) {
        carry(3, bits);
    }
}

Test(restricted_mux, a_payload_in_the_region_is_not_copied)
{
    struct both *b = open_both(0, false, false);
    unsigned char header[16] = "a header";
    unsigned char status = 0;
    struct virtq_segment segments[] = {{.base = header, .len = sizeof(header)},
                                       {.base = b->block.at + 64, .len = 4096},
                                       {.base = &status, .len = 1}};
    struct virtq_buffer buffer = {.segments = segments, .readable = 1, .writable = 2};
    struct virtq_piece pieces[8];
    struct virtq_chain chain;

    cr_assert_eq(virtq_driver_add(b->driver, &buffer, 1), 1);
    cr_assert_eq(virtq_driver_publish(b->driver), 1u);
    cr_assert_eq(virtq_device_pop(b->device, &chain, 1, pieces, 8), 1);
    cr_assert(chain.readable == 1 && chain.writable == 2);
    cr_assert_eq(pieces[1].base, b->block.view + 64);
    cr_assert_eq((unsigned char *)pieces[0].base >= b->pool.block.view, true);
    close_both(b);
}
