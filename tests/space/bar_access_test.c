/* SPDX-License-Identifier: BSD-3-Clause */
/* A ring and staged payload in memory that is not cacheable: every access that the driver end makes
 * is trapped, decoded and judged. M9. */
#ifndef _GNU_SOURCE
#    define _GNU_SOURCE
#endif
#include <stdio.h>

#include "copy/trap.h"
#include "support/runner.h"
#include "support/spaces.h"
#include "virtq/virtq.h"

#if defined(TRAP_WORKS)

enum { SIZE = 4, GRANULE = 64, LEN = 48, ROUNDS = 6 };

/* The driver's view traps; the device is at home in its own memory, and sees the same bytes. */
struct board {
    struct virtq_bar bar;
    struct virtq_bar own;
    struct virtq_bar_stage stage;
    uint64_t books[4];
    struct virtq_driver *driver;
    struct virtq_device *device;
    unsigned loads;
    unsigned stores;
    unsigned asked; /* Notifications. */
};

static unsigned char memories[2][65536] __attribute__((aligned(64)));

/* What was noted since trap_arm(): naturally aligned accesses of these widths, and nothing that is
 * not understood (a read-modify-write is not). */
static void judge(struct board *board, size_t widths)
{
    trap_disarm();
    board->loads = 0;
    board->stores = 0;
    for (unsigned i = 0; i < trap.count; i++) {
        const struct trap_note *note = &trap.notes[i];

        cr_assert((note->width & widths) != 0, "access %u at %zu: width %zu", i, note->offset,
                  note->width);
        cr_assert_eq(note->offset % note->width, (size_t)0, "access %u at %zu: odd", i,
                     note->offset);
        board->loads += !note->store;
        board->stores += note->store;
    }
}

static void open_region(struct board *board, uint32_t memory, uint32_t widths)
{
    struct virtq_bar_stage_config stage = VIRTQ_BAR_STAGE_CONFIG_INIT;
    struct virtq_bar_config bar = VIRTQ_BAR_CONFIG_INIT;

    memset(board, 0, sizeof(*board));
    bar.base = trap.view;
    bar.size = TRAP_SIZE;
    bar.permissions = SPACES_BOTH;
    bar.memory = memory;
    bar.widths = widths;
    cr_assert_eq(virtq_bar_init_config(&board->bar, &bar), 0);
    cr_assert_eq(virtq_bar_manage(&board->bar, GRANULE, board->books, sizeof(board->books)), 0);
    cr_assert_eq(virtq_bar_init(&board->own, trap.back, TRAP_SIZE, SPACES_BOTH, 0), 0);
    stage.bar = &board->bar;
    if (memory == (uint32_t)VIRTQ_BAR_DEVICE) {
        cr_assert_eq(virtq_copy_device(&stage.copy, widths), 0);
    } else {
        virtq_copy_streaming(&stage.copy);
    }
    cr_assert_eq(virtq_bar_stage_init(&board->stage, &stage), 0);
}

static void open_queue(struct board *board, unsigned format, bool tables)
{
    struct virtq_driver_config driver = VIRTQ_DRIVER_CONFIG_INIT;
    struct virtq_device_config device = VIRTQ_DEVICE_CONFIG_INIT;
    struct virtq_layout layout;
    void *ring;

    cr_assert_eq(virtq_layout_init((enum virtq_format)format, SIZE, &layout), 0);
    cr_assert_eq(virtq_bar_alloc(&board->bar, layout.size, 64, &ring), 0);
    driver.format = format;
    driver.size = SIZE;
    driver.features = VIRTQ_FEATURE(VIRTIO_F_VERSION_1) | VIRTQ_FEATURE(VIRTIO_F_ORDER_PLATFORM) |
                      VIRTQ_FEATURE(VIRTIO_F_EVENT_IDX);
    driver.features |= format != 0 ? VIRTQ_FEATURE(VIRTIO_F_RING_PACKED) : 0;
    driver.features |= tables ? VIRTQ_FEATURE(VIRTIO_F_INDIRECT_DESC) : 0;
    driver.segments_max = 2;
    driver.space = &board->stage.space;
    virtq_layout_areas(&layout, ring, &driver.areas);
    if (tables) {
        cr_assert_eq(
            virtq_bar_alloc(&board->bar, virtq_driver_tables_size(&driver), 64, &driver.tables), 0);
    }
    cr_assert_eq(virtq_driver_init(memories[0], sizeof(memories[0]), &driver, &board->driver), 0);
    device.format = format;
    device.size = SIZE;
    device.features = driver.features;
    device.flags = VIRTQ_DEVICE_RING_TRANSLATED;
    device.table_max = SIZE;
    device.space = &board->own.space;
    virtq_driver_addresses(board->driver, &device.addresses);
    cr_assert_eq(virtq_device_init(memories[1], sizeof(memories[1]), &device, &board->device, NULL),
                 0);
}

