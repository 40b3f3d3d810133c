/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_blk
 * @brief The block device's requests: parsed out of a popped buffer, judged, carried out on a file,
 * and finished. And its configuration space.
 *
 * In order of use:
 *
 *     virtq_device_pop(device, &request->chain, 1, pieces, count);
 *     if (virtq_blk_request_parse(request, &disk) == 1) {
 *         virtq_blk_request_run(request, file, 0);    // or by means of the caller's own
 *     }
 *     used = virtq_blk_request_finish(request);
 *     virtq_device_push(device, &used, 1);
 *
 * The driver is hostile: a request that is malformed, too long, beyond the end of the disk or of an
 * unknown kind is answered with the status that the specification asks for, and nothing else
 * happens. The header and the ranges are copied before they are judged.
 *
 * Source: [virtio 1.4, Block Device]
 */
#ifndef VIRTQ_HOST_BLK_H
#define VIRTQ_HOST_BLK_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "../api.h"
#include "../chain.h"
#include "../device.h"

VIRTQ_BEGIN_DECLS

#ifndef VIRTIO_BLK_F_SEG_MAX
/** @brief Feature bit: the most segments of a request are known. */
#    define VIRTIO_BLK_F_SEG_MAX 2
#endif
#ifndef VIRTIO_BLK_F_RO
/** @brief Feature bit: the disk cannot be written. */
#    define VIRTIO_BLK_F_RO 5
#endif
#ifndef VIRTIO_BLK_F_BLK_SIZE
/** @brief Feature bit: the best size of a block is known. */
#    define VIRTIO_BLK_F_BLK_SIZE 6
#endif
#ifndef VIRTIO_BLK_F_FLUSH
/** @brief Feature bit: there is #VIRTIO_BLK_T_FLUSH. */
#    define VIRTIO_BLK_F_FLUSH 9
#endif
#ifndef VIRTIO_BLK_F_MQ
/** @brief Feature bit: there may be several queues. */
#    define VIRTIO_BLK_F_MQ 12
#endif
#ifndef VIRTIO_BLK_F_DISCARD
/** @brief Feature bit: there is #VIRTIO_BLK_T_DISCARD. */
#    define VIRTIO_BLK_F_DISCARD 13
#endif
#ifndef VIRTIO_BLK_F_WRITE_ZEROES
/** @brief Feature bit: there is #VIRTIO_BLK_T_WRITE_ZEROES. */
#    define VIRTIO_BLK_F_WRITE_ZEROES 14
#endif
#ifndef VIRTIO_BLK_T_IN
/** @brief Request: read sectors. */
#    define VIRTIO_BLK_T_IN 0
/** @brief Request: write sectors. */
#    define VIRTIO_BLK_T_OUT 1
#endif
#ifndef VIRTIO_BLK_T_FLUSH
/** @brief Request: what was written shall be stable. */
#    define VIRTIO_BLK_T_FLUSH 4
#endif
#ifndef VIRTIO_BLK_T_GET_ID
/** @brief Request: the disk's serial number. */
#    define VIRTIO_BLK_T_GET_ID 8
#endif
#ifndef VIRTIO_BLK_T_DISCARD
/** @brief Request: sectors whose content is not needed any more. */
#    define VIRTIO_BLK_T_DISCARD 11
#endif
#ifndef VIRTIO_BLK_T_WRITE_ZEROES
/** @brief Request: sectors that shall be zero. */
#    define VIRTIO_BLK_T_WRITE_ZEROES 13
#endif
#ifndef VIRTIO_BLK_S_OK
/** @brief Status: done. */
#    define VIRTIO_BLK_S_OK 0
/** @brief Status: an error of the device or of the driver. */
#    define VIRTIO_BLK_S_IOERR 1
/** @brief Status: this device cannot do that. */
#    define VIRTIO_BLK_S_UNSUPP 2
#endif

/** @brief Bytes of a sector, the protocol's unit, whatever the size of a block. */
#define VIRTQ_BLK_SECTOR 512
/** @brief Bytes of the configuration space, up to the fields of write zeroes. */
#define VIRTQ_BLK_CONFIG_SIZE 60
/** @brief Bytes of a serial number; one of this length has no NUL at its end. */
#define VIRTQ_BLK_SERIAL_SIZE 20
/** @brief Most ranges of one request to discard or to write zeroes. */
#define VIRTQ_BLK_RANGES_MAX 16

/** @brief What a disk is. Begin with #VIRTQ_BLK_DISK_INIT. */
struct virtq_blk_disk {
    size_t struct_size;     /**< sizeof(struct virtq_blk_disk): lets the struct grow. */
    uint64_t features;      /**< The VIRTIO_BLK_F_ bits that the device offers, as a set; others
                                 are ignored. */
    uint64_t sectors;       /**< Its size, in sectors of 512 bytes. */
    uint32_t block_size;    /**< Best size of a block in bytes: a power of two from 512 on. */
    uint32_t segments_max;  /**< Most segments of data in a request; at least 1. */
    uint32_t queues;        /**< Queues; 1 to 65535. */
    uint32_t range_sectors; /**< Most sectors in a range to discard or to zero; at least 1. */
    uint32_t ranges_max;    /**< Most such ranges in a request, 1 to #VIRTQ_BLK_RANGES_MAX. */
    char serial[VIRTQ_BLK_SERIAL_SIZE]; /**< Its serial number, filled up with NUL. */
};

