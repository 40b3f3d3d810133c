/* SPDX-License-Identifier: BSD-3-Clause */
/* The block device's requests from the driver's side, read by the device's; each status, true or
 * not. [virtio 1.4, Block Device, Device Operation] */
#include <stdlib.h>
#include <string.h>

#include "runner.h"
#include "virtq/host/blk_driver.h"
#include "virtq/virtq.h"

enum { SIZE = 8, MEMORY = 1 << 16, DATA = 1 << 14, HEADER = 0x6000, STATUS = 0x7000 };

/* Both ends of a queue over the same memory. */
struct rig {
    struct virtq_direct space;
    struct virtq_driver *driver;
    struct virtq_device *device;
    unsigned char *memory;
    void *ends[2];
    struct virtq_blk_driver_request request;
    struct virtq_blk_request seen;
    struct virtq_piece pieces[4];
};

static void rig_open(struct rig *rig)
{
    struct virtq_driver_config driver = VIRTQ_DRIVER_CONFIG_INIT;
    struct virtq_device_config device = VIRTQ_DEVICE_CONFIG_INIT;
    struct virtq_layout layout;
    size_t size;

    memset(rig, 0, sizeof(*rig));
    rig->memory = aligned_alloc(4096, MEMORY);
    memset(rig->memory, 0, MEMORY);
    cr_assert_eq(virtq_direct_init(&rig->space, rig->memory, 0, MEMORY - 1, 3), 0);
    cr_assert_eq(virtq_layout_init(VIRTQ_FORMAT_SPLIT, SIZE, &layout), 0);
    driver.size = device.size = SIZE;
    driver.features = device.features = VIRTQ_FEATURE(VIRTIO_F_VERSION_1);
    driver.segments_max = 3;
    driver.space = device.space = &rig->space.space;
    device.flags = VIRTQ_DEVICE_RING_TRANSLATED;
    virtq_layout_areas(&layout, rig->memory, &driver.areas);
    size = virtq_driver_size(&driver);
    rig->ends[0] =
        aligned_alloc(VIRTQ_CACHE_LINE, size + VIRTQ_CACHE_LINE - size % VIRTQ_CACHE_LINE);
    cr_assert_eq(virtq_driver_init(rig->ends[0], size, &driver, &rig->driver), 0);
    virtq_driver_addresses(rig->driver, &device.addresses);
    size = virtq_device_size(&device);
    rig->ends[1] =
        aligned_alloc(VIRTQ_CACHE_LINE, size + VIRTQ_CACHE_LINE - size % VIRTQ_CACHE_LINE);
    cr_assert_eq(virtq_device_init(rig->ends[1], size, &device, &rig->device, NULL), 0);
    rig->request.data = rig->memory + DATA;
    rig->request.header = rig->memory + HEADER;
    rig->request.status = rig->memory + STATUS;
}

static void rig_close(struct rig *rig)
{
    virtq_driver_destroy(rig->driver);
    free(rig->ends[0]);
    free(rig->ends[1]);
    free(rig->memory);
}

/* The device takes it, judges it, and answers with this status and length. */
static int serve(struct rig *rig, const struct virtq_blk_disk *disk, uint32_t status, uint32_t len)
{
    struct virtq_used_buffer used;
    struct virtq_completion done = {0};
    int wanted;

    cr_assert_eq(virtq_driver_publish(rig->driver), 1u);
    cr_assert_eq(virtq_device_pop(rig->device, &rig->seen.chain, 1, rig->pieces, 4), 1);
    wanted = virtq_blk_request_parse(&rig->seen, disk);
    rig->request.status[0] = (unsigned char)status;
    used = (struct virtq_used_buffer){rig->seen.chain.id, len};
    cr_assert_eq(virtq_device_push(rig->device, &used, 1), 1);
    cr_assert_eq(virtq_device_publish(rig->device), 1);
    cr_assert_eq(virtq_driver_poll(rig->driver, &done, 1), 1);
    cr_assert_eq(done.cookie, (void *)&rig->request);
    cr_assert_eq(done.len, len);
    return wanted;
}

