/* SPDX-License-Identifier: BSD-3-Clause */
#include "checksum_wide.h"

typedef int virtq_priv_checksum_avx512_unit; /* On another machine there is nothing. */

#ifdef VIRTQ_PRIV_X86_VECTORS

#    define AVX512 __attribute__((target("avx512f,avx512bw,avx512vnni")))

typedef uint64_t vector128 __attribute__((vector_size(16)));
typedef uint64_t vector256 __attribute__((vector_size(32)));
typedef uint64_t vector512 __attribute__((vector_size(64)));
typedef uint32_t doubles128 __attribute__((vector_size(16)));
typedef uint32_t doubles256 __attribute__((vector_size(32)));
typedef uint32_t doubles512 __attribute__((vector_size(64)));
typedef uint16_t words512 __attribute__((vector_size(64)));

enum {
    VECTOR = sizeof(vector512),
    /* Shorter than that, to begin and to end takes longer than a third operation per vector. */
    LONG = 10 * VECTOR,
    /* Up to so many, stores may cross lines: the processor puts them together. */
    CROSSING = 2048,
    NEAR = 8192,
    PAGE = 4096
};

/* The mask keeps the other bytes from being touched at all, and gives zeros for them. */
AVX512 VIRTQ_TEMPLATE vector512 copy_masked(unsigned char *to, const unsigned char *from,
                                            uint64_t mask)
{
    vector512 words;

    __asm__ volatile("vmovdqu8 (%[from]), %[words]%{%[mask]%}%{z%}\n\t"
                     "vmovdqu8 %[words], (%[to])%{%[mask]%}"
                     : [words] "=&v"(words)
                     : [from] "r"(from), [to] "r"(to), [mask] "Yk"(mask)
                     : "memory");
    return words;
}

AVX512 VIRTQ_TEMPLATE vector512 rest512(unsigned char *to, const unsigned char *from, size_t len)
{
    const vector512 words = copy_masked(to, from, ((uint64_t)1 << len) - 1);

    return (words & VIRTQ_PRIV_LOW32) + (words >> 32);
}

AVX512 VIRTQ_TEMPLATE uint64_t total512(vector512 all)
{
    const vector256 half =
        (vector256){all[0], all[1], all[2], all[3]} + (vector256){all[4], all[5], all[6], all[7]};
    const vector128 quarter = (vector128){half[0], half[1]} + (vector128){half[2], half[3]};

    return quarter[0] + quarter[1];
}

/* What a long copy keeps in registers.
 *
 * VPDPWSSD adds pairs of words, multiplied by 1, to sums of 32 bits. It takes them for signed
 * numbers: with its upper bit inverted, each is less by 2^15 than it should be, and the sums begin
 * with what will be missing. That is two operations per vector, where wider sums take three. */
struct copying {
    unsigned char *to;
    const unsigned char *from;
    size_t len; /* What is left. */
    vector512 upper;
    vector512 ones;
    vector512 sum0; /* None waits for another. */
    vector512 sum1;
    vector512 sum2;
    vector512 sum3;
};

_Static_assert((VIRTQ_CHECKSUM_STEP / VECTOR + 2) << 21 <= UINT32_MAX,
               "what is added up to 32 bits");

#    define ADD(copying, words, sum)                      \
        __asm__("vpdpwssd %[ones], %[inverted], %[total]" \
                : [total] "+v"((copying)->sum)            \
                : [inverted] "v"((words) ^ (copying)->upper), [ones] "v"((copying)->ones))

/* Vector number `at` from here on. One assembler statement: no compiler puts loads, stores and sums
 * apart, and the processor, which can begin so many of each kind at a time, need not wait. */
