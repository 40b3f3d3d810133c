/* SPDX-License-Identifier: BSD-3-Clause */
/* What facts and feature bits are called on the command line: read and printed by the same names.
 */
#ifndef BENCH_ACCESS_WORDS_H
#define BENCH_ACCESS_WORDS_H

#include <stdint.h>

/* A fact that is there or not: an option without a value. */
struct access_flag_word {
    const char *option;
    const char *help;
    uint32_t flag;    /* the one by which it is known */
    uint32_t implies; /* set along with it */
};

/* A feature that concerns access. */
struct access_feature_word {
    const char *word; /* on the command line */
    const char *name; /* the specification's */
};

enum { ACCESS_FLAG_WORDS = 12, ACCESS_FEATURE_WORDS = 4, ACCESS_RESTRICTED_WORD = 3 };

extern const struct access_flag_word access_flag_words[ACCESS_FLAG_WORDS];
extern const struct access_feature_word access_feature_words[ACCESS_FEATURE_WORDS];

/* By the values of the library's enums; NULL after the last one. */
extern const char *const access_generation_words[];
extern const char *const access_iommu_words[];
extern const char *const access_pool_words[];

/* The mask of a word of access_feature_words. */
uint64_t access_feature_mask(unsigned word, unsigned restricted_bit);

#endif