Test(host_blk_driver, a_device_understands_each_request)
{
    struct virtq_blk_disk disk = VIRTQ_BLK_DISK_INIT;
    struct rig rig;

    rig_open(&rig);
    disk.features = VIRTQ_FEATURE(VIRTIO_BLK_F_FLUSH);
    disk.sectors = UINT64_C(1) << 40;
    for (unsigned i = 0; i < 12; i++) {
        static const uint32_t types[] = {VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_FLUSH};

        rig.request.type = types[i % 3];
        rig.request.len = VIRTQ_BLK_SECTOR * (i + 1);
        rig.request.offset = (UINT64_C(0x123456789) + i) * VIRTQ_BLK_SECTOR;
        memset(rig.request.header, 0xff, VIRTQ_BLK_HEADER_SIZE);
        rig.request.status[0] = 0;
        cr_assert_eq(virtq_blk_driver_request_add(&rig.request, rig.driver), 1);
        cr_assert_eq(memcmp(rig.request.header + 4, "\0\0\0", 4), 0);
        cr_assert_neq(rig.request.status[0], VIRTIO_BLK_S_OK, "an old status is taken for a new");
        cr_assert_eq(serve(&rig, &disk, 0, i % 3 == 0 ? rig.request.len + 1 : 1), 1);
        cr_assert_eq(rig.seen.type, rig.request.type);
        if (i % 3 != 2) {
            cr_assert_eq(rig.seen.offset, rig.request.offset);
            cr_assert_eq(rig.seen.len, rig.request.len);
            cr_assert_eq(rig.pieces[1].base, rig.request.data);
        }
        cr_assert_eq(
            virtq_blk_driver_request_end(&rig.request, i % 3 == 0 ? rig.request.len + 1 : 1),
            VIRTIO_BLK_S_OK);
    }
    rig_close(&rig);
}

Test(host_blk_driver, no_request_is_made_that_there_is_not)
{
    static const struct {
        uint32_t type, len;
        uint64_t offset;
    } rows[] = {{VIRTIO_BLK_T_IN, 0, 0},       {VIRTIO_BLK_T_IN, 511, 0},
                {VIRTIO_BLK_T_IN, 512, 1},     {VIRTIO_BLK_T_OUT, 513, 0},
                {VIRTIO_BLK_T_GET_ID, 512, 0}, {VIRTIO_BLK_T_DISCARD, 512, 0},
                {UINT32_MAX, 512, 0}};
    struct rig rig;

    rig_open(&rig);
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        rig.request.type = rows[i].type;
        rig.request.len = rows[i].len;
        rig.request.offset = rows[i].offset;
        cr_assert_eq(virtq_blk_driver_request_add(&rig.request, rig.driver), VIRTQ_EINVAL, "%u", i);
    }
    cr_assert_eq(virtq_driver_outstanding(rig.driver), 0u);
    rig_close(&rig);
}

Test(host_blk_driver, what_a_device_says_is_judged)
{
    static const struct {
        uint32_t type, status, written, result;
    } rows[] = {{VIRTIO_BLK_T_IN, 0, 1025, 0},   {VIRTIO_BLK_T_IN, 0, 1024, 1},
                {VIRTIO_BLK_T_IN, 0, 0, 1},      {VIRTIO_BLK_T_IN, 1, 1025, 1},
                {VIRTIO_BLK_T_IN, 2, 1025, 2},   {VIRTIO_BLK_T_IN, 3, 1025, 1},
                {VIRTIO_BLK_T_IN, 255, 1025, 1}, {VIRTIO_BLK_T_OUT, 0, 1, 0},
                {VIRTIO_BLK_T_OUT, 0, 0, 0},     {VIRTIO_BLK_T_OUT, 255, 1, 1},
                {VIRTIO_BLK_T_FLUSH, 0, 1, 0},   {VIRTIO_BLK_T_FLUSH, 2, 1, 2}};
    unsigned char status;
    struct virtq_blk_driver_request request = {.len = 1024, .status = &status};

    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        request.type = rows[i].type;
        status = (unsigned char)rows[i].status;
        cr_assert_eq(virtq_blk_driver_request_end(&request, rows[i].written), rows[i].result,
                     "row %u", i);
    }
}

Test(host_blk_driver, a_disk_is_as_large_as_it_says_if_that_can_be)
{
    static const struct {
        unsigned char config[8];
        uint64_t bytes;
    } rows[] = {{{0}, 0},
                {{1}, 512},
                {{0x15, 0xcd, 0x5b, 0x07}, UINT64_C(123456789) * 512},
                {{255, 255, 255, 255, 255, 255, 0x3f, 0}, UINT64_C(0x7ffffffffffffe00)},
                {{0, 0, 0, 0, 0, 0, 0x40, 0}, 0},
                {{255, 255, 255, 255, 255, 255, 255, 255}, 0}};

    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        cr_assert_eq(virtq_blk_driver_capacity(rows[i].config), rows[i].bytes, "row %u", i);
    }
}
