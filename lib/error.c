/* SPDX-License-Identifier: BSD-3-Clause */
#include "virtq/error.h"

VIRTQ_API const char *virtq_error_name(int error)
{
    static const char *const names[] = {
        "ok",
        "invalid argument",
        "ring full",
        "no memory left in the space",
        "address outside the space",
        "address without a window yet",
        "queue broken",
        "busy",
        "too big ever to fit",
        "access not permitted",
        "not supported",
        "request failed by the peer",
    };

    if (error >= 0) {
        return names[0];
    }
    return error >= (int)VIRTQ_EPEER ? names[-error] : "unknown error";
}

static const char *buffer_reason(uint32_t reason)
{
    static const char *const names[] = {
        "none",
        "address outside every window",
        "access not permitted",
        "readable element after a writable one",
        "more than 2^32 bytes",
        "more pieces than there is room for",
        "indirect table without the feature",
        "indirect descriptor with NEXT",
        "indirect table of illegal length",
        "indirect table inside a table",
        "next leaves the table",
        "loop in the table",
    };

    return reason <= (uint32_t)VIRTQ_REASON_TABLE_LOOP ? names[reason] : "unknown reason";
}

VIRTQ_API const char *virtq_reason_name(uint32_t reason)
{
    static const char *const names[] = {
        "index moved further than the queue is long",
        "head or id outside the queue",
        "next outside the queue",
        "chain longer than the queue",
        "buffer available while in flight",
        "list goes on into an unavailable descriptor",
        "used id not outstanding",
        "used length beyond the writable part",
        "buffers used out of order",
        "indirect descriptor within a list",
        "ring memory no longer granted",
    };

    if (!virtq_reason_is_queue(reason)) {
        return buffer_reason(reason);
    }
    return reason <= (uint32_t)VIRTQ_REASON_QUEUE_RING
               ? names[reason - (uint32_t)VIRTQ_REASON_QUEUE_INDEX]
               : "unknown reason";
}