/* On the device's side: each byte of the answer is one more than what was sent. */
static void serve(struct board *board)
{
    unsigned char bytes[LEN];
    struct virtq_piece pieces[4];
    struct virtq_used_buffer used;
    struct virtq_cursor reader;
    struct virtq_cursor writer;
    struct virtq_chain chain;

    cr_assert_eq(virtq_device_pop(board->device, &chain, 1, pieces, 4), 1);
    cr_assert_eq(chain.reason, (uint32_t)VIRTQ_REASON_NONE);
    reader = virtq_chain_reader(&chain);
    writer = virtq_chain_writer(&chain);
    cr_assert_eq(virtq_cursor_read(&reader, bytes, LEN), (size_t)LEN);
    for (unsigned i = 0; i < LEN; i++) {
        bytes[i]++;
    }
    cr_assert_eq(virtq_cursor_write(&writer, bytes, LEN), (size_t)LEN);
    used = (struct virtq_used_buffer){chain.id, LEN};
    cr_assert_eq(virtq_device_push(board->device, &used, 1), 1);
    cr_assert_eq(virtq_device_publish(board->device), 1u);
}

static void exchange(struct board *board, size_t ring_widths, size_t payload_widths)
{
    unsigned char out[LEN];
    unsigned char in[LEN] = {0};
    struct virtq_segment segments[2] = {{.base = out, .len = LEN}, {.base = in, .len = LEN}};
    struct virtq_buffer buffer = {.segments = segments, .readable = 1, .writable = 1};
    struct virtq_completion done;

    memset(out, 0x11, LEN);
    trap_arm();
    cr_assert_eq(virtq_driver_add(board->driver, &buffer, 1), 1);
    cr_assert_eq(virtq_driver_publish(board->driver), 1u);
    judge(board, ring_widths | payload_widths);
    cr_assert_eq(board->loads, 0u, "nothing is read in order to be written");
    cr_assert(board->stores != 0);
    trap_arm();
    board->asked += virtq_driver_needs_notify(board->driver, NULL);
    judge(board, ring_widths);
    serve(board);
    trap_arm();
    cr_assert_eq(virtq_driver_poll(board->driver, &done, 1), 1);
    cr_assert(!virtq_driver_enable_notify(board->driver));
    judge(board, ring_widths | payload_widths);
    cr_assert_eq(done.len, (uint32_t)LEN);
    cr_assert(in[0] == 0x12 && in[LEN - 1] == 0x12);
}

static void run(uint32_t memory, uint32_t widths, size_t payload_widths)
{
    for (unsigned bits = 0; bits < 4; bits++) {
        struct board board;

        open_region(&board, memory, widths);
        trap_arm();
        open_queue(&board, bits & 1, (bits & 2) != 0);
        judge(&board, 14);
        cr_assert(board.stores != 0);
        for (unsigned round = 0; round < ROUNDS; round++) {
            exchange(&board, 14, payload_widths);
        }
        cr_assert(board.asked != 0);
        virtq_driver_destroy(board.driver);
    }
}

#endif

Test(space_bar_access, m9_a_ring_and_staged_payload_in_device_memory)
{
#if defined(TRAP_WORKS)
    const uint32_t widths[] = {14, 15};

    if (trap_open()) {
        for (unsigned i = 0; i < 2; i++) {
            run(VIRTQ_BAR_DEVICE, widths[i], widths[i]);
        }
        return;
    }
#endif
    puts("skipped: accesses cannot be trapped here");
}

Test(space_bar_access, m9_a_ring_and_staged_payload_in_write_combining_memory)
{
#if defined(TRAP_WORKS)
    if (trap_open()) {
        run(VIRTQ_BAR_WRITE_COMBINING, 0, 16 + 15);
        return;
    }
#endif
    puts("skipped: accesses cannot be trapped here");
}
