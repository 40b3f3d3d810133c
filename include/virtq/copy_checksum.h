/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_copy
 * @brief Copies that yield the Internet checksum (RFC 1071) of what they copy, in the same pass.
 *
 * Since a staged buffer is copied anyway, its checksum costs little more than the copy. The sum
 * goes on across calls: segments of any length, one after another, sum up as if they were one, also
 * where one of them begins at an odd byte.
 *
 * Each byte is loaded once, and the loaded value is what is both stored and summed. So the sum is
 * that of the copy, even if the other end changes its memory meanwhile.
 *
 * \code{.c}
 * struct virtq_checksum checksum;
 *
 * virtq_checksum_init(&checksum);
 * virtq_checksum_add(&checksum, pseudo_header, 12);
 * virtq_checksum_copy(&checksum, to, from, len);
 * field = (uint16_t)~virtq_checksum_fold(&checksum); // store its high byte first
 * \endcode
 */
#ifndef VIRTQ_COPY_CHECKSUM_H
#define VIRTQ_COPY_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

#include "api.h"
#include "copy.h"

VIRTQ_BEGIN_DECLS

/** @brief How bytes are copied and summed. All give the same sum. */
enum virtq_checksum_variant {
    VIRTQ_CHECKSUM_BEST = 0,     /**< The widest that this processor is fast with. */
    VIRTQ_CHECKSUM_PORTABLE = 1, /**< 8 bytes at a time, on any machine. */
    VIRTQ_CHECKSUM_SIMD128 = 2,  /**< 16 bytes at a time: SSE2 (x86-64), NEON (aarch64). */
    VIRTQ_CHECKSUM_AVX2 = 3,     /**< 32 bytes at a time (x86-64). */
    VIRTQ_CHECKSUM_AVX512 = 4    /**< 64 bytes at a time, AVX-512 with VNNI (x86-64). */
};

/** @brief A sum that goes on. The caller owns the memory; the fields are private. */
struct virtq_checksum {
    /** Copies, and gives a sum of what it copied: the variant in use. */
    uint32_t (*copy)(void *to, const void *from, size_t len);
    uint64_t sum;     /**< Ones' complement sum so far, of words in this machine's byte order. */
    uint32_t odd;     /**< 1: an odd number of bytes was summed so far. */
    uint32_t variant; /**< The enum virtq_checksum_variant in use. */
};

/** @brief Begins a sum with the best variant for this processor.
 *
 * Asks the processor what it can do, which a hypervisor may trap: once per queue rather than once
 * per packet. virtq_checksum_reset() begins the next sum.
 * @param checksum result; owned by the caller. Any thread. */
VIRTQ_API void virtq_checksum_init(struct virtq_checksum *checksum);

/** @brief Begins a sum with a variant of the caller's choice.
 * @param checksum result; owned by the caller
 * @param variant  an enum virtq_checksum_variant
 * @return 0; VIRTQ_EINVAL (no such variant) or VIRTQ_ENOTSUP (this processor lacks it, or the
 * library was built without vector registers): `checksum` is untouched. Any thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_checksum_init_variant(struct virtq_checksum *checksum,
                                                           uint32_t variant);

/** @brief Begins the next sum: zero bytes summed.
 * @param checksum an initialised sum. Its owner's thread. */
VIRTQ_API void virtq_checksum_reset(struct virtq_checksum *checksum);

/** @brief Copies, and goes on with the sum over the bytes copied.
 * @param checksum an initialised sum
 * @param to       first byte of the copy, of any alignment; does not overlap `from`
 * @param from     first byte to copy, of any alignment; each byte is loaded once
 * @param len      bytes, of any number. The sum's owner's thread. */
VIRTQ_API void virtq_checksum_copy(struct virtq_checksum *checksum, void *to, const void *from,
                                   size_t len);

/** @brief Goes on with the sum over bytes that are not copied: a pseudo-header, a patched field.
 * @param checksum an initialised sum
 * @param from     first byte, of any alignment
 * @param len      bytes, of any number. The sum's owner's thread. */
