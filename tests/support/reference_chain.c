/* SPDX-License-Identifier: BSD-3-Clause */
/* A popped buffer: its elements, what makes it legal, and its bytes. */
#include <stdlib.h>
#include <string.h>

#include "reference_private.h"

void reference_chain_clear(struct reference_chain *chain)
{
    chain->count = 0;
    chain->id = 0;
    chain->descriptors = 0;
    chain->readable = 0;
    chain->writable = 0;
}

void reference_chain_free(struct reference_chain *chain)
{
    free(chain->segments);
    memset(chain, 0, sizeof(*chain));
}

static void grow(struct reference_chain *chain)
{
    unsigned capacity = chain->capacity ? 2 * chain->capacity : 4;
    struct reference_segment *larger =
        realloc(chain->segments, (size_t)capacity * sizeof(*chain->segments));

    reference_require(larger != NULL, "out of memory");
    chain->segments = larger;
    chain->capacity = capacity;
}

const char *reference_chain_append(struct reference_chain *chain, uint64_t address, uint32_t length,
                                   bool writable, uint32_t longest)
{
    if (chain->count == longest) {
        return "chain is longer than allowed";
    }
    /* "The driver MUST place any device-writable descriptor elements after any device-readable
     * descriptor elements": the last element tells whether writable ones have begun. */
    if (!writable && chain->count > 0 && chain->segments[chain->count - 1].writable) {
        return "device-readable element after a device-writable one";
    }
    if (chain->readable + chain->writable + length > REFERENCE_CHAIN_BYTES) {
        return "chain is longer than 2^32 bytes";
    }
    if (chain->count == chain->capacity) {
        grow(chain);
    }
    chain->segments[chain->count++] = (struct reference_segment){address, length, writable};
    if (writable) {
        chain->writable += length;
    } else {
        chain->readable += length;
    }
    return NULL;
}

/* Visits the bytes [offset, offset + length) of the elements of one direction. */
static size_t copy(const struct reference_chain *chain, const struct reference_memory *memory,
                   bool writable, uint64_t offset, unsigned char *to, const unsigned char *from,
                   size_t length)
{
    size_t done = 0;

    for (unsigned i = 0; i < chain->count && done < length; i++) {
        const struct reference_segment *segment = &chain->segments[i];
        size_t piece;
        unsigned char *bytes;

        if (segment->writable != writable) {
            continue;
        }
        if (offset >= segment->length) {
            offset -= segment->length;
            continue;
        }
        piece = (size_t)(segment->length - offset);
        piece = piece < length - done ? piece : length - done;
        bytes = memory->at(memory->ctx, segment->address, segment->length);
        if (!bytes) {
            break;
        }
        if (writable) {
            memcpy(bytes + offset, from + done, piece);
        } else {
            memcpy(to + done, bytes + offset, piece);
        }
        done += piece;
        offset = 0;
    }
    return done;
}

size_t reference_chain_read(const struct reference_chain *chain,
                            const struct reference_memory *memory, uint64_t offset, void *to,
                            size_t length)
{
    return copy(chain, memory, false, offset, to, NULL, length);
}

size_t reference_chain_write(const struct reference_chain *chain,
                             const struct reference_memory *memory, uint64_t offset,
                             const void *from, size_t length)
{
    return copy(chain, memory, true, offset, NULL, from, length);
}
