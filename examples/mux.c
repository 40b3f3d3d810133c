/* SPDX-License-Identifier: BSD-3-Clause */
/* One request in two memories: a header in system memory, a payload in the device's own.
 * docs/spaces/mux.md goes through it.
 *
 *     cc mux.c $(pkg-config --cflags --libs libvirtq)
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <virtq/virtq.h>

#include "queue.h"

#define PAGE 4096u
#define BOTH (VIRTQ_PERMISSION_READ | VIRTQ_PERMISSION_WRITE)

int main(void)
{
    unsigned char *system_memory = memory(2 * PAGE, PAGE);
    unsigned char *region_memory = memory(PAGE, PAGE);
    char *header = (char *)system_memory + PAGE;
    struct virtq_direct direct;
    struct virtq_bar bar;
    struct queue queue;

    /* [members] */
    check(virtq_direct_init(&direct, system_memory, 0x10000, 0x10000 + 2 * PAGE - 1, BOTH) ==
              VIRTQ_OK,
          "direct");
    check(virtq_bar_init(&bar, region_memory, PAGE, BOTH, 0) == VIRTQ_OK, "bar");

    /* The region's offsets begin at 0; in this queue they are found from 2^32 on. */
    struct virtq_mux_member members[] = {
        {&direct.space, 0x10000, 0x10000 + 2 * PAGE - 1, 0x10000, BOTH},
        {&bar.space, 1ull << 32, (1ull << 32) + PAGE - 1, 0, BOTH}};
    /* [members] */
    /* [mux] */
    struct virtq_mux_route route = {(uintptr_t)region_memory, (uintptr_t)region_memory + PAGE - 1,
                                    1};
    struct virtq_mux_config config = VIRTQ_MUX_CONFIG_INIT;
    struct virtq_mux mux;

    config.members = members;
    config.member_count = 2;
    config.routes = &route; /* what lies in the region is the region's ... */
    config.route_count = 1;
    config.other = 0; /* ... and all else is system memory */
    check(virtq_mux_init(&mux, &config) == VIRTQ_OK, "mux");
    queue_open(&queue, &mux.space, &mux.space, system_memory);
    /* [mux] */
    /* [request] */
    struct virtq_segment segments[] = {{.base = header, .len = 7},
                                       {.base = region_memory, .len = 8},
                                       {.base = region_memory + 64, .len = 7},
                                       {.base = header + 64, .len = 8}};
    struct virtq_buffer buffer = {.segments = segments, .readable = 2, .writable = 2};

    memcpy(header, "header ", 7);
    memcpy(region_memory, "payload", 8);
    check(queue_carry(&queue, &buffer) == 15, "the answer");
    /* [request] */
    check(memcmp(region_memory + 64, "header ", 7) == 0, "the first part came back");
    check(strcmp(header + 64, "payload") == 0, "the second part came back");
    printf("%.7s%s\n", (char *)region_memory + 64, header + 64);
    queue_close(&queue);
    virtq_mux_fini(&mux);
    free(region_memory);
    free(system_memory);
    return 0;
}
