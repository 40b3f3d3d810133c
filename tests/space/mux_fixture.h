/* SPDX-License-Identifier: BSD-3-Clause */
/* What the mux tests share: a space that books what it was asked, and answers as it is told. */
#ifndef VIRTQ_TESTS_SPACE_MUX_FIXTURE_H
#define VIRTQ_TESTS_SPACE_MUX_FIXTURE_H

#include "support/runner.h"
#include "support/spaces.h"
#include "virtq/space/mux.h"

enum booked_way {
    BOOKED_SINGLE,   /* A run for each segment. */
    BOOKED_TOGETHER, /* One for each part, as a pool. */
    BOOKED_HALVES,   /* Two for each segment of more than a byte. */
    BOOKED_SHORT,    /* A byte too few: a space that is wrong. */
    BOOKED_BLURRED   /* Both parts in one run: wrong too. */
};

/* Its addresses are its own: `next` and what follows, each part at the next multiple of 256. */
struct booked {
    struct virtq_space space;
    enum booked_way way;
    virtq_addr_t next;
    int error;         /* What map answers instead. */
    unsigned maps;     /* Calls that succeeded. */
    unsigned unmaps;   /* Calls. */
    uint64_t written;  /* Of the latest unmapping. */
    unsigned readable; /* Segments of the latest mapping. */
    unsigned writable;
    uint64_t lengths[SPACES_SEGMENTS];
    uint64_t shared; /* Bytes shared now. */
    struct virtq_window window;
    int window_error;
    virtq_addr_t asked; /* The latest question. */
};

static inline void booked_run(struct booked *booked, struct virtq_mapping *mapping, unsigned *count,
                              uint32_t len)
{
    mapping->runs[(*count)++] = (struct virtq_run){.addr = booked->next, .len = len};
    booked->next += len;
}

static inline int booked_part(struct booked *booked, struct virtq_mapping *mapping,
                              const struct virtq_segment *segments, unsigned count, unsigned *runs)
{
    unsigned most = *runs + (booked->way == BOOKED_TOGETHER ? count != 0
                             : booked->way == BOOKED_HALVES ? 2 * count
                                                            : count);
    uint32_t sum = 0;

    if (most > mapping->capacity) {
        return VIRTQ_EFULL;
    }
    booked->next = (booked->next + 255) & ~UINT64_C(255);
    for (unsigned i = 0; i < count; i++) {
        uint32_t len = segments[i].len;

        sum += len;
        if (booked->way == BOOKED_HALVES && len > 1) {
            booked_run(booked, mapping, runs, len / 2);
            booked->next += 7; /* No neighbours for the device. */
            len -= len / 2;
        }
        if (booked->way != BOOKED_TOGETHER) {
            booked_run(booked, mapping, runs, len - (booked->way == BOOKED_SHORT && len > 1));
        }
    }
    if (booked->way == BOOKED_TOGETHER && count != 0) {
        booked_run(booked, mapping, runs, sum);
    }
    return 0;
}

static inline int booked_map(struct virtq_space *space, struct virtq_mapping *mapping)
{
    struct booked *booked = (struct booked *)space;
    const unsigned count = (unsigned)mapping->segments_readable + mapping->segments_writable;
    uint64_t *record = mapping->record;
    unsigned runs = 0;

    cr_assert(count != 0 && count <= (unsigned)SPACES_SEGMENTS && mapping->capacity != 0);
    cr_assert(mapping->copied == 0 && (uintptr_t)record % 8 == 0);
    if (booked->error != 0) {
        return booked->error;
    }
    if (booked_part(booked, mapping, mapping->segments, mapping->segments_readable, &runs) != 0) {
        return VIRTQ_EFULL;
    }
    mapping->runs_readable = (uint16_t)runs;
    if (booked_part(booked, mapping, mapping->segments + mapping->segments_readable,
                    mapping->segments_writable, &runs) != 0) {
        return VIRTQ_EFULL;
    }
    mapping->runs_writable = (uint16_t)(runs - mapping->runs_readable);
    if (booked->way == BOOKED_BLURRED) {
        mapping->runs[0].len += mapping->runs[1].len;
        mapping->runs_readable = 1;
        mapping->runs_writable = 0;
    }
    record[0] = count;
    for (unsigned i = 0; i < count; i++) {
        booked->lengths[i] = mapping->segments[i].len;
        record[1 + i] = mapping->segments[i].len;
    }
    booked->readable = mapping->segments_readable;
    booked->writable = mapping->segments_writable;
    booked->maps++;
    mapping->copied += 1;
    return 0;
}