VIRTQ_API void virtq_checksum_add(struct virtq_checksum *checksum, const void *from, size_t len);

/** @brief The sum so far, which may go on afterwards.
 * @param checksum an initialised sum
 * @return the 16-bit ones' complement sum, not complemented, as a number whose high byte goes first
 * on the wire; 0 only if no byte other than 0 was summed. The sum's owner's thread. */
VIRTQ_API uint16_t virtq_checksum_fold(const struct virtq_checksum *checksum);

/** @brief Bytes up to which virtq_checksum_copy_whole() takes one step: a partial sum of so many
 * has room left. */
#define VIRTQ_CHECKSUM_STEP ((size_t)1 << 16)

/** @brief What virtq_checksum_copy_whole() does with more bytes than #VIRTQ_CHECKSUM_STEP; takes
 * any number.
 * @param checksum an initialised sum, which stays as it is
 * @param to       first byte of the copy, of any alignment; does not overlap `from`
 * @param from     first byte to copy, of any alignment; each byte is loaded once
 * @param len      bytes, of any number
 * @return as virtq_checksum_fold(), of these bytes alone. Any thread, while none changes
 * `checksum`. */
VIRTQ_API uint16_t virtq_checksum_copy_long(const struct virtq_checksum *checksum, void *to,
                                            const void *from, size_t len);

/** @brief A partial sum as virtq_checksum_fold() gives it.
 * @param part a sum of words in this machine's byte order, congruent modulo 0xffff
 * @return it in 16 bits. Any thread. */
VIRTQ_INLINE uint16_t virtq_checksum_fold_part(uint32_t part)
{
    /* A number plus itself with its halves exchanged: in the upper half, the sum of the halves with
     * the carry gone round. That bytes change places, where they have to, takes no longer. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    part = (part << 8 | part >> 24) + (part << 24 | part >> 8);
#else
    part += part << 16 | part >> 16;
#endif
    return (uint16_t)(part >> 16);
}

/** @brief A sum of 64 bits as virtq_checksum_fold() gives it.
 * @param wide a sum of words in this machine's byte order, congruent modulo 0xffff
 * @return it in 16 bits. Any thread. */
VIRTQ_INLINE uint16_t virtq_checksum_fold_word(uint64_t wide)
{
    wide += wide << 32 | wide >> 32;
    return virtq_checksum_fold_part((uint32_t)(wide >> 32));
}

/** @brief Copies what comes in one piece, and gives its sum, which goes on nowhere.
 *
 * Of the sum so far, which stays as it is, only the variant is used: to store it takes as long as
 * to store a line of the copy, or longer where it interrupts stores that cross lines.
 * @param checksum an initialised sum, which stays as it is
 * @param to       first byte of the copy, of any alignment; does not overlap `from`
 * @param from     first byte to copy, of any alignment; each byte is loaded once
 * @param len      bytes, of any number
 * @return as virtq_checksum_fold(), of these bytes alone. Any thread, while none changes
 * `checksum`. */
VIRTQ_INLINE uint16_t virtq_checksum_copy_whole(const struct virtq_checksum *checksum, void *to,
                                                const void *from, size_t len)
{
    if (VIRTQ_UNLIKELY(len > VIRTQ_CHECKSUM_STEP)) {
        return virtq_checksum_copy_long(checksum, to, from, len);
    }
    return virtq_checksum_fold_part(checksum->copy(to, from, len));
}

/** @brief Lets a space that stages buffers sum what it copies, in both directions.
 *
 * Reset the sum, let one buffer be copied (virtq_driver_add() or virtq_driver_poll() of a single
 * one), then fold it.
 * @param checksum an initialised sum; must outlive the space, which serves one queue only
 * @param copy     result: what the space is configured with. Any thread. */
VIRTQ_API void virtq_checksum_hook(struct virtq_checksum *checksum, struct virtq_copy *copy);

VIRTQ_END_DECLS

#endif
