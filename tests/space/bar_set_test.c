/* SPDX-License-Identifier: BSD-3-Clause */
/* Several regions by id, as one space. M9; threats 78, 86. */
#include "virtq/space/bar_set.h"

#include "support/guarded.h"
#include "support/random.h"
#include "support/runner.h"
#include "support/spaces.h"
#include "virtq/virtq.h"

enum { REGIONS = 3, SHIFT = 20, PAGE = 4096 };

static const uint32_t ids[REGIONS] = {7, 0, 4095};
static const size_t sizes[REGIONS] = {PAGE, 3 * PAGE, 2 * PAGE};

struct regions {
    unsigned char *memory[REGIONS];
    struct virtq_bar bars[REGIONS];
    struct virtq_bar *list[REGIONS];
    struct virtq_bar_set set;
};

static void regions_open(struct regions *r)
{
    for (unsigned i = 0; i < REGIONS; i++) {
        struct virtq_bar_config config = VIRTQ_BAR_CONFIG_INIT;

        r->memory[i] = guarded_alloc(sizes[i]);
        config.base = r->memory[i];
        config.size = sizes[i];
        config.permissions = i == 0 ? SPACES_READ : SPACES_BOTH;
        config.id = ids[i];
        config.shift = SHIFT;
        cr_assert_eq(virtq_bar_init_config(&r->bars[i], &config), 0);
        r->list[i] = &r->bars[i];
    }
    cr_assert_eq(virtq_bar_set_init(&r->set, r->list, REGIONS), 0);
}

static void regions_close(struct regions *r)
{
    for (unsigned i = 0; i < REGIONS; i++) {
        guarded_free(r->memory[i], sizes[i]);
    }
}

static virtq_addr_t at(unsigned region, uint64_t offset)
{
    return ((uint64_t)ids[region] << SHIFT) + offset;
}

Test(space_bar_set, m9_both_ends_check_id_and_offset)
{
    struct regions r;

    regions_open(&r);
    for (unsigned i = 0; i < REGIONS; i++) {
        const uint64_t size = sizes[i];
        struct virtq_window window;
        struct spaces_buffer buffer;
        virtq_addr_t addr = 1;

        cr_assert_eq(virtq_bar_set_region(&r.set, ids[i]), &r.bars[i]);
        spaces_segment(&buffer, 0, r.memory[i] + 5, size - 5);
        cr_assert_eq(spaces_map(&r.set.space, &buffer, 1, 0, 1), 0);
        cr_assert_eq(buffer.runs[0].addr, at(i, 5));
        cr_assert_eq(spaces_map(&r.set.space, &buffer, 1, 0, 0), VIRTQ_EFULL);
        cr_assert_eq(spaces_map(&r.set.space, &buffer, 0, 1, 1), i == 0 ? VIRTQ_EFAULT : 0);
        spaces_segment(&buffer, 0, r.memory[i] + 5, size - 4);
        cr_assert_eq(spaces_map(&r.set.space, &buffer, 1, 0, 1), VIRTQ_EFAULT);
        spaces_segment(&buffer, 0, (void *)((uintptr_t)r.memory[i] - 1), 2);
        cr_assert_eq(spaces_map(&r.set.space, &buffer, 1, 0, 1), VIRTQ_EFAULT);
        cr_assert_eq(virtq_space_share(&r.set.space, r.memory[i], size, SPACES_READ, &addr), 0);
        cr_assert_eq(addr, at(i, 0));
        cr_assert_eq(virtq_space_share(&r.set.space, r.memory[i], size + 1, SPACES_READ, &addr),
                     VIRTQ_EFAULT);
        cr_assert_eq(r.set.space.ops->window(&r.set.space, at(i, size - 1), SPACES_READ, &window),
                     0);
        cr_assert_eq(window.first, at(i, 0));
        cr_assert_eq(window.last, at(i, size - 1));
        cr_assert_eq(window.base, r.memory[i]);
        cr_assert_eq(r.set.space.ops->window(&r.set.space, at(i, size), SPACES_READ, &window),
                     VIRTQ_EFAULT);
        cr_assert_eq(r.set.space.ops->window(&r.set.space, at(i, 0), SPACES_WRITE, &window),
                     i == 0 ? VIRTQ_EPERM : 0);
        cr_assert_eq(r.set.space.ops->window(&r.set.space, at(i, 0), 0, &window), VIRTQ_EINVAL);
    }
    cr_assert_null(virtq_bar_set_region(&r.set, 1));
    regions_close(&r);
}

Test(space_bar_set, an_id_that_is_no_regions_is_a_fault)
{
    const virtq_addr_t nobodys[] = {(uint64_t)1 << SHIFT, (uint64_t)8 << SHIFT,
                                    (uint64_t)4096 << SHIFT, UINT64_MAX, ((uint64_t)1 << 63) | 5};
    struct virtq_window window;
    struct regions r;

    regions_open(&r);
    for (unsigned i = 0; i < sizeof(nobodys) / sizeof(nobodys[0]); i++) {
        cr_assert_eq(r.set.space.ops->window(&r.set.space, nobodys[i], SPACES_READ, &window),
                     VIRTQ_EFAULT);
    }
    regions_close(&r);
}