static inline void booked_unmap(struct virtq_space *space, struct virtq_mapping *mapping,
                                uint64_t written)
{
    struct booked *booked = (struct booked *)space;
    const uint64_t *record = mapping->record;

    booked->unmaps++;
    booked->written = written;
    /* What map wrote to its record is still there. */
    cr_assert_eq(record[0], booked->readable + booked->writable);
    for (unsigned i = 0; i < record[0]; i++) {
        cr_assert_eq(record[1 + i], booked->lengths[i]);
    }
    mapping->copied += 1;
}

static inline int booked_share(struct virtq_space *space, void *base, uint64_t len,
                               uint32_t permissions, virtq_addr_t *addr)
{
    struct booked *booked = (struct booked *)space;

    (void)base;
    (void)permissions;
    *addr = booked->next;
    booked->shared += len;
    return booked->error;
}

static inline void booked_unshare(struct virtq_space *space, virtq_addr_t addr, uint64_t len)
{
    struct booked *booked = (struct booked *)space;

    cr_assert_eq(addr, booked->next);
    booked->shared -= len;
}

static inline int booked_window(struct virtq_space *space, virtq_addr_t addr, uint32_t permission,
                                struct virtq_window *window)
{
    struct booked *booked = (struct booked *)space;

    (void)permission;
    booked->asked = addr;
    *window = booked->window;
    return booked->window_error;
}

static const struct virtq_space_ops booked_ops = {.size = sizeof(struct virtq_space_ops),
                                                  .name = "booked",
                                                  .map = booked_map,
                                                  .unmap = booked_unmap,
                                                  .share = booked_share,
                                                  .unshare = booked_unshare,
                                                  .window = booked_window};

static inline void booked_init(struct booked *booked, enum booked_way way, virtq_addr_t next)
{
    memset(booked, 0, sizeof(*booked));
    booked->space.ops = &booked_ops;
    booked->space.record_fixed = 8;
    booked->space.record_per_segment = 8;
    booked->way = way;
    booked->next = next;
}

enum {
    SPAN = 0x10000,   /* Addresses of a member. */
    MEMORY = 0x1000,  /* Bytes of memory of a route. */
    UNROUTED = 0x3000 /* Where memory in no route begins. */
};

/* Three members of whom none calls an address what queues call it; memory of a page each. */
static unsigned char memory[4 * MEMORY];

struct three {
    struct booked booked[3];
    struct virtq_mux_member members[3];
    struct virtq_mux_route routes[3];
    struct virtq_mux_config config;
    struct virtq_mux mux;
    struct spaces_buffer buffer;
};

static inline void describe(struct three *three, enum booked_way way)
{
    const struct virtq_mux_config config = VIRTQ_MUX_CONFIG_INIT;

    memset(three, 0, sizeof(*three));
    for (unsigned i = 0; i < 3; i++) {
        booked_init(&three->booked[i], way, 0x700000);
        three->members[i] =
            (struct virtq_mux_member){.space = &three->booked[i].space,
                                      .first = (virtq_addr_t)(i + 1) << 32,
                                      .last = ((virtq_addr_t)(i + 1) << 32) + SPAN - 1,
                                      .own = 0x700000,
                                      .permissions = SPACES_BOTH};
        three->routes[i].first = (uintptr_t)memory + i * (uintptr_t)MEMORY;
        three->routes[i].last = three->routes[i].first + MEMORY - 1;
        three->routes[i].member = i;
    }
    three->config = config;
    three->config.members = three->members;
    three->config.routes = three->routes;
    three->config.member_count = 3;
    three->config.route_count = 3;
}

static inline void open(struct three *three, enum booked_way way)
{
    describe(three, way);
    cr_assert_eq(virtq_mux_init(&three->mux, &three->config), 0);
}

/* Segments of 10, 20, 30, ... bytes in the memory of the members that `where` names. */
static inline void lay(struct three *three, const char *where)
{
    for (unsigned i = 0; where[i] != 0; i++) {
        spaces_segment(&three->buffer, i,
                       memory + (size_t)(where[i] - '0') * MEMORY + (size_t)i * 200, (i + 1) * 10);
        three->buffer.segments[i].route = 0;
    }
}

static inline int map(struct three *three, unsigned readable, unsigned writable, unsigned capacity)
{
    return spaces_map(&three->mux.space, &three->buffer, readable, writable, capacity);
}

static inline virtq_addr_t at(unsigned member, virtq_addr_t offset)
{
    return ((virtq_addr_t)(member + 1) << 32) + offset;
}

static inline void expect(const struct three *three, unsigned run, virtq_addr_t addr, uint32_t len)
{
    cr_assert_eq(three->buffer.runs[run].addr, addr, "run %u is at %llx", run,
                 (unsigned long long)three->buffer.runs[run].addr);
    cr_assert_eq(three->buffer.runs[run].len, len, "run %u has %u bytes", run,
                 (unsigned)three->buffer.runs[run].len);
}

#endif
