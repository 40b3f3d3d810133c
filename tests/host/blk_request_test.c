/* SPDX-License-Identifier: BSD-3-Clause */
/* The block device's requests, judged and carried out: each status of the specification, for
 * requests of a driver that may send anything. [virtio 1.4, Block Device, Device Operation] */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "runner.h"
#include "virtq/host/blk.h"
#include "virtq/virtq.h"

enum { SECTORS = 64, MEMORY = 1 << 16, PIECES = 8 };

#define F(bit) VIRTQ_FEATURE(bit)
#define ALL                                                                           \
    (F(VIRTIO_BLK_F_FLUSH) | F(VIRTIO_BLK_F_DISCARD) | F(VIRTIO_BLK_F_WRITE_ZEROES) | \
     F(VIRTIO_BLK_F_SEG_MAX) | F(VIRTIO_BLK_F_BLK_SIZE) | F(VIRTIO_BLK_F_MQ))

/* A disk of sectors that hold their number, and a request on it. */
struct rig {
    struct virtq_blk_disk disk;
    struct virtq_blk_request request;
    struct virtq_piece pieces[PIECES];
    unsigned char memory[MEMORY];
    int file;
};

static void put(unsigned char *bytes, unsigned count, uint64_t word)
{
    for (unsigned i = 0; i < count; i++, word >>= 8) {
        bytes[i] = (unsigned char)word;
    }
}

static void rig_open(struct rig *rig)
{
    const struct virtq_blk_disk disk = VIRTQ_BLK_DISK_INIT;
    unsigned char sector[VIRTQ_BLK_SECTOR];

    memset(rig, 0, sizeof(*rig));
    rig->disk = disk;
    rig->disk.features = ALL;
    rig->disk.sectors = SECTORS;
    rig->disk.range_sectors = 32;
    rig->disk.ranges_max = 4;
    memcpy(rig->disk.serial, "a serial of 20 bytes", VIRTQ_BLK_SERIAL_SIZE);
    rig->file = memfd_create("disk", MFD_CLOEXEC);
    for (unsigned i = 0; i < SECTORS; i++) {
        memset(sector, (int)i + 1, sizeof(sector));
        cr_assert_eq(write(rig->file, sector, sizeof(sector)), (ssize_t)sizeof(sector));
    }
}

/* A buffer with these bytes to read and to write, in pieces of at most `most` bytes. */
static void shape(struct rig *rig, uint32_t readable, uint32_t writable, uint32_t most)
{
    struct virtq_chain *chain = &rig->request.chain;
    unsigned char *at = rig->memory;
    unsigned count = 0;

    memset(chain, 0, sizeof(*chain));
    chain->pieces = rig->pieces;
    chain->readable_bytes = readable;
    chain->writable_bytes = writable;
    chain->id = 5;
    while (readable + writable != 0) {
        uint32_t *left = readable != 0 ? &readable : &writable;
        const uint32_t len = *left < most ? *left : most;

        cr_assert(count < PIECES);
        *(left == &readable ? &chain->readable : &chain->writable) += 1;
        rig->pieces[count].base = at;
        rig->pieces[count++].len = len;
        at += len;
        *left -= len;
    }
}

static void header(struct rig *rig, uint32_t type, uint64_t sector)
{
    put(rig->memory, 4, type);
    put(rig->memory + 4, 4, 0xdeadbeef); /* Reserved: of no meaning. */
    put(rig->memory + 8, 8, sector);
}

static void range(struct rig *rig, unsigned i, uint64_t sector, uint32_t sectors, uint32_t flags)
{
    unsigned char *at = rig->memory + 16 + i * 16;

    put(at, 8, sector);
    put(at + 8, 4, sectors);
    put(at + 12, 4, flags);
}

