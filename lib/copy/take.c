/* SPDX-License-Identifier: BSD-3-Clause */
#include "copy.h"

/* Piece by piece, so that what is zeroed need not be fetched a second time. A compiler that knew
 * how long a piece is would make slow instructions of it. */
void virtq_priv_copy_take_pieces(unsigned char *to, unsigned char *from, size_t len, size_t size)
{
    while (size != 0) {
        size_t piece = size < VIRTQ_PRIV_COPY_PIECE ? size : VIRTQ_PRIV_COPY_PIECE;
        size_t some = len < piece ? len : piece;

        VIRTQ_OPAQUE(piece);
        if (some != 0) {
            memcpy(to, from, some);
            to += some;
            len -= some;
        }
        memset(from, 0, piece);
        from += piece;
        size -= piece;
    }
}
