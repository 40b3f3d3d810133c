/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <unistd.h>

#include "virtq/host/blk.h"

/* Entries of one call, and the zeroes that one of them writes. */
enum { VECTOR = 64, ZEROES = 4096 };

static bool unknown(int error)
{
    return error == EOPNOTSUPP || error == ENOSYS;
}

/* Reads what is left: 0 or VIRTQ_EBUSY. A file that ends early is an error. */
static int read_data(struct virtq_blk_request *request, int file, bool nowait)
{
    while (request->done < request->len) {
        struct iovec vector[VECTOR];
        const int count = (int)virtq_blk_request_vector(request, vector, VECTOR);
        const ssize_t moved = preadv2(file, vector, count, (off_t)(request->offset + request->done),
                                      nowait ? RWF_NOWAIT : 0);

        if (moved > 0) {
            request->done += (uint64_t)moved;
        } else if (moved < 0 && nowait && (errno == EAGAIN || unknown(errno))) {
            return VIRTQ_EBUSY;
        } else if (moved == 0 || errno != EINTR) {
            request->status = VIRTIO_BLK_S_IOERR;
            break;
        }
    }
    return VIRTQ_OK;
}

static bool write_data(struct virtq_blk_request *request, int file, bool stable)
{
    int flag = stable ? RWF_DSYNC : 0;

    while (request->done < request->len) {
        struct iovec vector[VECTOR];
        const int count = (int)virtq_blk_request_vector(request, vector, VECTOR);
        const ssize_t moved =
            pwritev2(file, vector, count, (off_t)(request->offset + request->done), flag);

        if (moved > 0) {
            request->done += (uint64_t)moved;
        } else if (moved < 0 && flag != 0 && unknown(errno)) {
            flag = 0; /* Then all of it together, below. */
        } else if (moved == 0 || errno != EINTR) {
            return false;
        }
    }
    return !stable || flag != 0 || fdatasync(file) == 0;
}

static bool write_zeroes(int file, const struct virtq_blk_range *range)
{
    static const unsigned char zeroes[ZEROES];
    uint64_t done = 0;

    while (done < range->len) {
        struct iovec vector[VECTOR];
        uint64_t left = range->len - done;
        ssize_t moved;
        int count = 0;

        while (left != 0 && count < VECTOR) {
            vector[count].iov_base = (void *)(uintptr_t)zeroes;
            vector[count].iov_len = left < ZEROES ? (size_t)left : ZEROES;
            left -= vector[count].iov_len;
            count++;
        }
        moved = pwritev(file, vector, count, (off_t)(range->offset + done));
        if (moved > 0) {
            done += (uint64_t)moved;
        } else if (moved == 0 || errno != EINTR) {
            return false;
        }
    }
    return true;
}

/* 1 done, 0 not to be had here, -1 an error. */
static int allocate(int file, int mode, const struct virtq_blk_range *range)
{
    int result;

    do {
        result =
            fallocate(file, mode | FALLOC_FL_KEEP_SIZE, (off_t)range->offset, (off_t)range->len);
    } while (result != 0 && errno == EINTR);
    return result == 0 ? 1 : (unknown(errno) ? 0 : -1);
}

static bool change(const struct virtq_blk_request *request, int file,
                   const struct virtq_blk_range *range)
{
    const bool hole = request->type == VIRTIO_BLK_T_DISCARD || range->unmap != 0;
    int done = 1;

    if (range->len != 0) { /* fallocate() takes none. */
        done = allocate(file, hole ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE, range);
    }
    if (done == 0) {
        return request->type == VIRTIO_BLK_T_DISCARD || write_zeroes(file, range);
    }
    return done == 1;
}

static bool change_all(const struct virtq_blk_request *request, int file, bool stable)
{
    uint32_t i;

    for (i = 0; i < request->range_count; i++) {
        if (!change(request, file, &request->ranges[i])) {
            return false;
        }
    }
    return !stable || fdatasync(file) == 0;
}

VIRTQ_API int virtq_blk_request_run(struct virtq_blk_request *request, int file, uint32_t flags)
{
    const bool stable = (flags & VIRTQ_BLK_STABLE) != 0;
    const bool nowait = (flags & VIRTQ_BLK_NOWAIT) != 0;
    bool done;

    if (request->type == VIRTIO_BLK_T_IN) {
        return read_data(request, file, nowait);
    }
    if (nowait) {
        return VIRTQ_EBUSY;
    }
    if (request->type == VIRTIO_BLK_T_OUT) {
        done = write_data(request, file, stable);
    } else if (request->type == VIRTIO_BLK_T_FLUSH) {
        done = fdatasync(file) == 0;
    } else {
        done = change_all(request, file, stable);
    }
    if (!done) {
        request->status = VIRTIO_BLK_S_IOERR;
    }
    return VIRTQ_OK;
}