/* Parses, carries out, finishes: the status, which is also the buffer's last byte. */
static uint32_t run(struct rig *rig, uint32_t flags)
{
    struct virtq_used_buffer used;
    const struct virtq_chain *chain = &rig->request.chain;
    unsigned char *last = rig->memory + chain->readable_bytes + chain->writable_bytes - 1;

    *last = 0xee;
    if (virtq_blk_request_parse(&rig->request, &rig->disk) == 1) {
        cr_assert_eq(rig->request.status, (uint32_t)VIRTIO_BLK_S_OK);
        cr_assert_eq(virtq_blk_request_run(&rig->request, rig->file, flags), 0);
    }
    used = virtq_blk_request_finish(&rig->request);
    cr_assert_eq(used.id, 5u);
    cr_assert_eq(used.len, chain->writable_bytes);
    cr_assert_eq(*last, rig->request.status);
    return rig->request.status;
}

static unsigned on_disk(const struct rig *rig, unsigned sector)
{
    unsigned char bytes[VIRTQ_BLK_SECTOR];

    cr_assert_eq(pread(rig->file, bytes, sizeof(bytes), (off_t)sector * VIRTQ_BLK_SECTOR),
                 (ssize_t)sizeof(bytes));
    for (unsigned i = 1; i < sizeof(bytes); i++) {
        cr_assert_eq(bytes[i], bytes[0]);
    }
    return bytes[0];
}