#    define STEP(copying, at, sum)                                                         \
        do {                                                                               \
            vector512 words;                                                               \
            __asm__ volatile("vmovdqu64 %c[offset](%[from]), %[words]\n\t"                 \
                             "vmovdqu64 %[words], %c[offset](%[to])\n\t"                   \
                             "vpxorq %[upper], %[words], %[words]\n\t"                     \
                             "vpdpwssd %[ones], %[words], %[total]"                        \
                             : [words] "=&v"(words), [total] "+v"((copying)->sum)          \
                             : [from] "r"((copying)->from), [to] "r"((copying)->to),       \
                               [upper] "v"((copying)->upper), [ones] "v"((copying)->ones), \
                               [offset] "i"((at)*VECTOR)                                   \
                             : "memory");                                                  \
        } while (0)

AVX512 VIRTQ_TEMPLATE void move(struct copying *copying, ptrdiff_t vectors)
{
    copying->to += vectors * (ptrdiff_t)VECTOR;
    copying->from += vectors * (ptrdiff_t)VECTOR;
}

AVX512 VIRTQ_TEMPLATE void copy_up(struct copying *copying)
{
    for (size_t eights = copying->len / (8 * (size_t)VECTOR); eights != 0; eights--) {
        STEP(copying, 0, sum0);
        STEP(copying, 1, sum1);
        STEP(copying, 2, sum2);
        STEP(copying, 3, sum3);
        STEP(copying, 4, sum0);
        STEP(copying, 5, sum1);
        STEP(copying, 6, sum2);
        STEP(copying, 7, sum3);
        move(copying, 8);
        VIRTQ_OPAQUE(eights); /* To count takes fewer registers than to compare addresses. */
    }
    if ((copying->len & (4 * (size_t)VECTOR)) != 0) {
        STEP(copying, 0, sum0);
        STEP(copying, 1, sum1);
        STEP(copying, 2, sum2);
        STEP(copying, 3, sum3);
        move(copying, 4);
    }
    if ((copying->len & (2 * (size_t)VECTOR)) != 0) {
        STEP(copying, 0, sum0);
        STEP(copying, 1, sum1);
        move(copying, 2);
    }
    if ((copying->len & VECTOR) != 0) {
        STEP(copying, 0, sum2);
        move(copying, 1);
    }
}

AVX512 VIRTQ_TEMPLATE void copy_down(struct copying *copying)
{
    if ((copying->len & VECTOR) != 0) {
        move(copying, -1);
        STEP(copying, 0, sum2);
    }
    if ((copying->len & (2 * (size_t)VECTOR)) != 0) {
        move(copying, -2);
        STEP(copying, 1, sum1);
        STEP(copying, 0, sum0);
    }
    if ((copying->len & (4 * (size_t)VECTOR)) != 0) {
        move(copying, -4);
        STEP(copying, 3, sum3);
        STEP(copying, 2, sum2);
        STEP(copying, 1, sum1);
        STEP(copying, 0, sum0);
    }
    for (size_t eights = copying->len / (8 * (size_t)VECTOR); eights != 0; eights--) {
        move(copying, -8);
        VIRTQ_OPAQUE(eights);
        STEP(copying, 7, sum3);
        STEP(copying, 6, sum2);
        STEP(copying, 5, sum1);
        STEP(copying, 4, sum0);
        STEP(copying, 3, sum3);
        STEP(copying, 2, sum2);
        STEP(copying, 1, sum1);
        STEP(copying, 0, sum0);
    }
}

AVX512 VIRTQ_TEMPLATE void copy_rest(struct copying *copying)
{
    const size_t len = copying->len % VECTOR;

    if (len != 0) {
        ADD(copying, copy_masked(copying->to, copying->from, ((uint64_t)1 << len) - 1), sum3);
    }
}

/* Up to where the source's next line begins: loads that cross lines cost more than stores that do,
 * unless it is a long row of them. If that is an odd number of bytes, they are exchanged within
 * their words, for the bytes of all others will be in the wrong places. Gives that number modulo 2.
 */
