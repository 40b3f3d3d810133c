/* SPDX-License-Identifier: BSD-3-Clause */
/* A driver end never publishes an outside address: a reader that snoops on ring and tables looks at
 * every descriptor, before the device does. */
#include "ends.h"

#define SEED UINT64_C(0x7e57ab1e00000003)

enum { STEPS = 250 };

struct snoop {
    struct ends *ends;
    unsigned seen;   /* Addresses of data. */
    unsigned tables; /* Tables. */
};

static uint64_t little(const unsigned char *bytes, unsigned count)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < count; i++) {
        value |= (uint64_t)bytes[i] << (8 * i);
    }
    return value;
}

static void inside(const struct pool *p, virtq_addr_t addr, uint64_t len)
{
    const virtq_addr_t first = pool_first(p);
    const virtq_addr_t last = pool_last(p);

    cr_assert(len != 0 && addr >= first && addr <= last && len - 1 <= last - addr,
              "%llx, %llu bytes, is published; seed %llx", (unsigned long long)addr,
              (unsigned long long)len, (unsigned long long)SEED);
}

/* One descriptor of either format: an address of 8 bytes, a length of 4, flags where the format has
 * them. One that was never written is all zero. */
static void descriptor(struct snoop *snoop, const unsigned char *bytes, bool packed, bool in_table)
{
    const struct pool *p = &snoop->ends->pool;
    const virtq_addr_t addr = little(bytes, 8);
    const uint64_t len = little(bytes + 8, 4);
    const unsigned flags = (unsigned)little(bytes + (packed ? 14 : 12), 2);

    if (addr == 0 && len == 0 && flags == 0) {
        return;
    }
    if ((flags & VIRTQ_DESC_F_INDIRECT) == 0) {
        /* A used descriptor of a packed ring has the length that the device wrote. */
        inside(p, addr, len != 0 ? len : 1);
        snoop->seen++;
        return;
    }
    cr_assert(!in_table && len % 16 == 0);
    inside(p, addr, len);
    snoop->tables++;
    for (uint64_t at = 0; at < len; at += 16) {
        descriptor(snoop, p->block.view + (addr - pool_first(p)) + at, packed, true);
    }
}

/* Whatever the ring's descriptors say, those of buffers that are back included: a device may read
 * them at any time. */
static void look(struct snoop *snoop)
{
    const bool packed = snoop->ends->driver_config.format == (uint32_t)VIRTQ_FORMAT_PACKED;
    const struct pool *p = &snoop->ends->pool;
    const unsigned char *ring =
        p->block.view + (snoop->ends->device_config.addresses.descriptor - pool_first(p));

    for (unsigned i = 0; i < ENDS_SIZE; i++) {
        descriptor(snoop, ring + (size_t)i * 16, packed, false);
    }
}

/* The oldest buffers go to the device and come back. */
static void drain(struct ends *e, unsigned count)
{
    struct virtq_completion done;

    for (unsigned i = 0; i < count; i++) {
        struct ends_flight *flight;
        const char *wrong;

        cr_assert_eq(ends_serve(e->device), 1, "seed %llx", (unsigned long long)SEED);
        cr_assert_eq(e->calls->poll(&e->driver, &done), 1);
        flight = done.cookie;
        cr_assert_eq(flight->busy, 1);
        wrong = ends_judge(flight, done.len);
        cr_assert_null(wrong, "%s; seed %llx", wrong, (unsigned long long)SEED);
        ends_drop(flight, &e->pool.driver);
        flight->busy = 0;
    }
}

static unsigned busy(const struct ends *e)
{
    unsigned count = 0;

    for (unsigned i = 0; i < ENDS_BUFFERS; i++) {
        count += (unsigned)e->flights[i].busy;
    }
    return count;
}

/* A buffer into a free flight; short of room, back-pressure: the oldest come back first. */
static void send(struct ends *e, uint64_t *random, bool parts, struct snoop *snoop)
{
    struct ends_flight *flight = e->flights;
    struct virtq_buffer buffer;
    int added;

    if (busy(e) == ENDS_BUFFERS) {
        drain(e, 1 + (unsigned)random_below(random, ENDS_BUFFERS));
    }
    while (flight->busy != 0) {
        flight++;
    }
    ends_make(random, flight, parts ? &e->pool.driver : NULL);
    buffer = ends_buffer(flight);
    while ((added = e->calls->add(&e->driver, &buffer)) != 1) {
        cr_assert(added == VIRTQ_ENOMEM || added == VIRTQ_EFULL, "%d", added);
        cr_assert_neq(busy(e), 0u);
        drain(e, 1);
    }
    flight->busy = 1;
    look(snoop); /* Written, and the device may look before it is told to. */
    (void)e->calls->publish(&e->driver);
    look(snoop);
}