/* What a driver may send, and the status that it has to be given. Sectors are 1 + their number. */
static const struct {
    const char *what;
    uint64_t without; /* Features that the disk does not have. */
    uint64_t with;    /* And others that it has. */
    uint32_t type;
    uint32_t readable, writable;
    uint64_t sector;
    uint32_t status;
} requests[] = {
    {"a sector is read", 0, 0, VIRTIO_BLK_T_IN, 16, 513, 3, VIRTIO_BLK_S_OK},
    {"the last sector is read", 0, 0, VIRTIO_BLK_T_IN, 16, 513, 63, VIRTIO_BLK_S_OK},
    {"all are read", 0, 0, VIRTIO_BLK_T_IN, 16, 32769, 0, VIRTIO_BLK_S_OK},
    {"nothing is read", 0, 0, VIRTIO_BLK_T_IN, 16, 1, 0, VIRTIO_BLK_S_OK},
    {"nothing is read at the end", 0, 0, VIRTIO_BLK_T_IN, 16, 1, 64, VIRTIO_BLK_S_OK},
    {"nothing is read beyond", 0, 0, VIRTIO_BLK_T_IN, 16, 1, 65, VIRTIO_BLK_S_IOERR},
    {"a read beyond the end", 0, 0, VIRTIO_BLK_T_IN, 16, 513, 64, VIRTIO_BLK_S_IOERR},
    {"a read across the end", 0, 0, VIRTIO_BLK_T_IN, 16, 1025, 63, VIRTIO_BLK_S_IOERR},
    {"a sector that wraps", 0, 0, VIRTIO_BLK_T_IN, 16, 1025, UINT64_MAX, VIRTIO_BLK_S_IOERR},
    {"bytes that wrap", 0, 0, VIRTIO_BLK_T_IN, 16, 513, UINT64_C(1) << 55, VIRTIO_BLK_S_IOERR},
    {"half a sector is read", 0, 0, VIRTIO_BLK_T_IN, 16, 257, 0, VIRTIO_BLK_S_IOERR},
    {"no room beside the data", 0, 0, VIRTIO_BLK_T_IN, 16, 512, 0, VIRTIO_BLK_S_IOERR},
    {"a read with data to write", 0, 0, VIRTIO_BLK_T_IN, 528, 1, 0, VIRTIO_BLK_S_IOERR},
    {"a sector is written", 0, 0, VIRTIO_BLK_T_OUT, 528, 1, 3, VIRTIO_BLK_S_OK},
    {"nothing is written", 0, 0, VIRTIO_BLK_T_OUT, 16, 1, 3, VIRTIO_BLK_S_OK},
    {"a write across the end", 0, 0, VIRTIO_BLK_T_OUT, 1040, 1, 63, VIRTIO_BLK_S_IOERR},
    {"half a sector is written", 0, 0, VIRTIO_BLK_T_OUT, 272, 1, 0, VIRTIO_BLK_S_IOERR},
    {"a write with data to read", 0, 0, VIRTIO_BLK_T_OUT, 528, 513, 0, VIRTIO_BLK_S_IOERR},
    {"a write the wrong way round", 0, 0, VIRTIO_BLK_T_OUT, 16, 513, 0, VIRTIO_BLK_S_IOERR},
    {"a disk for reading is written", 0, F(VIRTIO_BLK_F_RO), VIRTIO_BLK_T_OUT, 528, 1, 0,
     VIRTIO_BLK_S_IOERR},
    {"a disk for reading is discarded", 0, F(VIRTIO_BLK_F_RO), VIRTIO_BLK_T_DISCARD, 32, 1, 0,
     VIRTIO_BLK_S_IOERR},
    {"half a header", 0, 0, VIRTIO_BLK_T_IN, 15, 513, 0, VIRTIO_BLK_S_IOERR},
    {"no header", 0, 0, VIRTIO_BLK_T_IN, 0, 513, 0, VIRTIO_BLK_S_IOERR},
    {"a flush", 0, 0, VIRTIO_BLK_T_FLUSH, 16, 1, 0, VIRTIO_BLK_S_OK},
    {"a flush with data and a sector", 0, 0, VIRTIO_BLK_T_FLUSH, 20, 9, 77, VIRTIO_BLK_S_OK},
    {"a flush of a disk without", F(VIRTIO_BLK_F_FLUSH), 0, VIRTIO_BLK_T_FLUSH, 16, 1, 0,
     VIRTIO_BLK_S_UNSUPP},
    {"a serial number", 0, 0, VIRTIO_BLK_T_GET_ID, 16, 21, 0, VIRTIO_BLK_S_OK},
    {"a serial number in too little", 0, 0, VIRTIO_BLK_T_GET_ID, 16, 20, 0, VIRTIO_BLK_S_IOERR},
    {"a serial number in too much", 0, 0, VIRTIO_BLK_T_GET_ID, 16, 513, 0, VIRTIO_BLK_S_IOERR},
    {"no ranges to discard", 0, 0, VIRTIO_BLK_T_DISCARD, 16, 1, 0, VIRTIO_BLK_S_IOERR},
    {"a range and a half", 0, 0, VIRTIO_BLK_T_DISCARD, 40, 1, 0, VIRTIO_BLK_S_IOERR},
    {"too many ranges", 0, 0, VIRTIO_BLK_T_DISCARD, 96, 1, 0, VIRTIO_BLK_S_IOERR},
    {"as many ranges as may be", 0, 0, VIRTIO_BLK_T_DISCARD, 80, 1, 0, VIRTIO_BLK_S_OK},
    {"a disk that discards nothing", F(VIRTIO_BLK_F_DISCARD), 0, VIRTIO_BLK_T_DISCARD, 32, 1, 0,
     VIRTIO_BLK_S_UNSUPP},
    {"a disk without write zeroes", F(VIRTIO_BLK_F_WRITE_ZEROES), 0, VIRTIO_BLK_T_WRITE_ZEROES, 32,
     1, 0, VIRTIO_BLK_S_UNSUPP},
    {"type 2, once SCSI", 0, 0, 2, 16, 513, 0, VIRTIO_BLK_S_UNSUPP},
    {"secure erase", 0, 0, 14, 32, 1, 0, VIRTIO_BLK_S_UNSUPP},
    {"a lifetime", 0, 0, 10, 16, 7, 0, VIRTIO_BLK_S_UNSUPP},
    {"a barrier of old", 0, 0, 0x80000000u, 16, 513, 0, VIRTIO_BLK_S_UNSUPP},
    {"the last type", 0, 0, UINT32_MAX, 16, 1, 0, VIRTIO_BLK_S_UNSUPP},
};