AVX512 VIRTQ_TEMPLATE unsigned copy_first(struct copying *copying)
{
    const size_t before = (uintptr_t)copying->from % VECTOR;
    words512 words;

    if (VIRTQ_LIKELY(before == 0) ||
        (copying->len > CROSSING && (uintptr_t)copying->to % VECTOR == 0)) {
        return 0;
    }
    words = (words512)copy_masked(copying->to, copying->from, UINT64_MAX >> before);
    if (before % 2 != 0) {
        words = words << 8 | words >> 8;
    }
    ADD(copying, (vector512)words, sum2);
    copying->to += VECTOR - before;
    copying->from += VECTOR - before;
    copying->len -= VECTOR - before;
    return before % 2;
}

/* Gives what copy_first() does. */
AVX512 VIRTQ_TEMPLATE unsigned begin(struct copying *copying, void *to, const void *from,
                                     size_t len)
{
    size_t vectors;
    unsigned odd;

    *copying = (struct copying){.to = to, .from = from, .len = len};
    __asm__("vpternlogd $0xff, %[upper], %[upper], %[upper]\n\t"
            "vpsrlw $15, %[upper], %[ones]\n\t"
            "vpsllw $15, %[upper], %[upper]"
            : [upper] "+v"(copying->upper), [ones] "=v"(copying->ones));
    odd = copy_first(copying);
    vectors = (copying->len != len) + (copying->len + VECTOR - 1) / VECTOR;
    copying->sum1 = (vector512)((doubles512){0} + (uint32_t)(vectors << 16));
    return odd;
}

/* Two sums of 32 bits, one above the other, are a partial sum. */
AVX512 VIRTQ_TEMPLATE uint64_t end(const struct copying *copying, unsigned odd)
{
    const doubles512 all = ((doubles512)copying->sum0 + (doubles512)copying->sum1) +
                           ((doubles512)copying->sum2 + (doubles512)copying->sum3);
    const doubles256 half =
        (doubles256){all[0], all[1], all[2], all[3], all[4], all[5], all[6], all[7]} +
        (doubles256){all[8], all[9], all[10], all[11], all[12], all[13], all[14], all[15]};
    const doubles128 quarter = (doubles128){half[0], half[1], half[2], half[3]} +
                               (doubles128){half[4], half[5], half[6], half[7]};
    const uint64_t two =
        ((vector128)(quarter + (doubles128){quarter[2], quarter[3], quarter[0], quarter[1]}))[0];

    if (VIRTQ_UNLIKELY(odd != 0)) {
        return ((two & VIRTQ_PRIV_LOW32) + (two >> 32)) << 8;
    }
    return two;
}

AVX512 VIRTQ_OUTLINE uint64_t copy_long_down(void *out, const void *in, size_t len)
{
    struct copying copying;
    const unsigned odd = begin(&copying, out, in, len);

    move(&copying, (ptrdiff_t)(copying.len / VECTOR));
    copy_rest(&copying);
    copy_down(&copying);
    return end(&copying, odd);
}

AVX512 VIRTQ_OUTLINE uint64_t copy_long_up(void *out, const void *in, size_t len)
{
    struct copying copying;
    const unsigned odd = begin(&copying, out, in, len);

    copy_up(&copying);
    copy_rest(&copying);
    return end(&copying, odd);
}

/* A load whose address differs in upper bits only from that of a store not yet carried out, waits
 * for it. So what is copied to where addresses end in a little more, is copied from its end; but
 * not more than the nearest cache holds, for the next one is better at going up. */
AVX512 uint64_t virtq_priv_checksum_avx512(void *out, const void *in, size_t len)
{
    if (len >= LONG) {
        const size_t apart = ((uintptr_t)out - (uintptr_t)in - 1) % PAGE;

        return apart < len && len <= NEAR ? copy_long_down(out, in, len)
                                          : copy_long_up(out, in, len);
    }
    VIRTQ_PRIV_CHECKSUM_WIDE(vector512, "+v", rest512, total512);
}

#endif
