/* SPDX-License-Identifier: BSD-3-Clause */
#include "checksum.h"

#include "virtq/error.h"

/* Indexed by enum virtq_checksum_variant; NULL: not on this kind of machine. */
static const virtq_priv_checksum_function variants[] = {
    NULL,
    virtq_priv_checksum_portable,
#ifdef VIRTQ_PRIV_SIMD128
    virtq_priv_checksum_simd128,
#else
    NULL,
#endif
#ifdef VIRTQ_PRIV_X86_VECTORS
    virtq_priv_checksum_avx2,
    virtq_priv_checksum_avx512,
#else
    NULL, NULL,
#endif
};

enum { VARIANTS = sizeof(variants) / sizeof(variants[0]) };

static int usable(uint32_t variant)
{
    if (variants[variant] == NULL) {
        return 0;
    }
#ifdef VIRTQ_PRIV_X86_VECTORS
    if (variant == VIRTQ_CHECKSUM_AVX2) {
        return virtq_priv_has_avx2();
    }
    if (variant == VIRTQ_CHECKSUM_AVX512) {
        return virtq_priv_has_avx512();
    }
#endif
    return 1;
}

static void begin(struct virtq_checksum *checksum, uint32_t variant)
{
    checksum->copy = variants[variant];
    checksum->variant = variant;
    virtq_checksum_reset(checksum);
}

void virtq_checksum_init(struct virtq_checksum *checksum)
{
    uint32_t variant = VARIANTS - 1;

    while (variant > VIRTQ_CHECKSUM_PORTABLE && !usable(variant)) {
        variant--;
    }
    begin(checksum, variant);
}

int virtq_checksum_init_variant(struct virtq_checksum *checksum, uint32_t variant)
{
    if (variant >= VARIANTS) {
        return VIRTQ_EINVAL;
    }
    if (variant == VIRTQ_CHECKSUM_BEST) {
        virtq_checksum_init(checksum);
        return 0;
    }
    if (!usable(variant)) {
        return VIRTQ_ENOTSUP;
    }
    begin(checksum, variant);
    return 0;
}

void virtq_checksum_reset(struct virtq_checksum *checksum)
{
    checksum->sum = 0;
    checksum->odd = 0;
}

VIRTQ_COLD void copy_blocks(struct virtq_checksum *checksum, unsigned char *to,
                            const unsigned char *from, size_t len)
{
    while (len != 0) {
        size_t block = len < VIRTQ_CHECKSUM_STEP ? len : VIRTQ_CHECKSUM_STEP;

        virtq_priv_checksum_go_on(checksum, checksum->copy(to, from, block), block);
        to += block;
        from += block;
        len -= block;
    }
}

void virtq_checksum_copy(struct virtq_checksum *checksum, void *to, const void *from, size_t len)
{
    if (VIRTQ_UNLIKELY(len > VIRTQ_CHECKSUM_STEP)) {
        copy_blocks(checksum, to, from, len);
    } else {
        virtq_priv_checksum_go_on(checksum, checksum->copy(to, from, len), len);
    }
}

void virtq_checksum_add(struct virtq_checksum *checksum, const void *from, size_t len)
{
    const unsigned char *at = from;

    while (len != 0) {
        size_t block = len < VIRTQ_CHECKSUM_STEP ? len : VIRTQ_CHECKSUM_STEP;

        virtq_priv_checksum_go_on(checksum, virtq_priv_checksum_sum(at, block), block);
        at += block;
        len -= block;
    }
}

uint16_t virtq_checksum_fold(const struct virtq_checksum *checksum)
{
    return virtq_checksum_fold_word(checksum->sum);
}

uint16_t virtq_checksum_copy_long(const struct virtq_checksum *checksum, void *to, const void *from,
                                  size_t len)
{
    struct virtq_checksum whole = *checksum;

    virtq_checksum_reset(&whole);
    virtq_checksum_copy(&whole, to, from, len);
    return virtq_checksum_fold(&whole);
}

static void copy_and_sum(void *context, void *to, const void *from, size_t len)
{
    virtq_checksum_copy(context, to, from, len);
}

void virtq_checksum_hook(struct virtq_checksum *checksum, struct virtq_copy *copy)
{
    *copy = (struct virtq_copy){copy_and_sum, copy_and_sum, NULL, NULL, checksum};
}