Test(host_blk_request, each_request_gets_its_status)
{
    static struct rig rig;

    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
        unsigned changed = 0;

        rig_open(&rig);
        rig.disk.features = (ALL & ~requests[i].without) | requests[i].with;
        shape(&rig, requests[i].readable, requests[i].writable, MEMORY);
        header(&rig, requests[i].type, requests[i].sector);
        cr_assert_eq(run(&rig, 0), requests[i].status, "%s: %u", requests[i].what,
                     rig.request.status);
        for (unsigned sector = 0; sector < SECTORS; sector++) {
            changed += on_disk(&rig, sector) != sector + 1;
        }
        cr_assert_eq(changed,
                     requests[i].type == VIRTIO_BLK_T_OUT &&
                         requests[i].status == VIRTIO_BLK_S_OK && requests[i].readable > 16,
                     "%s changes %u sectors", requests[i].what, changed);
        cr_assert_eq(close(rig.file), 0);
    }
}

Test(host_blk_request, a_buffer_without_room_for_a_status_is_given_back_as_it_is)
{
    static struct rig rig;
    struct virtq_used_buffer used;

    rig_open(&rig);
    shape(&rig, 528, 0, MEMORY);
    header(&rig, VIRTIO_BLK_T_OUT, 3);
    cr_assert_eq(virtq_blk_request_parse(&rig.request, &rig.disk), 0);
    used = virtq_blk_request_finish(&rig.request);
    cr_assert_eq(used.len, 0u);
    shape(&rig, 0, 0, MEMORY); /* As a bad buffer comes. */
    rig.request.chain.reason = (uint32_t)VIRTQ_REASON_PIECES;
    cr_assert_eq(virtq_blk_request_parse(&rig.request, &rig.disk), 0);
    used = virtq_blk_request_finish(&rig.request);
    cr_assert(used.len == 0 && used.id == 5);
    cr_assert_eq(close(rig.file), 0);
}

/* Nothing may be assumed of how a request lies in pieces. [virtio 1.4, Message Framing] */
Test(host_blk_request, data_is_moved_whatever_the_pieces)
{
    static const uint32_t most[] = {241, 300, 511, 512, 1000, MEMORY};
    static struct rig rig;

    for (size_t i = 0; i < sizeof(most) / sizeof(most[0]); i++) {
        rig_open(&rig);
        shape(&rig, 16, 1025, most[i]);
        header(&rig, VIRTIO_BLK_T_IN, 7);
        cr_assert_eq(run(&rig, 0), (uint32_t)VIRTIO_BLK_S_OK);
        cr_assert_eq(rig.request.done, UINT64_C(1024));
        cr_assert(rig.memory[16] == 8 && rig.memory[527] == 8 && rig.memory[528] == 9 &&
                  rig.memory[1039] == 9);
        shape(&rig, 16 + 1024, 1, most[i]);
        header(&rig, VIRTIO_BLK_T_OUT, 20);
        memset(rig.memory + 16, 0x55, 512);
        memset(rig.memory + 528, 0x66, 512);
        cr_assert_eq(run(&rig, VIRTQ_BLK_STABLE), (uint32_t)VIRTIO_BLK_S_OK);
        cr_assert(on_disk(&rig, 19) == 20 && on_disk(&rig, 20) == 0x55 &&
                  on_disk(&rig, 21) == 0x66 && on_disk(&rig, 22) == 23);
        cr_assert_eq(close(rig.file), 0);
    }
}

Test(host_blk_request, a_request_goes_on_where_it_stopped)
{
    static struct rig rig;
    struct iovec vector[PIECES];

    rig_open(&rig);
    shape(&rig, 16, 1025, 500);
    header(&rig, VIRTIO_BLK_T_IN, 7);
    cr_assert_eq(virtq_blk_request_parse(&rig.request, &rig.disk), 1);
    cr_assert_eq(virtq_blk_request_vector(&rig.request, vector, 1), 1u);
    cr_assert(vector[0].iov_base == rig.memory + 16 && vector[0].iov_len == 500);
    rig.request.done = 700;
    cr_assert_eq(virtq_blk_request_vector(&rig.request, vector, PIECES), 2u);
    cr_assert(vector[0].iov_base == rig.memory + 716 && vector[0].iov_len == 300);
    cr_assert(vector[1].iov_len == 24, "the status is no data");
    cr_assert_eq(virtq_blk_request_run(&rig.request, rig.file, 0), 0);
    cr_assert(rig.memory[16] == 0 && rig.memory[715] == 0 && rig.memory[716] == 9);
    cr_assert_eq(close(rig.file), 0);
}

