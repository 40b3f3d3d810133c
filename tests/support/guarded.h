/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief Memory between two pages that trap every access.
 */
#ifndef VIRTQ_TESTS_GUARDED_H
#define VIRTQ_TESTS_GUARDED_H

#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

#include "runner.h"

/** @brief Bytes of a page of this machine. */
static inline size_t guarded_page(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

/** @brief Zeroed memory whose last byte lies before a page that traps, and whose first page lies
 * behind another.
 * @param size bytes; a multiple of the page size also begins on the first page
 * @return its first byte; the test fails if there is none */
static inline unsigned char *guarded_alloc(size_t size)
{
    size_t page = guarded_page();
    size_t whole = (size + page - 1) / page * page;
    unsigned char *at = mmap(NULL, whole + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    cr_assert(at != MAP_FAILED);
    cr_assert(mprotect(at + page, whole, PROT_READ | PROT_WRITE) == 0);
    return at + page + (whole - size);
}

/** @brief Gives memory of guarded_alloc() back.
 * @param at   what it gave
 * @param size the same size */
static inline void guarded_free(unsigned char *at, size_t size)
{
    size_t page = guarded_page();
    size_t whole = (size + page - 1) / page * page;

    (void)munmap(at - (whole - size) - page, whole + 2 * page);
}

#endif
