/* SPDX-License-Identifier: BSD-3-Clause */
#include "checksum.h"
#include "copy.h"

/* Piece by piece, so that what is zeroed need not be fetched a second time. A compiler that knew
 * how long a piece is would make slow instructions of it. */
static void take_pieces(unsigned char *to, unsigned char *from, size_t len, size_t size)
{
    while (size != 0) {
        size_t piece = size < VIRTQ_PRIV_COPY_PIECE ? size : VIRTQ_PRIV_COPY_PIECE;
        size_t some = len < piece ? len : piece;

        VIRTQ_OPAQUE(piece);
        if (some != 0) {
            memcpy(to, from, some);
            to += some;
            len -= some;
        }
        memset(from, 0, piece);
        from += piece;
        size -= piece;
    }
}

void virtq_priv_copy_clear_pieces(void *at, size_t size)
{
    take_pieces(NULL, at, 0, size);
}

void virtq_priv_copy_take(void *to, void *from, size_t len, size_t size)
{
    if (VIRTQ_UNLIKELY(size > VIRTQ_PRIV_COPY_PIECE)) {
        take_pieces(to, from, len, size);
        return;
    }
    memcpy(to, from, len);
    memset(from, 0, size);
}

#ifdef VIRTQ_PRIV_X86_VECTORS

#    define AVX512 __attribute__((target("avx512f,avx512bw")))

typedef uint64_t vector __attribute__((vector_size(64)));

/* The next vector but so many bytes. */
#    define STEP(at)                                    \
        do {                                            \
            vector words;                               \
            memcpy(&words, from + (at), sizeof(words)); \
            memcpy(to + (at), &words, sizeof(words));   \
            memcpy(from + (at), &zeros, sizeof(zeros)); \
        } while (0)

/* The mask keeps the other bytes from being touched at all. */
AVX512 VIRTQ_TEMPLATE void take_rest(unsigned char *to, unsigned char *from, size_t len,
                                     vector zeros)
{
    uint64_t mask = ((uint64_t)1 << len) - 1;
    vector words;

    __asm__ volatile("vmovdqu8 (%[from]), %[words]%{%[mask]%}%{z%}\n\t"
                     "vmovdqu8 %[words], (%[to])%{%[mask]%}\n\t"
                     "vmovdqu8 %[zeros], (%[from])%{%[mask]%}"
                     : [words] "=&v"(words)
                     : [from] "r"(from), [to] "r"(to), [mask] "Yk"(mask), [zeros] "v"(zeros)
                     : "memory");
}

/* Each line is copied and zeroed by one load and two stores, and a short buffer without a call. */
AVX512 static void take_avx512(void *out, void *in, size_t len, size_t size)
{
    unsigned char *to = out;
    unsigned char *from = in;
    vector zeros = {0};

    /* A compiler that knew what these are would call memset. */
    __asm__("" : "+v"(zeros));
    size -= len;
    for (; len >= 4 * sizeof(vector); len -= 4 * sizeof(vector)) {
        STEP(0);
        STEP(sizeof(vector));
        STEP(2 * sizeof(vector));
        STEP(3 * sizeof(vector));
        to += 4 * sizeof(vector);
        from += 4 * sizeof(vector);
    }
    for (; len >= sizeof(vector); len -= sizeof(vector)) {
        STEP(0);
        to += sizeof(vector);
        from += sizeof(vector);
    }
    if (len != 0) {
        take_rest(to, from, len, zeros);
    }
    if (size != 0) {
        virtq_priv_copy_clear(from + len, size);
    }
}

#endif

virtq_priv_take_function virtq_priv_copy_take_best(void)
{
#ifdef VIRTQ_PRIV_X86_VECTORS
    if (virtq_priv_has_avx512()) {
        return take_avx512;
    }
#endif
    return virtq_priv_copy_take;
}
