/* SPDX-License-Identifier: BSD-3-Clause */
#include "virtq/copy_streaming.h"

#include "access.h"
#include "x86.h"

/* One store past the caches, aligned to its width. It is asm, for the compiler must not make
 * anything else of it; where there is none, it is a plain store that gathers just as well. */
#if defined(VIRTQ_PRIV_X86_VECTORS)

typedef uint64_t unit __attribute__((vector_size(16)));

VIRTQ_INLINE void store_unit(unsigned char *to, unit word)
{
    __asm__ volatile("movntdq %1, %0" : "=m"(*(unit *)(void *)to) : "x"(word));
}

VIRTQ_INLINE unit load_streamed(const unsigned char *from)
{
    unit word;

    __asm__ volatile("movntdqa %1, %0" : "=x"(word) : "m"(*(const unit *)(const void *)from));
    return word;
}

#elif defined(__aarch64__)

typedef uint64_t unit __attribute__((vector_size(16)));

VIRTQ_INLINE void store_unit(unsigned char *to, unit word)
{
    __asm__ volatile("stnp %x1, %x2, %0" : "=Q"(*(unit *)(void *)to) : "r"(word[0]), "r"(word[1]));
}

#else

typedef uintptr_t unit;

VIRTQ_INLINE void store_unit(unsigned char *to, unit word)
{
    *(volatile unit *)(void *)to = word;
}

#endif

/* Bytes before the first whole unit. */
static size_t head_of(const void *at, size_t len)
{
    size_t head = (0 - (size_t)(uintptr_t)at) & (sizeof(unit) - 1);

    return head < len ? head : len;
}

static void streaming_to_shared(void *context, void *out, const void *in, size_t len)
{
    size_t head = head_of(out, len);
    unsigned char *to = (unsigned char *)out + head;
    const unsigned char *from = (const unsigned char *)in + head;

    (void)context;
    (void)virtq_priv_access_copy_to(out, in, head, VIRTQ_PRIV_WIDTHS);
    for (len -= head; len >= sizeof(unit); len -= sizeof(unit)) {
        unit word;

        memcpy(&word, from, sizeof(word));
        store_unit(to, word);
        to += sizeof(unit);
        from += sizeof(unit);
    }
    (void)virtq_priv_access_copy_to(to, from, len, VIRTQ_PRIV_WIDTHS);
}

static void streaming_zero(void *context, void *out, size_t len)
{
    size_t head = head_of(out, len);
    unsigned char *to = (unsigned char *)out + head;
    const unit zeros = {0};

    (void)context;
    (void)virtq_priv_access_copy_to(out, NULL, head, VIRTQ_PRIV_WIDTHS);
    for (len -= head; len >= sizeof(unit); len -= sizeof(unit)) {
        store_unit(to, zeros);
        to += sizeof(unit);
    }
    (void)virtq_priv_access_copy_to(to, NULL, len, VIRTQ_PRIV_WIDTHS);
}

static void streaming_from_shared(void *context, void *out, const void *in, size_t len)
{
    (void)context;
    (void)virtq_priv_access_copy_from(out, in, len, VIRTQ_PRIV_WIDTHS);
}

#ifdef VIRTQ_PRIV_X86_VECTORS

/* Streamed loads take a line at a time into a buffer of the processor, which may still hold what
 * was there before: a fence empties it. */
static void streaming_from_shared_wide(void *context, void *out, const void *in, size_t len)
{
    size_t head = head_of(in, len);
    unsigned char *to = (unsigned char *)out + head;
    const unsigned char *from = (const unsigned char *)in + head;

    (void)context;
    __asm__ volatile("mfence" ::: "memory");
    (void)virtq_priv_access_copy_from(out, in, head, VIRTQ_PRIV_WIDTHS);
    for (len -= head; len >= sizeof(unit); len -= sizeof(unit)) {
        unit word = load_streamed(from);

        memcpy(to, &word, sizeof(word));
        to += sizeof(unit);
        from += sizeof(unit);
    }
    (void)virtq_priv_access_copy_from(to, from, len, VIRTQ_PRIV_WIDTHS);
}

#endif

static void streaming_done(void *context)
{
    (void)context;
    virtq_priv_access_flush();
}

void virtq_copy_streaming(struct virtq_copy *copy)
{
    *copy = (struct virtq_copy){streaming_to_shared, streaming_from_shared, streaming_zero,
                                streaming_done, NULL};
#ifdef VIRTQ_PRIV_X86_VECTORS
    if ((virtq_priv_cpuid(1).ecx & VIRTQ_PRIV_LEAF1_ECX_SSE41) != 0) {
        copy->from_shared = streaming_from_shared_wide;
    }
#endif
}
