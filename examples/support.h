/* SPDX-License-Identifier: BSD-3-Clause */
/* What the examples share: a check that ends the program, and aligned memory. */
#ifndef EXAMPLES_SUPPORT_H
#define EXAMPLES_SUPPORT_H

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

/* An example ends with 0 only if all of these held. */
static inline void check(int holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "failed: %s\n", what);
        exit(EXIT_FAILURE);
    }
}

/* Memory at an alignment; free() takes it back. */
static inline void *memory(size_t size, size_t align)
{
    void *result = aligned_alloc(align, (size + align - 1) / align * align);

    check(size != 0 && result != NULL, "memory");
    return result;
}

#endif
