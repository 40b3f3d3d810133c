/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "virtq/error.h"
#include "virtq/feature.h"
#include "virtq/host/blk.h"

/* Where the fields begin. [virtio 1.4, Block Device, Device configuration layout] */
enum {
    CAPACITY = 0,
    SEG_MAX = 12,
    BLK_SIZE = 20,
    NUM_QUEUES = 34,
    MAX_DISCARD_SECTORS = 36,
    MAX_DISCARD_SEG = 40,
    DISCARD_SECTOR_ALIGNMENT = 44,
    MAX_WRITE_ZEROES_SECTORS = 48,
    MAX_WRITE_ZEROES_SEG = 52,
    WRITE_ZEROES_MAY_UNMAP = 56
};

static void put(unsigned char *bytes, unsigned count, uint64_t word)
{
    unsigned i;

    for (i = 0; i < count; i++, word >>= 8) {
        bytes[i] = (unsigned char)word;
    }
}

static int legal(const struct virtq_blk_disk *disk)
{
    return disk->struct_size == sizeof(*disk) && disk->sectors <= INT64_MAX / VIRTQ_BLK_SECTOR &&
           disk->block_size >= VIRTQ_BLK_SECTOR &&
           (disk->block_size & (disk->block_size - 1)) == 0 && disk->segments_max != 0 &&
           disk->queues != 0 && disk->queues <= UINT16_MAX && disk->range_sectors != 0 &&
           disk->ranges_max != 0 && disk->ranges_max <= VIRTQ_BLK_RANGES_MAX;
}

VIRTQ_API int virtq_blk_disk_config(const struct virtq_blk_disk *disk, unsigned char *config)
{
    if (!legal(disk)) {
        return VIRTQ_EINVAL;
    }
    memset(config, 0, VIRTQ_BLK_CONFIG_SIZE);
    put(config + CAPACITY, 8, disk->sectors);
    if (virtq_feature_has(disk->features, VIRTIO_BLK_F_SEG_MAX)) {
        put(config + SEG_MAX, 4, disk->segments_max);
    }
    if (virtq_feature_has(disk->features, VIRTIO_BLK_F_BLK_SIZE)) {
        put(config + BLK_SIZE, 4, disk->block_size);
    }
    if (virtq_feature_has(disk->features, VIRTIO_BLK_F_MQ)) {
        put(config + NUM_QUEUES, 2, disk->queues);
    }
    if (virtq_feature_has(disk->features, VIRTIO_BLK_F_DISCARD)) {
        put(config + MAX_DISCARD_SECTORS, 4, disk->range_sectors);
        put(config + MAX_DISCARD_SEG, 4, disk->ranges_max);
        put(config + DISCARD_SECTOR_ALIGNMENT, 4, disk->block_size / VIRTQ_BLK_SECTOR);
    }
    if (virtq_feature_has(disk->features, VIRTIO_BLK_F_WRITE_ZEROES)) {
        put(config + MAX_WRITE_ZEROES_SECTORS, 4, disk->range_sectors);
        put(config + MAX_WRITE_ZEROES_SEG, 4, disk->ranges_max);
        config[WRITE_ZEROES_MAY_UNMAP] = 1;
    }
    return VIRTQ_OK;
}

/* Bytes of a disk; -1: it is none. Of what else there is the end may be anywhere, or nowhere. */
static off_t size_of(int file)
{
    struct stat status;

    if (fstat(file, &status) != 0) {
        return -1;
    }
    if (!S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode)) {
        errno = S_ISDIR(status.st_mode) ? EISDIR : ENOTBLK;
        return -1;
    }
    return lseek(file, 0, SEEK_END);
}

VIRTQ_API int virtq_blk_disk_open(struct virtq_blk_disk *disk, const char *path, int flags)
{
    const int access = flags & O_ACCMODE;
    const int file = open(path, access | O_CLOEXEC);
    const off_t size = file < 0 ? -1 : size_of(file);

    if (size < 0) {
        const int system = errno;

        if (file >= 0) {
            (void)close(file);
        }
        errno = system;
        return VIRTQ_EINVAL;
    }
    disk->sectors = (uint64_t)size / VIRTQ_BLK_SECTOR;
    disk->features = VIRTQ_FEATURE(VIRTIO_BLK_F_SEG_MAX) | VIRTQ_FEATURE(VIRTIO_BLK_F_BLK_SIZE) |
                     VIRTQ_FEATURE(VIRTIO_BLK_F_FLUSH) | VIRTQ_FEATURE(VIRTIO_BLK_F_MQ);
    disk->features |= access == O_RDONLY ? VIRTQ_FEATURE(VIRTIO_BLK_F_RO)
                                         : VIRTQ_FEATURE(VIRTIO_BLK_F_DISCARD) |
                                               VIRTQ_FEATURE(VIRTIO_BLK_F_WRITE_ZEROES);
    return file;
}

VIRTQ_API int virtq_blk_file_waits(int file)
{
    struct statfs system;

    return fstatfs(file, &system) != 0 ||
           (system.f_type != TMPFS_MAGIC && system.f_type != RAMFS_MAGIC);
}
