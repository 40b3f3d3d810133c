/* SPDX-License-Identifier: BSD-3-Clause */
/* All that libvirtq needs of a C library, for where there is none: the user brings these four
 * functions. Only the freestanding build finds this file; there, a call of anything else does not
 * compile. */
#ifndef VIRTQ_FREESTANDING_STRING_H
#define VIRTQ_FREESTANDING_STRING_H

#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t bytes);
void *memmove(void *to, const void *from, size_t bytes);
void *memset(void *to, int byte, size_t bytes);
int memcmp(const void *one, const void *other, size_t bytes);

#endif
