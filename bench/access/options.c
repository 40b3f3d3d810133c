/* SPDX-License-Identifier: BSD-3-Clause */
#include "access/options.h"

#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "access/words.h"

enum {
    OPTION_TABLE = 0x100,
    OPTION_DEVICE,
    OPTION_IMPLEMENTS,
    OPTION_KNOWS,
    OPTION_IOMMU,
    OPTION_POOL,
    OPTION_DEVICE_BITS,
    OPTION_MEMORY_BITS,
    OPTION_RESTRICTED_BIT,
    OPTION_FLAG = 0x200
};

static const struct argp_option value_options[] = {
    {"device", OPTION_DEVICE, "GENERATION", 0, "legacy, transitional or modern (default)", 1},
    {"implements", OPTION_IMPLEMENTS, "LIST", 0,
     "Features of the device, besides VERSION_1: access-platform, order-platform, restricted-dma or "
     "none (default)",
     1},
    {"driver-knows", OPTION_KNOWS, "LIST", 0,
     "Features of the driver: version-1, access-platform, order-platform, restricted-dma, none or "
     "all (default)",
     1},
    {"iommu", OPTION_IOMMU, "KIND", 0, "absent (default), translates, identity or bypassed", 2},
    {"pool", OPTION_POOL, "PLACE", 0, "none (default), system or device", 2},
    {"device-bits", OPTION_DEVICE_BITS, "N", 0, "Width of the device's addresses (64)", 2},
    {"memory-bits", OPTION_MEMORY_BITS, "N", 0, "Width of the highest memory address (64)", 2},
    {"restricted-bit", OPTION_RESTRICTED_BIT, "N", 0,
     "Number of the restricted-DMA feature (27; virtio 1.4 has none)", 2},
    {"table", OPTION_TABLE, NULL, 0, "Print the table of docs/access.md instead", 4},
};

enum { VALUE_OPTIONS = sizeof(value_options) / sizeof(value_options[0]) };

/* The command line so far: which bit is the restricted one may be said last. */
struct input {
    struct access_options *options;
    unsigned implements, knows; /* sets of words, 1 << index */
    bool facts_given;
};

static uint8_t parse_word(struct argp_state *state, const char *option, const char *text,
                          const char *const *words)
{
    char known[64];

    for (unsigned i = 0; words[i] != NULL; i++) {
        if (strcmp(text, words[i]) == 0) {
            return (uint8_t)i;
        }
    }
    (void)snprintf(known, sizeof(known), "%s", words[0]);
    for (unsigned i = 1; words[i] != NULL; i++) {
        size_t len = strlen(known);

        (void)snprintf(known + len, sizeof(known) - len, ", %s", words[i]);
    }
    argp_error(state, "--%s: '%s' is none of %s", option, text, known);
    return 0;
}

static uint8_t parse_number(struct argp_state *state, const char *option, const char *text,
                            long highest)
{
    char *end;
    long number;

    errno = 0;
    number = strtol(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0 || number < 1 || number > highest) {
        argp_error(state, "--%s: '%s' is not a number from 1 to %ld", option, text, highest);
        return 0;
    }
    return (uint8_t)number;
}

static unsigned parse_feature(const char *word, size_t len, unsigned first)
{
    for (unsigned i = first; i < (unsigned)ACCESS_FEATURE_WORDS; i++) {
        const char *known = access_feature_words[i].word;

        if (strlen(known) == len && memcmp(known, word, len) == 0) {
            return 1u << i;
        }
    }
    return 0;
}

/* A list of features from the word `first` on. */
static unsigned parse_features(struct argp_state *state, const char *option, const char *text,
                               unsigned first)
{
    unsigned set = 0;

    if (strcmp(text, "none") == 0) {
        return 0;
    }
    if (strcmp(text, "all") == 0) {
        return ((1u << (unsigned)ACCESS_FEATURE_WORDS) - 1u) & ~((1u << first) - 1u);
    }
    for (const char *word = text;; word++) {
        size_t len = strcspn(word, ",");
        unsigned bit = parse_feature(word, len, first);

        if (bit == 0) {
            argp_error(state, "--%s: '%.*s' is none of its features (see --help)", option, (int)len,
                       word);
            return 0;
        }
        set |= bit;
        word += len;
        if (*word == '\0') {
            return set;
        }
    }
}