Test(space_bar_set, refuses_regions_that_overlap)
{
    struct virtq_bar_config config = VIRTQ_BAR_CONFIG_INIT;
    struct virtq_bar other;
    struct virtq_bar *two[2];
    struct virtq_bar_set set;
    struct regions r;

    regions_open(&r);
    cr_assert_eq(virtq_bar_set_init(&set, r.list, 0), VIRTQ_EINVAL);
    cr_assert_eq(virtq_bar_set_init(&set, r.list, VIRTQ_BAR_SET_REGIONS + 1), VIRTQ_EINVAL);
    config.size = sizes[2];
    config.permissions = SPACES_BOTH;
    config.shift = SHIFT;
    for (unsigned i = 0; i < 5; i++) {
        config.base = i == 1 ? r.memory[1] + sizes[1] - 1 : r.memory[2]; /* One byte in common. */
        config.id = i == 0 ? ids[1] : i == 3 ? ids[0] : 1;
        /* Plain offsets, as those of id 0; and an id that is there, at another place. */
        config.shift = i == 2 ? 0 : i == 3 ? 40 : SHIFT;
        cr_assert_eq(virtq_bar_init_config(&other, &config), 0);
        two[0] = i == 3 ? &r.bars[0] : &r.bars[1];
        two[1] = &other;
        cr_assert_eq(virtq_bar_set_init(&set, two, 2), i < 4 ? VIRTQ_EINVAL : 0);
        two[1] = two[0];
        two[0] = &other;
        cr_assert_eq(virtq_bar_set_init(&set, two, 2), i < 4 ? VIRTQ_EINVAL : 0);
    }
    regions_close(&r);
}

/* ---- A queue: its ring in one region, each buffer's segments in two ---- */

static void serve(struct virtq_device *device, const unsigned char *expected, uint32_t len,
                  unsigned char fill)
{
    struct virtq_piece pieces[4];
    struct virtq_used_buffer used;
    struct virtq_cursor reader;
    struct virtq_cursor writer;
    struct virtq_chain chain;
    unsigned char bytes[256];

    cr_assert_eq(virtq_device_pop(device, &chain, 1, pieces, 4), 1);
    cr_assert_eq(chain.reason, (uint32_t)VIRTQ_REASON_NONE);
    reader = virtq_chain_reader(&chain);
    writer = virtq_chain_writer(&chain);
    cr_assert_eq(virtq_cursor_read(&reader, bytes, sizeof(bytes)), len);
    cr_assert(memcmp(bytes, expected, len) == 0);
    memset(bytes, fill, sizeof(bytes));
    len = (uint32_t)virtq_cursor_left(&writer);
    cr_assert_eq(virtq_cursor_write(&writer, bytes, len), len);
    used = (struct virtq_used_buffer){chain.id, len};
    cr_assert_eq(virtq_device_push(device, &used, 1), 1);
    cr_assert_eq(virtq_device_publish(device), 1u);
}

static void exchange(struct regions *r, unsigned format)
{
    struct virtq_driver_config driver = VIRTQ_DRIVER_CONFIG_INIT;
    struct virtq_device_config device = VIRTQ_DEVICE_CONFIG_INIT;
    static unsigned char own[2][65536] __attribute__((aligned(64)));
    struct virtq_driver *driver_queue;
    struct virtq_device *device_queue;
    struct virtq_layout layout;

    cr_assert_eq(virtq_layout_init((enum virtq_format)format, 8, &layout), 0);
    driver.format = format;
    driver.size = 8;
    driver.features = VIRTQ_FEATURE(VIRTIO_F_VERSION_1);
    driver.features |= format != 0 ? VIRTQ_FEATURE(VIRTIO_F_RING_PACKED) : 0;
    driver.segments_max = 2;
    driver.space = &r->set.space;
    virtq_layout_areas(&layout, r->memory[1], &driver.areas);
    cr_assert_eq(virtq_driver_init(own[0], sizeof(own[0]), &driver, &driver_queue), 0);
    device.format = format;
    device.size = 8;
    device.features = driver.features;
    device.flags = VIRTQ_DEVICE_RING_TRANSLATED;
    device.space = &r->set.space;
    virtq_driver_addresses(driver_queue, &device.addresses);
    cr_assert_eq(device.addresses.descriptor >> SHIFT, ids[1]);
    cr_assert_eq(virtq_device_init(own[1], sizeof(own[1]), &device, &device_queue, NULL), 0);
    for (unsigned round = 0; round < 40; round++) {
        unsigned char *from = r->memory[0] + round;
        unsigned char *to = r->memory[2] + (size_t)3 * round;
        struct virtq_segment segments[2] = {{.base = from, .len = 100}, {.base = to, .len = 77}};
        struct virtq_buffer buffer = {.segments = segments, .readable = 1, .writable = 1};
        struct virtq_completion done;

        memset(from, (int)round + 1, 100);
        cr_assert_eq(virtq_driver_add(driver_queue, &buffer, 1), 1);
        cr_assert_eq(virtq_driver_publish(driver_queue), 1u);
        serve(device_queue, from, 100, (unsigned char)(200 - round));
        cr_assert_eq(virtq_driver_poll(driver_queue, &done, 1), 1);
        cr_assert_eq(done.len, 77u);
        cr_assert(to[0] == 200 - round && to[76] == 200 - round);
    }
    virtq_driver_destroy(driver_queue);
}

Test(space_bar_set, buffers_lie_in_other_regions_than_the_ring)
{
    for (unsigned format = 0; format < 2; format++) {
        struct regions r;

        regions_open(&r);
        exchange(&r, format);
        regions_close(&r);
    }
}
