/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief Memory that two ends see: each end has a mapping of its own, with pages that trap before
 * and behind.
 *
 * The one end's mapping can be made read-only, so that a store where an end has no business to
 * store traps at once. A block ends exactly at the page that traps behind it, or begins exactly
 * behind the one before it.
 */
#ifndef VIRTQ_TESTS_HOSTILE_BLOCK_H
#define VIRTQ_TESTS_HOSTILE_BLOCK_H

#ifndef _GNU_SOURCE
#    define _GNU_SOURCE
#endif
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "support/runner.h"

/** @brief A run of bytes, mapped twice. */
struct block {
    unsigned char *at;   /**< As the test sees it, which plays the peer. */
    unsigned char *view; /**< As the library sees it. */
    size_t size;         /**< Bytes asked for. */
    size_t inner;        /**< Bytes of whole pages. */
    unsigned char *maps[2];
};

static inline size_t block_page(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

/* One mapping of the file, between two pages that trap. */
static inline unsigned char *block_map(struct block *block, unsigned index, int file)
{
    size_t page = block_page();
    unsigned char *map = mmap(NULL, block->inner + 2 * page, PROT_NONE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    cr_assert(map != MAP_FAILED);
    cr_assert(mmap(map + page, block->inner, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file,
                   0) == map + page);
    block->maps[index] = map;
    return map + page;
}

/** @brief Makes a zeroed block.
 * @param block  result
 * @param size   bytes
 * @param align  alignment: where `size` is no multiple of it, the block ends that much earlier
 * @param begins it begins at the trap before it instead of ending at the one behind it */
static inline void block_init(struct block *block, size_t size, size_t align, bool begins)
{
    size_t page = block_page();
    size_t whole = (size + align - 1) / align * align;
    FILE *file = tmpfile();
    size_t shift;

    cr_assert_not_null(file);
    block->size = size;
    block->inner = (whole + page - 1) / page * page;
    cr_assert(ftruncate(fileno(file), (off_t)block->inner) == 0);
    shift = begins ? 0 : block->inner - whole;
    block->at = block_map(block, 0, fileno(file)) + shift;
    block->view = block_map(block, 1, fileno(file)) + shift;
    (void)fclose(file);
}

/** @brief Lets the library only read the block, or write it as well. */
static inline void block_protect(const struct block *block, bool writable)
{
    int protection = writable ? PROT_READ | PROT_WRITE : PROT_READ;

    cr_assert(mprotect(block->maps[1] + block_page(), block->inner, protection) == 0);
}

static inline void block_free(struct block *block)
{
    for (unsigned i = 0; i < 2; i++) {
        if (block->maps[i] != NULL) {
            (void)munmap(block->maps[i], block->inner + 2 * block_page());
        }
    }
    memset(block, 0, sizeof(*block));
}

/* Ring words are little-endian and are written byte by byte: nothing here is the library's. */
static inline void put16(unsigned char *at, unsigned value)
{
    at[0] = (unsigned char)value;
    at[1] = (unsigned char)(value >> 8);
}

static inline void put32(unsigned char *at, uint32_t value)
{
    put16(at, value & 0xffffu);
    put16(at + 2, value >> 16);
}

static inline void put64(unsigned char *at, uint64_t value)
{
    put32(at, (uint32_t)value);
    put32(at + 4, (uint32_t)(value >> 32));
}

static inline uint16_t get16(const unsigned char *at)
{
    return (uint16_t)(at[0] | at[1] << 8);
}

static inline uint32_t get32(const unsigned char *at)
{
    return get16(at) | (uint32_t)get16(at + 2) << 16;
}

static inline uint64_t get64(const unsigned char *at)
{
    return get32(at) | (uint64_t)get32(at + 4) << 32;
}

#endif