Test(host_blk_request, a_file_that_ends_early_is_an_error)
{
    static struct rig rig;

    rig_open(&rig);
    cr_assert_eq(ftruncate(rig.file, 4 * VIRTQ_BLK_SECTOR + 100), 0);
    shape(&rig, 16, 1025, MEMORY);
    header(&rig, VIRTIO_BLK_T_IN, 3);
    cr_assert_eq(run(&rig, 0), (uint32_t)VIRTIO_BLK_S_IOERR);
    cr_assert_eq(close(rig.file), 0);
    shape(&rig, 528, 1, MEMORY);
    header(&rig, VIRTIO_BLK_T_OUT, 3);
    cr_assert_eq(run(&rig, 0), (uint32_t)VIRTIO_BLK_S_IOERR, "a file that cannot be written");
    shape(&rig, 16, 1, MEMORY);
    header(&rig, VIRTIO_BLK_T_FLUSH, 0);
    cr_assert_eq(run(&rig, 0), (uint32_t)VIRTIO_BLK_S_IOERR, "or flushed");
}

Test(host_blk_request, nothing_but_a_read_begins_without_waiting)
{
    static const uint32_t types[] = {VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_FLUSH, VIRTIO_BLK_T_DISCARD};
    static struct rig rig;

    rig_open(&rig);
    for (unsigned i = 0; i < 3; i++) {
        shape(&rig, types[i] == VIRTIO_BLK_T_OUT ? 528 : 32, 1, MEMORY);
        header(&rig, types[i], 3);
        cr_assert_eq(virtq_blk_request_parse(&rig.request, &rig.disk), 1);
        cr_assert_eq(virtq_blk_request_run(&rig.request, rig.file, VIRTQ_BLK_NOWAIT), VIRTQ_EBUSY);
    }
    cr_assert_eq(on_disk(&rig, 3), 4u);
    cr_assert_eq(close(rig.file), 0);
}

/* Two ranges of which the second is as given: the status, and whether the first was touched. */
static const struct {
    const char *what;
    uint32_t type;
    uint64_t sector;
    uint32_t sectors, flags;
    uint32_t status;
} ranges[] = {
    {"discard", VIRTIO_BLK_T_DISCARD, 10, 2, 0, VIRTIO_BLK_S_OK},
    {"discard with unmap", VIRTIO_BLK_T_DISCARD, 10, 2, 1, VIRTIO_BLK_S_UNSUPP},
    {"discard with a flag", VIRTIO_BLK_T_DISCARD, 10, 2, 2, VIRTIO_BLK_S_UNSUPP},
    {"a flag, and beyond", VIRTIO_BLK_T_DISCARD, 99, 2, 0x80000000u, VIRTIO_BLK_S_UNSUPP},
    {"discard beyond", VIRTIO_BLK_T_DISCARD, 64, 1, 0, VIRTIO_BLK_S_IOERR},
    {"discard across", VIRTIO_BLK_T_DISCARD, 63, 2, 0, VIRTIO_BLK_S_IOERR},
    {"discard too much", VIRTIO_BLK_T_DISCARD, 0, 33, 0, VIRTIO_BLK_S_IOERR},
    {"discard that wraps", VIRTIO_BLK_T_DISCARD, UINT64_MAX, 2, 0, VIRTIO_BLK_S_IOERR},
    {"discard nothing", VIRTIO_BLK_T_DISCARD, 10, 0, 0, VIRTIO_BLK_S_OK},
    {"zeroes", VIRTIO_BLK_T_WRITE_ZEROES, 10, 2, 0, VIRTIO_BLK_S_OK},
    {"zeroes with unmap", VIRTIO_BLK_T_WRITE_ZEROES, 10, 2, 1, VIRTIO_BLK_S_OK},
    {"zeroes with a flag", VIRTIO_BLK_T_WRITE_ZEROES, 10, 2, 2, VIRTIO_BLK_S_UNSUPP},
    {"zeroes with two flags", VIRTIO_BLK_T_WRITE_ZEROES, 10, 2, 3, VIRTIO_BLK_S_UNSUPP},
    {"zeroes across", VIRTIO_BLK_T_WRITE_ZEROES, 63, 2, 0, VIRTIO_BLK_S_IOERR},
    {"zeroes at the end", VIRTIO_BLK_T_WRITE_ZEROES, 32, 32, 0, VIRTIO_BLK_S_OK},
};