/** @brief The initial value of a struct virtq_blk_disk: no features, no sectors. */
#define VIRTQ_BLK_DISK_INIT                                                                       \
    {                                                                                             \
        sizeof(struct virtq_blk_disk), 0, 0, VIRTQ_BLK_SECTOR, 1, 1, 32768, VIRTQ_BLK_RANGES_MAX, \
            ""                                                                                    \
    }

/** @brief A range to discard or to zero. */
struct virtq_blk_range {
    uint64_t offset; /**< First byte, on the disk. */
    uint64_t len;    /**< Bytes; may be 0. */
    uint32_t unmap;  /**< 1: the range may become a hole; only if zeroes are to be written. */
    uint32_t reserved_;
};

/** @brief A request. The caller owns the memory, and that of the pieces, until it is finished. */
struct virtq_blk_request {
    struct virtq_chain chain; /**< The buffer; virtq_device_pop() fills it in. */
    uint32_t type;            /**< A VIRTIO_BLK_T_. */
    uint32_t status;          /**< A VIRTIO_BLK_S_: what virtq_blk_request_finish() will answer. */
    uint64_t offset;          /**< Reads and writes: first byte on the disk. */
    uint64_t len;             /**< Reads and writes: bytes of data; all lie on the disk. */
    uint64_t done;            /**< Of these, those that have been moved. */
    uint32_t range_count;     /**< Discard and write zeroes: how many ranges there are. */
    uint32_t reserved_;
    struct virtq_blk_range ranges[VIRTQ_BLK_RANGES_MAX]; /**< `range_count` of them; all lie on the
                                                              disk. */
};

/** @brief Flags of virtq_blk_request_run(). */
enum virtq_blk_run_flag {
    VIRTQ_BLK_NOWAIT = 1, /**< Reads: only what is in memory already. Writes and all else are not
                               begun. */
    VIRTQ_BLK_STABLE = 2  /**< What is written is stable before it is reported: for a driver that
                               was offered VIRTIO_BLK_F_FLUSH and did not accept it. */
};

/** @brief Opens a file or a block device to be a disk, and says what disk that is: its size, and
 * the features that virtq_blk_request_run() can carry out on it.
 * @param disk  `sectors` and `features` are the result
 * @param path  the file
 * @param flags O_RDWR, or O_RDONLY: the driver cannot write
 * @return a descriptor, the caller's; VIRTQ_EINVAL: it cannot be opened, or is neither. Then
 * `errno` holds the system's error, and `disk` is as it was. Any thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_blk_disk_open(struct virtq_blk_disk *disk, const char *path,
                                                   int flags);

/** @brief Whether what a file holds may have to be waited for: if not, a carrier (blk_ring.h) costs
 * and brings nothing.
 * @param file a descriptor
 * @return 0: it is all in memory (tmpfs, ramfs); 1: it may lie elsewhere. Any thread. */
VIRTQ_API int virtq_blk_file_waits(int file);

/** @brief The configuration space of a disk, as the driver sees it.
 * @param disk   what it is
 * @param config result: #VIRTQ_BLK_CONFIG_SIZE bytes; untouched on an error
 * @return 0, or VIRTQ_EINVAL: a member of `disk` is out of its range. Any thread.
 * Source: [virtio 1.4, Block Device, Device configuration layout] */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_blk_disk_config(const struct virtq_blk_disk *disk,
                                                     unsigned char *config);

/** @brief Reads and judges a request's header, and answers what needs no disk.
 * @param request `chain` is a popped buffer, bad ones included; the rest is the result
 * @param disk    one that virtq_blk_disk_config() accepts
 * @return 1: to be carried out, virtq_blk_request::status is #VIRTIO_BLK_S_OK; 0: nothing is left
 * to be done but virtq_blk_request_finish(). Any thread, while the guest's memory may be touched.
 * Source: [virtio 1.4, Block Device, Device Operation] */
VIRTQ_API int virtq_blk_request_parse(struct virtq_blk_request *request,
                                      const struct virtq_blk_disk *disk);

/** @brief Where the rest of a read's or write's data lies in memory, from virtq_blk_request::done
 * on.
 * @param request a parsed request to read or to write
 * @param vector  result: room for `room` entries
 * @param room    at least 1
 * @return how many were filled in: fewer than all that is left if `room` is too small. Any thread.
 */
VIRTQ_API unsigned virtq_blk_request_vector(const struct virtq_blk_request *request,
                                            struct iovec *vector, unsigned room);

/** @brief Carries a parsed request out, and waits for it.
 *
 * Goes on at virtq_blk_request::done: what began otherwise can be ended here. A filesystem that
 * cannot punch holes leaves discarded sectors as they are, and is written zeroes.
 * @param request a request that virtq_blk_request_parse() said is to be carried out; its status and
 * `done` are the result
 * @param file    the disk's file or block device
 * @param flags   a set of enum virtq_blk_run_flag
 * @return 0: it is done, well or badly; VIRTQ_EBUSY: with #VIRTQ_BLK_NOWAIT, what has not been done
 * would wait. Any thread, while the guest's memory may be touched. */
VIRTQ_API int virtq_blk_request_run(struct virtq_blk_request *request, int file, uint32_t flags);

/** @brief Writes the status. The data of a read that failed stays as it is.
 * @param request a parsed request; its memory is the caller's again
 * @return what virtq_device_push() wants; its length is 0 if the buffer has no room for a status,
 * else it takes in all up to the status, which is last. Any thread, while the guest's memory may be
 * touched. */
VIRTQ_API VIRTQ_MUST_CHECK struct virtq_used_buffer virtq_blk_request_finish(
    const struct virtq_blk_request *request);

VIRTQ_END_DECLS

#endif