static uint64_t features_of(unsigned words, unsigned restricted_bit)
{
    uint64_t features = 0;

    for (unsigned i = 0; i < (unsigned)ACCESS_FEATURE_WORDS; i++) {
        features |= (words >> i & 1u) != 0u ? access_feature_mask(i, restricted_bit) : 0u;
    }
    return features;
}

static void finish(struct argp_state *state, struct input *input)
{
    struct virtq_access_facts *facts = &input->options->facts;
    const char *objection;

    if (input->options->table && input->facts_given) {
        argp_error(state, "--table takes no facts");
    }
    if (facts->generation != (uint8_t)VIRTQ_ACCESS_LEGACY) {
        input->implements |= 1u;
    }
    facts->features = features_of(input->implements, facts->restricted_bit);
    facts->known = features_of(input->knows, facts->restricted_bit);
    objection = virtq_access_objection(facts);
    if (objection != NULL) {
        argp_error(state, "%s", objection);
    }
}

static error_t parse_value(int key, const char *text, struct argp_state *state)
{
    struct input *input = state->input;
    struct virtq_access_facts *facts = &input->options->facts;

    switch (key) {
    case OPTION_DEVICE:
        facts->generation = parse_word(state, "device", text, access_generation_words);
        return 0;
    case OPTION_IMPLEMENTS:
        input->implements = parse_features(state, "implements", text, 1);
        return 0;
    case OPTION_KNOWS:
        input->knows = parse_features(state, "driver-knows", text, 0);
        return 0;
    case OPTION_IOMMU:
        facts->iommu = parse_word(state, "iommu", text, access_iommu_words);
        return 0;
    case OPTION_POOL:
        facts->pool = parse_word(state, "pool", text, access_pool_words);
        return 0;
    case OPTION_DEVICE_BITS:
        facts->device_bits = parse_number(state, "device-bits", text, 64);
        return 0;
    case OPTION_MEMORY_BITS:
        facts->memory_bits = parse_number(state, "memory-bits", text, 64);
        return 0;
    case OPTION_RESTRICTED_BIT:
        facts->restricted_bit = parse_number(state, "restricted-bit", text, 63);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static error_t parse(int key, char *text, struct argp_state *state)
{
    struct input *input = state->input;

    switch (key) {
    case OPTION_TABLE:
        input->options->table = true;
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "'%s': there are options, and no arguments", text);
        return 0;
    case ARGP_KEY_END:
        finish(state, input);
        return 0;
    default:
        break;
    }
    if (key >= OPTION_FLAG && key < OPTION_FLAG + (int)ACCESS_FLAG_WORDS) {
        input->options->facts.flags |= access_flag_words[key - OPTION_FLAG].flag;
        input->options->facts.flags |= access_flag_words[key - OPTION_FLAG].implies;
        input->facts_given = true;
        return 0;
    }
    if (key > OPTION_TABLE && key < OPTION_FLAG) {
        input->facts_given = true;
    }
    return parse_value(key, text, state);
}

void access_options_parse(int argc, char **argv, struct access_options *options)
{
    static const struct virtq_access_facts plainest = VIRTQ_ACCESS_FACTS_INIT;
    struct argp_option all[VALUE_OPTIONS + ACCESS_FLAG_WORDS + 1];
    const struct argp argp = {
        .options = all,
        .parser = parse,
        .doc =
            "Says which address space a virtio driver and device use, what they negotiate for it, "
            "and why.\vExit codes: 0 both ends agree; 1 one of them refuses; 2 wrong usage.",
    };
    struct input input = {.options = options, .knows = (1u << (unsigned)ACCESS_FEATURE_WORDS) - 1u};

    memset(all, 0, sizeof(all));
    memcpy(all, value_options, sizeof(value_options));
    for (unsigned i = 0; i < (unsigned)ACCESS_FLAG_WORDS; i++) {
        struct argp_option *option = &all[(unsigned)VALUE_OPTIONS + i];

        option->name = access_flag_words[i].option;
        option->key = (int)OPTION_FLAG + (int)i;
        option->doc = access_flag_words[i].help;
        option->group = 3;
    }
    options->table = false;
    options->facts = plainest;
    argp_err_exit_status = ACCESS_EXIT_USAGE;
    (void)argp_parse(&argp, argc, argv, 0, NULL, &input);
}
