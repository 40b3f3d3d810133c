/* SPDX-License-Identifier: BSD-3-Clause */
/* Cursors over a popped buffer. Bytes are copied with memcpy: the driver may change them meanwhile,
 * which harms only who checks before copying. */
#include "virtq/chain.h"

#include <string.h>

static struct virtq_cursor cursor_at(const struct virtq_piece *piece, uint64_t bytes)
{
    struct virtq_cursor cursor = {piece, bytes, 0, 0, 0};

    return cursor;
}

VIRTQ_API struct virtq_cursor virtq_chain_reader(const struct virtq_chain *chain)
{
    return cursor_at(chain->pieces, chain->readable_bytes);
}

VIRTQ_API struct virtq_cursor virtq_chain_writer(const struct virtq_chain *chain)
{
    /* A bad buffer has no pieces: nothing may be added to its NULL. */
    return cursor_at(chain->readable != 0u ? chain->pieces + chain->readable : chain->pieces,
                     chain->writable_bytes);
}

VIRTQ_API size_t virtq_cursor_span(const struct virtq_cursor *cursor, void **base)
{
    if (cursor->left == 0u) {
        return 0;
    }
    *base = (unsigned char *)cursor->piece->base + cursor->offset;
    return cursor->piece->len - cursor->offset;
}

/* Moves on within the piece that span gave. */
static void step(struct virtq_cursor *cursor, size_t len)
{
    cursor->left -= len;
    cursor->moved += len;
    cursor->offset += (uint32_t)len;
    if (cursor->offset == cursor->piece->len) {
        cursor->piece++;
        cursor->offset = 0;
    }
}

static size_t lesser(size_t a, size_t b)
{
    return a < b ? a : b;
}

VIRTQ_API size_t virtq_cursor_read(struct virtq_cursor *reader, void *to, size_t len)
{
    unsigned char *out = (unsigned char *)to;
    size_t done = 0;

    while (done < len && reader->left != 0u) {
        void *from;
        size_t part = lesser(virtq_cursor_span(reader, &from), len - done);

        memcpy(out + done, from, part);
        step(reader, part);
        done += part;
    }
    return done;
}

VIRTQ_API int virtq_cursor_read_exact(struct virtq_cursor *reader, void *to, size_t len)
{
    if (reader->left < len) {
        return VIRTQ_ETOOBIG;
    }
    (void)virtq_cursor_read(reader, to, len);
    return VIRTQ_OK;
}

VIRTQ_API size_t virtq_cursor_peek(const struct virtq_cursor *reader, void *to, size_t len)
{
    struct virtq_cursor copy = *reader;

    return virtq_cursor_read(&copy, to, len);
}

VIRTQ_API size_t virtq_cursor_write(struct virtq_cursor *writer, const void *from, size_t len)
{
    const unsigned char *in = (const unsigned char *)from;
    size_t done = 0;

    while (done < len && writer->left != 0u) {
        void *to;
        size_t part = lesser(virtq_cursor_span(writer, &to), len - done);

        memcpy(to, in + done, part);
        step(writer, part);
        done += part;
    }
    return done;
}

VIRTQ_API size_t virtq_cursor_copy(struct virtq_cursor *writer, struct virtq_cursor *reader,
                                   size_t len)
{
    size_t done = 0;

    while (done < len && writer->left != 0u && reader->left != 0u) {
        void *from;
        void *to;
        size_t part = lesser(virtq_cursor_span(reader, &from), len - done);

        part = lesser(part, virtq_cursor_span(writer, &to));
        /* A driver may list the same memory in both parts, so the two may overlap. */
        memmove(to, from, part);
        step(reader, part);
        step(writer, part);
        done += part;
    }
    return done;
}

VIRTQ_API uint64_t virtq_cursor_skip(struct virtq_cursor *cursor, uint64_t len)
{
    uint64_t done = 0;

    while (done < len && cursor->left != 0u) {
        uint64_t part = cursor->piece->len - cursor->offset;

        part = part < len - done ? part : len - done;
        step(cursor, (size_t)part);
        done += part;
    }
    return done;
}
