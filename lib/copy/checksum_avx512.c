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

/* Of any alignment. */
struct line {
    unsigned char bytes[VECTOR];
};

/* The mask keeps the other bytes from being touched at all, and gives zeros for them. */
AVX512 VIRTQ_TEMPLATE vector512 copy_masked(unsigned char *to, const unsigned char *from,
                                            uint64_t mask)
{
    vector512 words;

    __asm__ volatile("vmovdqu8 %[from], %[words]%{%[mask]%}%{z%}\n\t"
                     "vmovdqu8 %[words], %[to]%{%[mask]%}"
                     : [words] "=&v"(words), [to] "+m"(*(struct line *)to)
                     : [from] "m"(*(const struct line *)from), [mask] "Yk"(mask)
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
 * with what will be missing. That is two operations per vector, where wider sums take three.
 *
 * A processor has room for the stores of two packets or three, and carries out none before all that
 * comes earlier in the program is done. So although packets overlap, the time from a packet's last
 * load to its sum counts. It counts, too, whether a sum is just at hand when the next vector is
 * added, or a register has to be read, which takes the way of a store. Hence five sums in turn: of
 * fewer, one waits for another; more have to be read. */
struct copying {
    unsigned char *to;
    const unsigned char *from;
    size_t len; /* What is left. */
    vector512 upper;
    vector512 ones;
    vector512 sum0;
    vector512 sum1;
    vector512 sum2;
    vector512 sum3;
    vector512 sum4;
};

_Static_assert((VIRTQ_CHECKSUM_STEP / VECTOR + 2) << 21 <= UINT32_MAX,
               "what is added up to 32 bits");

#    define ADD(copying, words, sum)                      \
        __asm__("vpdpwssd %[ones], %[inverted], %[total]" \
                : [total] "+v"((copying)->sum)            \
                : [inverted] "v"((words) ^ (copying)->upper), [ones] "v"((copying)->ones))

/* The vector that lies `offset` bytes from here. */
#    define STEP(offset, sum)                          \
        "vmovdqu64 " #offset "(%[from]), %[words]\n\t" \
        "vmovdqu64 %[words], " #offset "(%[to])\n\t"   \
        "vpxorq %[upper], %[words], %[words]\n\t"      \
        "vpdpwssd %[ones], %[words], %[" #sum "]\n\t"

/* One assembler statement: no compiler puts loads, stores and sums apart, and the processor, which
 * can begin so many of each kind at a time, need not wait. Nor does one move sums about. */
#    define STEPS(copying, steps)                                                          \
        do {                                                                               \
            vector512 words;                                                               \
            __asm__ volatile(steps                                                         \
                             : [words] "=&v"(words), [sum0] "+v"((copying)->sum0),         \
                               [sum1] "+v"((copying)->sum1), [sum2] "+v"((copying)->sum2), \
                               [sum3] "+v"((copying)->sum3), [sum4] "+v"((copying)->sum4)  \
                             : [from] "r"((copying)->from), [to] "r"((copying)->to),       \
                               [upper] "v"((copying)->upper), [ones] "v"((copying)->ones)  \
                             : "memory");                                                  \
        } while (0)

AVX512 VIRTQ_TEMPLATE void move(struct copying *copying, ptrdiff_t vectors)
{
    copying->to += vectors * (ptrdiff_t)VECTOR;
    copying->from += vectors * (ptrdiff_t)VECTOR;
    VIRTQ_OPAQUE(copying->to); /* Or the compiler computes it anew in many places. */
    VIRTQ_OPAQUE(copying->from);
}

AVX512 VIRTQ_TEMPLATE void copy_up(struct copying *copying)
{
    for (size_t eights = copying->len / (8 * (size_t)VECTOR); eights != 0; eights--) {
        STEPS(copying, STEP(0, sum0) STEP(64, sum1) STEP(128, sum2) STEP(192, sum3) STEP(256, sum4)
                           STEP(320, sum0) STEP(384, sum1) STEP(448, sum2));
        move(copying, 8);
        VIRTQ_OPAQUE(eights); /* To count takes fewer registers than to compare addresses. */
    }
    if ((copying->len & (4 * (size_t)VECTOR)) != 0) {
        STEPS(copying, STEP(0, sum3) STEP(64, sum4) STEP(128, sum0) STEP(192, sum1));
        move(copying, 4);
    }
    if ((copying->len & (2 * (size_t)VECTOR)) != 0) {
        STEPS(copying, STEP(0, sum2) STEP(64, sum3));
        move(copying, 2);
    }
    if ((copying->len & VECTOR) != 0) {
        STEPS(copying, STEP(0, sum4));
    }
    copying->to += copying->len & VECTOR; /* What comes next need not know which way was taken. */
    copying->from += copying->len & VECTOR;
}

AVX512 VIRTQ_TEMPLATE void copy_down(struct copying *copying)
{
    if ((copying->len & VECTOR) != 0) {
        move(copying, -1);
        STEPS(copying, STEP(0, sum4));
    }
    if ((copying->len & (2 * (size_t)VECTOR)) != 0) {
        move(copying, -2);
        STEPS(copying, STEP(64, sum3) STEP(0, sum2));
    }
    if ((copying->len & (4 * (size_t)VECTOR)) != 0) {
        move(copying, -4);
        STEPS(copying, STEP(192, sum1) STEP(128, sum0) STEP(64, sum4) STEP(0, sum3));
    }
    for (size_t eights = copying->len / (8 * (size_t)VECTOR); eights != 0; eights--) {
        move(copying, -8);
        VIRTQ_OPAQUE(eights);
        STEPS(copying, STEP(448, sum2) STEP(384, sum1) STEP(320, sum0) STEP(256, sum4)
                           STEP(192, sum3) STEP(128, sum2) STEP(64, sum1) STEP(0, sum0));
    }
}

/* What is behind the last whole vector. */
AVX512 VIRTQ_TEMPLATE void copy_rest(struct copying *copying)
{
    const size_t len = copying->len % VECTOR;

    if (len != 0) {
        ADD(copying, copy_masked(copying->to, copying->from, ((uint64_t)1 << len) - 1), sum0);
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
    ADD(copying, (vector512)words, sum3);
    copying->to += VECTOR - before;
    copying->from += VECTOR - before;
    copying->len -= VECTOR - before;
    return before % 2;
}

/* Gives what copy_first() does. */
AVX512 VIRTQ_TEMPLATE unsigned begin(struct copying *copying, void *to, const void *from,
                                     size_t len, int lined)
{
    size_t vectors;
    unsigned odd;

    *copying = (struct copying){.to = to, .from = from, .len = len};
    __asm__("vpternlogd $0xff, %[upper], %[upper], %[upper]\n\t"
            "vpsrlw $15, %[upper], %[ones]\n\t"
            "vpsllw $15, %[upper], %[upper]"
            : [upper] "+v"(copying->upper), [ones] "=v"(copying->ones));
    odd = lined ? 0 : copy_first(copying);
    vectors = (copying->len != len) + (copying->len + VECTOR - 1) / VECTOR;
    copying->sum0 = (vector512)((doubles512){0} + (uint32_t)(vectors << 16));
    return odd;
}

/* The upper half of a vector. What compilers take for it, which can do more, takes longer. */
#    define UPPER_HALF(instruction, constraint, whole, half) \
        __asm__(instruction " $1, %[from], %[to]"            \
                : [to] "=" constraint(half)                  \
                : [from] constraint(whole))

/* What a vector's 32-bit words sum up to, of no more than VIRTQ_CHECKSUM_STEP bytes. */
AVX512 VIRTQ_TEMPLATE uint32_t end(const struct copying *copying, unsigned odd)
{
    const doubles512 all = (((doubles512)copying->sum1 + (doubles512)copying->sum2) +
                            ((doubles512)copying->sum3 + (doubles512)copying->sum4)) +
                           (doubles512)copying->sum0;
    doubles256 half;
    doubles128 quarter;
    uint64_t two;
    uint32_t one;

    UPPER_HALF("vextracti64x4", "v", all, half);
    half += (doubles256){all[0], all[1], all[2], all[3], all[4], all[5], all[6], all[7]};
    UPPER_HALF("vextracti128", "x", half, quarter);
    quarter += (doubles128){half[0], half[1], half[2], half[3]};
    /* Two sums, one above the other: general registers are the quicker ones now. */
    two = ((vector128)quarter)[0] + ((vector128)quarter)[1];
    one = (uint32_t)two + (uint32_t)(two >> 32);
    return VIRTQ_UNLIKELY(odd != 0) ? one << 8 | one >> 24 : one;
}

/* `down`: it begins at the end. `lined`: the source begins with a line. */
AVX512 VIRTQ_TEMPLATE uint32_t copy_long(void *out, const void *in, size_t len, int down, int lined)
{
    struct copying copying;
    const unsigned odd = begin(&copying, out, in, len, lined);

    if (down) {
        move(&copying, (ptrdiff_t)(copying.len / VECTOR));
        copy_rest(&copying);
        copy_down(&copying);
    } else {
        copy_up(&copying);
        copy_rest(&copying);
    }
    return end(&copying, odd);
}

AVX512 VIRTQ_OUTLINE uint32_t copy_long_down(void *out, const void *in, size_t len)
{
    return copy_long(out, in, len, 1, 0);
}

AVX512 VIRTQ_OUTLINE uint32_t copy_long_up(void *out, const void *in, size_t len)
{
    return copy_long(out, in, len, 0, 0);
}

/* A load whose address differs in upper bits only from that of a store not yet carried out, waits
 * for it. So what is copied to where addresses end in a little more, is copied from its end; but
 * not more than the nearest cache holds, for the next one is better at going up. */
AVX512 uint32_t virtq_priv_checksum_avx512(void *out, const void *in, size_t len)
{
    const size_t apart = ((uintptr_t)out - (uintptr_t)in - 1) % PAGE;

    if (VIRTQ_UNLIKELY(len - LONG > NEAR - LONG)) {
        if (len > NEAR) {
            return copy_long_up(out, in, len);
        }
        VIRTQ_PRIV_CHECKSUM_WIDE(vector512, "+v", rest512, total512);
    }
    if (VIRTQ_UNLIKELY(apart < len)) {
        return copy_long_down(out, in, len);
    }
    if (VIRTQ_UNLIKELY((uintptr_t)in % VECTOR != 0)) {
        return copy_long_up(out, in, len);
    }
    return copy_long(out, in, len, 0, 1);
}

#endif
