/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief Work for an instruction counter: a mux maps and unmaps buffers of three segments, in
 * steady state.
 *
 * Usage: mux_instructions ROUNDS WAY; way 0: one member has all segments, 1: three members have one
 * each. It exits with 1 if an address is wrong.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "virtq/space/bar.h"
#include "virtq/space/mux.h"

enum { SIZE = 4096, MEMBERS = 3, SPAN = 1 << 20 };

static unsigned char memory[MEMBERS][SIZE];
static struct virtq_bar bars[MEMBERS];
static struct virtq_mux_route routes[MEMBERS];
static struct virtq_mux mux;

static void check(int ok, const char *what)
{
    if (!ok) {
        (void)fprintf(stderr, "mux_instructions: %s\n", what);
        exit(1);
    }
}

static void open_mux(void)
{
    const uint32_t both = VIRTQ_PERMISSION_READ | VIRTQ_PERMISSION_WRITE;
    struct virtq_mux_config config = VIRTQ_MUX_CONFIG_INIT;
    struct virtq_mux_member members[MEMBERS];

    for (uint32_t i = 0; i < MEMBERS; i++) {
        check(virtq_bar_init(&bars[i], memory[i], SIZE, both, i) == 0, "bar");
        members[i] = (struct virtq_mux_member){&bars[i].space, (uint64_t)i * SPAN,
                                               (uint64_t)i * SPAN + SIZE - 1, 0, both};
        routes[i] =
            (struct virtq_mux_route){(uintptr_t)memory[i], (uintptr_t)memory[i] + SIZE - 1, i};
    }
    config.members = members;
    config.member_count = MEMBERS;
    config.routes = routes;
    config.route_count = MEMBERS;
    check(virtq_mux_init(&mux, &config) == 0, "mux");
}

int main(int argc, char **argv)
{
    unsigned rounds = argc == 3 ? (unsigned)strtoul(argv[1], NULL, 10) : 0;
    int mixed = argc == 3 && argv[2][0] == '1';
    struct virtq_run runs[MEMBERS];
    uint64_t record[64];

    check(rounds != 0, "usage: mux_instructions ROUNDS WAY");
    open_mux();
    check(virtq_space_record_size(&mux.space, MEMBERS) <= sizeof(record), "room for the record");
    for (unsigned round = 0; round < rounds; round++) {
        const struct virtq_segment segments[MEMBERS] = {
            {.base = memory[0], .len = 16},
            {.base = memory[mixed ? 1 : 0] + 64, .len = 1500},
            {.base = memory[mixed ? 2 : 0] + 2048, .len = 1}};
        struct virtq_mapping mapping = {.runs = runs,
                                        .segments = segments,
                                        .record = record,
                                        .segments_readable = 2,
                                        .segments_writable = 1,
                                        .capacity = MEMBERS};

        check(mux.space.ops->map(&mux.space, &mapping) == 0, "map");
        check(mapping.runs_readable == 2 && mapping.runs_writable == 1, "runs");
        check(runs[2].addr == (mixed ? 2u * SPAN : 0u) + 2048u, "address");
        mux.space.ops->unmap(&mux.space, &mapping, 1);
    }
    return 0;
}
