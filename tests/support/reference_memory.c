/* SPDX-License-Identifier: BSD-3-Clause */
/* Bytes, words and descriptors of shared memory, and the checks of a configuration. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reference_private.h"

/* The ring is bytes to its owner and 16-bit words here; the type says that both are meant. */
typedef uint16_t __attribute__((may_alias)) shared16;

static uint64_t get_bytes(const unsigned char *bytes, unsigned width, bool big_endian)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < width; i++) {
        unsigned most_significant_first = big_endian ? i : width - 1 - i;

        value = value << 8 | bytes[most_significant_first];
    }
    return value;
}

static void put_bytes(unsigned char *bytes, unsigned width, uint64_t value, bool big_endian)
{
    for (unsigned i = 0; i < width; i++) {
        unsigned least_significant_first = big_endian ? width - 1 - i : i;

        bytes[least_significant_first] = (unsigned char)(value & 0xff);
        value >>= 8;
    }
}

uint16_t reference_get16(const unsigned char *bytes, bool big_endian)
{
    return (uint16_t)get_bytes(bytes, 2, big_endian);
}

uint32_t reference_get32(const unsigned char *bytes, bool big_endian)
{
    return (uint32_t)get_bytes(bytes, 4, big_endian);
}

uint64_t reference_get64(const unsigned char *bytes, bool big_endian)
{
    return get_bytes(bytes, 8, big_endian);
}

void reference_put16(unsigned char *bytes, uint16_t value, bool big_endian)
{
    put_bytes(bytes, 2, value, big_endian);
}

void reference_put32(unsigned char *bytes, uint32_t value, bool big_endian)
{
    put_bytes(bytes, 4, value, big_endian);
}

void reference_put64(unsigned char *bytes, uint64_t value, bool big_endian)
{
    put_bytes(bytes, 8, value, big_endian);
}

uint16_t reference_load16(const unsigned char *bytes, bool big_endian)
{
    uint16_t word = __atomic_load_n((const shared16 *)(const void *)bytes, __ATOMIC_SEQ_CST);
    unsigned char copy[2];

    memcpy(copy, &word, sizeof(copy));
    return reference_get16(copy, big_endian);
}

void reference_store16(unsigned char *bytes, uint16_t value, bool big_endian)
{
    unsigned char copy[2];
    uint16_t word;

    reference_put16(copy, value, big_endian);
    memcpy(&word, copy, sizeof(word));
    __atomic_store_n((shared16 *)(void *)bytes, word, __ATOMIC_SEQ_CST);
}

void reference_get_descriptor(const unsigned char *bytes, bool big_endian,
                              struct reference_descriptor *descriptor)
{
    descriptor->address = reference_get64(bytes, big_endian);
    descriptor->length = reference_get32(bytes + 8, big_endian);
    descriptor->third = reference_get16(bytes + 12, big_endian);
    descriptor->fourth = reference_get16(bytes + 14, big_endian);
}

void reference_put_descriptor(unsigned char *bytes, bool big_endian,
                              const struct reference_descriptor *descriptor)
{
    reference_put64(bytes, descriptor->address, big_endian);
    reference_put32(bytes + 8, descriptor->length, big_endian);
    reference_put16(bytes + 12, descriptor->third, big_endian);
    reference_put16(bytes + 14, descriptor->fourth, big_endian);
}

void reference_require(bool condition, const char *what)
{
    if (!condition) {
        fprintf(stderr, "reference ring misused: %s\n", what);
        abort();
    }
}

static bool aligned(const void *pointer, uintptr_t alignment)
{
    return pointer && (uintptr_t)pointer % alignment == 0;
}

/* Sizes and alignments: "Split Virtqueues", "Packed Virtqueues / Structure Size and Alignment". */
bool reference_config_valid(const struct reference_config *config)
{
    bool split = config->format == REFERENCE_SPLIT;

    if (config->size < 1 || config->size > 32768) {
        return false;
    }
    if (split && (config->size & (config->size - 1)) != 0) {
        return false;
    }
    if (!split && config->big_endian) {
        return false;
    }
    return aligned(config->descriptor_area, 16) && aligned(config->driver_area, split ? 2 : 4) &&
           aligned(config->device_area, 4);
}

uint32_t reference_longest_chain(const struct reference_config *config)
{
    return config->longest_chain ? config->longest_chain : config->size;
}

int reference_violate(const char **violation, const char *why)
{
    if (!*violation) {
        *violation = why;
    }
    return -1;
}
