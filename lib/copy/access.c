/* SPDX-License-Identifier: BSD-3-Clause */
#include "access.h"

size_t virtq_priv_access_copy_to(unsigned char *to, const unsigned char *from, size_t len,
                                 uint32_t widths)
{
    static const uint64_t zeros;

    while (len != 0) {
        uint32_t width = virtq_priv_access_width((uintptr_t)to, len, widths);

        if (width == 0) {
            break;
        }
        virtq_priv_access_store(to, from != NULL ? (const void *)from : &zeros, width);
        to += width;
        from = from != NULL ? from + width : NULL;
        len -= width;
    }
    return len;
}

size_t virtq_priv_access_copy_from(unsigned char *to, const unsigned char *from, size_t len,
                                   uint32_t widths)
{
    while (len != 0) {
        uint32_t width = virtq_priv_access_width((uintptr_t)from, len, widths);

        if (width == 0) {
            break;
        }
        virtq_priv_access_load(to, from, width);
        to += width;
        from += width;
        len -= width;
    }
    return len;
}