static void traffic(uint32_t form, unsigned bits)
{
    const bool packed = (bits & 1) != 0;
    const bool tables = (bits & 2) != 0;
    const bool parts = (bits & 8) != 0;
    struct ends *e = calloc(1, sizeof(*e));
    struct snoop snoop = {e, 0, 0};
    uint64_t random = SEED + form * 16 + bits;

    cr_assert_not_null(e);
    ends_open(e, form, parts ? VIRTQ_RESTRICTED_PARTS : 0, packed, tables, (bits & 4) != 0);
    for (unsigned step = 0; step < STEPS; step++) {
        send(e, &random, parts, &snoop);
    }
    drain(e, busy(e));
    look(&snoop);
    cr_assert_gt(snoop.seen, (unsigned)STEPS);
    cr_assert_eq(snoop.tables != 0, tables);
    ends_close(e);
    free(e);
}

Test(restricted_publish, no_outside_address_from_a_pool_of_the_system)
{
    for (unsigned bits = 0; bits < 16; bits++) {
        traffic(VIRTQ_RESTRICTED_SYSTEM, bits);
    }
}

Test(restricted_publish, m9_no_outside_address_from_a_region_of_the_device)
{
    for (unsigned bits = 0; bits < 16; bits++) {
        traffic(VIRTQ_RESTRICTED_DEVICE, bits);
    }
}

Test(restricted_publish, no_outside_address_from_a_stated_range)
{
    for (unsigned bits = 0; bits < 16; bits++) {
        traffic(VIRTQ_RESTRICTED_RANGE, bits);
    }
}

/* ---- Parts ---- */

/* A header and a status that lie anywhere, and a payload that another device put into the pool. */
static void peer_to_peer(uint32_t form, bool packed, bool tables)
{
    struct ends *e = calloc(1, sizeof(*e));
    unsigned char header[40];
    unsigned char status[1] = {0xee};
    unsigned char *payload;
    void *held;
    struct virtq_segment segments[3];
    struct virtq_buffer buffer = {.segments = segments, .readable = 2, .writable = 1};
    struct virtq_counters counters;
    struct virtq_chain chain;
    struct virtq_piece pieces[8];
    struct virtq_used_buffer used;
    struct virtq_completion done;

    cr_assert_not_null(e);
    ends_open(e, form, VIRTQ_RESTRICTED_PARTS, packed, tables, false);
    cr_assert_eq(virtq_restricted_driver_alloc(&e->pool.driver, 3000, 0, &held), 0);
    payload = held;
    memset(header, 'h', sizeof(header));
    memset(payload, 'p', 3000);
    segments[0] = (struct virtq_segment){.base = header, .len = sizeof(header)};
    segments[1] = (struct virtq_segment){.base = payload + 1, .len = 2999};
    segments[2] = (struct virtq_segment){.base = status, .len = 1};
    cr_assert_eq(e->calls->add(&e->driver, &buffer), 1);
    cr_assert_eq(e->calls->publish(&e->driver), 1u);
    cr_assert_eq(virtq_device_pop(e->device, &chain, 1, pieces, 8), 1);
    cr_assert(chain.readable == 2 && chain.writable == 1);
    /* The same bytes of the pool, through the other end's mapping. */
    cr_assert_eq((unsigned char *)pieces[1].base - e->pool.block.view,
                 payload + 1 - e->pool.block.at);
    cr_assert_eq(*(unsigned char *)pieces[0].base, 'h');
    *(unsigned char *)pieces[2].base = 'k';
    used = (struct virtq_used_buffer){chain.id, 1};
    cr_assert_eq(virtq_device_push(e->device, &used, 1), 1);
    cr_assert_eq(virtq_device_publish(e->device), 1);
    cr_assert_eq(e->calls->poll(&e->driver, &done), 1);
    cr_assert_eq(status[0], 'k');
    virtq_driver_counters(e->driver.library, &counters);
    /* Header in and status out, whether or not a pool begins with what the status was. */
    cr_assert(counters.bytes_copied == sizeof(header) + 1 ||
              counters.bytes_copied == sizeof(header) + 2);
    cr_assert_eq(virtq_restricted_driver_free(&e->pool.driver, held), 0);
    ends_close(e);
    free(e);
}

Test(restricted_publish, a_request_stages_only_what_does_not_lie_in_the_pool)
{
    for (unsigned bits = 0; bits < 4 * POOL_FORMS; bits++) {
        peer_to_peer(bits / 4, (bits & 1) != 0, (bits & 2) != 0);
    }
}

Test(restricted_publish, memory_that_is_half_in_the_pool_is_nobodys)
{
    for (uint32_t form = 0; form < POOL_FORMS; form++) {
        struct ends *e = calloc(1, sizeof(*e));
        struct virtq_segment segment;
        struct virtq_buffer buffer = {.segments = &segment, .readable = 1};

        cr_assert_not_null(e);
        ends_open(e, form, VIRTQ_RESTRICTED_PARTS, false, false, false);
        segment = (struct virtq_segment){
            .base = e->pool.block.at + (pool_last(&e->pool) - pool_first(&e->pool)), .len = 2};
        cr_assert_eq(e->calls->add(&e->driver, &buffer), VIRTQ_EFAULT);
        segment = (struct virtq_segment){.base = e->pool.block.at - 1, .len = 2};
        cr_assert_eq(e->calls->add(&e->driver, &buffer), VIRTQ_EFAULT);
        ends_close(e);
        free(e);
    }
}
