/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_chain
 * @brief A buffer that the device end has popped: its pieces, and cursors that read and write
 * across them.
 *
 * The driver may change the bytes of a buffer at any time, even while they are read here. Copy
 * first, then check the copy. [virtio 1.4, Message Framing]: nothing may be assumed about where one
 * piece ends and the next begins.
 */
#ifndef VIRTQ_CHAIN_H
#define VIRTQ_CHAIN_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "types.h"

VIRTQ_BEGIN_DECLS

/** @brief A part of a buffer that is contiguous in this program's memory. */
struct virtq_piece {
    union {
        void *base; /**< First byte. */
        virtq_addr_t
            addr; /**< Device address instead, for a queue on a VIRTQ_SPACE_PREMAPPED space. */
    };
    uint32_t len; /**< Bytes, at least 1. */
};

/** @brief A popped buffer. Every popped chain, bad ones too, is to be given back with
 * virtq_device_push() or virtq_device_unpop(). */
struct virtq_chain {
    struct virtq_piece
        *pieces; /**< In the array the caller gave to virtq_device_pop(): readable ones first. */
    uint64_t readable_bytes; /**< Bytes of the device-readable part. */
    uint64_t writable_bytes; /**< Bytes of the device-writable part. */
    uint32_t readable;       /**< How many pieces the device may read. */
    uint32_t writable;       /**< How many pieces the device may write, after those. */
    uint16_t id;             /**< Head (split) or buffer id (packed): what virtq_device_push()
                                wants. */
    uint16_t reserved_;
    uint32_t reason; /**< VIRTQ_REASON_NONE, or why the buffer is bad: then it has no pieces. */
};

/** @brief A position in a run of pieces. Fields are private; any number of cursors may look at one
 * chain. */
struct virtq_cursor {
    const struct virtq_piece *piece; /**< The piece the next byte is in. */
    uint64_t left;                   /**< Bytes left in all. */
    uint64_t moved;                  /**< Bytes passed. */
    uint32_t offset;                 /**< Bytes passed in `piece`. */
    uint32_t reserved_;
};

/** @brief A cursor at the start of the device-readable part.
 * @param chain a popped chain; its pieces must stay as they are while the cursor is used
 * @return the cursor; no error is possible */
VIRTQ_API struct virtq_cursor virtq_chain_reader(const struct virtq_chain *chain);

/** @brief A cursor at the start of the device-writable part.
 * @param chain a popped chain; its pieces must stay as they are while the cursor is used
 * @return the cursor; no error is possible */
VIRTQ_API struct virtq_cursor virtq_chain_writer(const struct virtq_chain *chain);

/** @brief Copies bytes out of the buffer and moves on.
 * @param reader a cursor of virtq_chain_reader()
 * @param to     room for `len` bytes
 * @param len    bytes wanted
 * @return bytes copied: less than `len` only at the end of the part */
VIRTQ_API size_t virtq_cursor_read(struct virtq_cursor *reader, void *to, size_t len);

/** @brief Copies exactly `len` bytes out of the buffer, or nothing.
 * @param reader a cursor of virtq_chain_reader()
 * @param to     room for `len` bytes
 * @param len    bytes wanted
 * @return 0, or VIRTQ_ETOOBIG with the cursor where it was if fewer are left */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_cursor_read_exact(struct virtq_cursor *reader, void *to,
                                                       size_t len);

/** @brief Copies bytes out of the buffer without moving.
 * @param reader a cursor
 * @param to     room for `len` bytes
 * @param len    bytes wanted
 * @return bytes copied */
VIRTQ_API size_t virtq_cursor_peek(const struct virtq_cursor *reader, void *to, size_t len);

/** @brief Copies bytes into the buffer and moves on.
 * @param writer a cursor of virtq_chain_writer()
 * @param from   `len` bytes
 * @param len    bytes to write
 * @return bytes copied: less than `len` only at the end of the part. Push virtq_cursor_moved() as
 * the length. */
VIRTQ_API size_t virtq_cursor_write(struct virtq_cursor *writer, const void *from, size_t len);

/** @brief Copies from a reader to a writer, piece by piece, and moves both.
 * @param writer where to
 * @param reader where from; of this or of another chain
 * @param len    bytes wanted
 * @return bytes copied: the least of `len` and what either has left */
VIRTQ_API size_t virtq_cursor_copy(struct virtq_cursor *writer, struct virtq_cursor *reader,
                                   size_t len);

/** @brief Moves on without touching the bytes.
 * @param cursor a cursor
 * @param len    bytes to pass over
 * @return bytes passed over: less than `len` only at the end of the part */
VIRTQ_API uint64_t virtq_cursor_skip(struct virtq_cursor *cursor, uint64_t len);

/** @brief The longest run of contiguous bytes at the cursor, for work without a copy.
 * @param cursor a cursor; does not move, use virtq_cursor_skip()
 * @param base   result: where the run begins; untouched if it is empty
 * @return its bytes, 0 at the end */
VIRTQ_API size_t virtq_cursor_span(const struct virtq_cursor *cursor, void **base);

/** @brief Bytes left.
 * @param cursor a cursor
 * @return bytes between it and the end of its part */
VIRTQ_INLINE uint64_t virtq_cursor_left(const struct virtq_cursor *cursor)
{
    return cursor->left;
}

/** @brief Bytes passed.
 * @param cursor a cursor
 * @return bytes between the start of its part and it */
VIRTQ_INLINE uint64_t virtq_cursor_moved(const struct virtq_cursor *cursor)
{
    return cursor->moved;
}

VIRTQ_END_DECLS

#endif