Test(host_blk_request, ranges_are_all_judged_before_one_is_touched)
{
    static struct rig rig;

    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
        const bool done = ranges[i].status == VIRTIO_BLK_S_OK;
        const uint64_t end = ranges[i].sector + ranges[i].sectors;

        rig_open(&rig);
        shape(&rig, 48, 1, MEMORY);
        header(&rig, ranges[i].type, 0);
        range(&rig, 0, 4, 3, 0);
        range(&rig, 1, ranges[i].sector, ranges[i].sectors, ranges[i].flags);
        cr_assert_eq(run(&rig, i % 2 != 0 ? VIRTQ_BLK_STABLE : 0), ranges[i].status, "%s: %u",
                     ranges[i].what, rig.request.status);
        for (unsigned sector = 0; sector < SECTORS; sector++) {
            const bool in = done && ((sector >= 4 && sector < 7) ||
                                     (sector >= ranges[i].sector && sector < end));

            /* A discard may do nothing; here it makes holes. */
            cr_assert_eq(on_disk(&rig, sector), in ? 0 : sector + 1, "%s: sector %u",
                         ranges[i].what, sector);
        }
        cr_assert_eq(close(rig.file), 0);
    }
}

Test(host_blk_request, the_configuration_space_says_what_is_offered)
{
    static struct rig rig;
    unsigned char config[VIRTQ_BLK_CONFIG_SIZE + 1];
    struct virtq_blk_disk bad;

    rig_open(&rig);
    cr_assert_eq(close(rig.file), 0);
    rig.disk.queues = 3;
    rig.disk.block_size = 4096;
    rig.disk.segments_max = 254;
    rig.disk.sectors = UINT64_C(0x123456789a);
    memset(config, 0xee, sizeof(config));
    cr_assert_eq(virtq_blk_disk_config(&rig.disk, config), 0);
    cr_assert_eq(config[VIRTQ_BLK_CONFIG_SIZE], 0xee);
    cr_assert(memcmp(config, "\x9a\x78\x56\x34\x12\0\0\0", 8) == 0);
    cr_assert(config[12] == 254 && config[20] == 0 && config[21] == 16 && config[34] == 3);
    cr_assert(config[36] == 32 && config[40] == 4 && config[44] == 8);
    cr_assert(config[48] == 32 && config[52] == 4 && config[56] == 1);
    rig.disk.features = 0;
    cr_assert_eq(virtq_blk_disk_config(&rig.disk, config), 0);
    for (unsigned i = 8; i < VIRTQ_BLK_CONFIG_SIZE; i++) {
        cr_assert_eq(config[i], 0);
    }
    memset(config, 0xee, sizeof(config));
    for (unsigned i = 0; i < 9; i++) {
        bad = rig.disk;
        bad.struct_size -= i == 0;
        bad.block_size = i == 1 ? 700 : (i == 2 ? 256 : 512);
        bad.queues = i == 3 ? 0 : (i == 4 ? 65536 : 1);
        bad.segments_max = i == 5 ? 0 : 1;
        bad.range_sectors = i == 6 ? 0 : 1;
        bad.ranges_max = i == 7 ? VIRTQ_BLK_RANGES_MAX + 1 : 1;
        bad.sectors = i == 8 ? UINT64_MAX / 1024 + 1 : 1;
        cr_assert_eq(virtq_blk_disk_config(&bad, config), VIRTQ_EINVAL, "%u", i);
    }
    cr_assert_eq(config[0], 0xee);
}
