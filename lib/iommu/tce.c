/* SPDX-License-Identifier: BSD-3-Clause */
#include "virtq/iommu/tce.h"

#include <stdbool.h>

/* 4 KiB to 16 GiB: what the platform reference knows. */
enum { SHIFT_LEAST = 12, SHIFT_MOST = 34 };

VIRTQ_STATIC_ASSERT((int)VIRTQ_TCE_READ == (int)VIRTQ_PERMISSION_READ &&
                        (int)VIRTQ_TCE_WRITE == (int)VIRTQ_PERMISSION_WRITE,
                    "an entry's bits are permissions");

int virtq_tce_window_check(const struct virtq_tce_window *window)
{
    uint64_t last_page;

    if (window->shift < SHIFT_LEAST || window->shift > SHIFT_MOST || window->entries == 0) {
        return VIRTQ_EINVAL;
    }
    last_page = UINT64_MAX >> window->shift;
    if ((window->first & (((uint64_t)1 << window->shift) - 1)) != 0 ||
        window->entries - 1 > last_page - (window->first >> window->shift)) {
        return VIRTQ_EINVAL;
    }
    return 0;
}

int virtq_tce_window_range(const struct virtq_tce_window *window, virtq_addr_t limit,
                           virtq_addr_t *first, virtq_addr_t *last)
{
    uint64_t page;
    virtq_addr_t low;
    virtq_addr_t high;

    if (virtq_tce_window_check(window) != 0) {
        return VIRTQ_EINVAL;
    }
    page = (uint64_t)1 << window->shift;
    low = window->first != 0 ? window->first : page;
    high = virtq_tce_window_last(window);
    if (high > limit) {
        /* The page that the limit lies in counts only if it ends there. */
        high = ((limit + 1) & ~(page - 1)) - 1;
        if (limit < page - 1) {
            return VIRTQ_EFAULT;
        }
    }
    if (high < low) {
        return VIRTQ_EFAULT;
    }
    *first = low;
    *last = high;
    return 0;
}

/* Whether every real address, counted from the window's first bus address, is in the window and
 * within reach. */
static bool holds_all(const struct virtq_tce_window *window, const struct virtq_tce_needs *needs)
{
    virtq_addr_t last = virtq_tce_window_last(window);

    return needs->memory_last <= last - window->first && needs->limit >= window->first &&
           needs->memory_last <= needs->limit - window->first;
}

int virtq_tce_choose(const struct virtq_tce_window *windows, unsigned count,
                     const struct virtq_tce_needs *needs, struct virtq_tce_choice *choice)
{
    struct virtq_tce_choice best = {0, 0};
    uint64_t best_span = 0;
    bool found = false;
    unsigned i;

    if (windows == NULL || count == 0) {
        return VIRTQ_EINVAL;
    }
    for (i = 0; i < count; i++) {
        virtq_addr_t first = 0;
        virtq_addr_t last = 0;
        int error = virtq_tce_window_range(&windows[i], needs->limit, &first, &last);
        bool all;

        if (error == VIRTQ_EINVAL) {
            return error;
        }
        all = needs->trusted != 0 && holds_all(&windows[i], needs);
        if (error != 0 && !all) {
            continue;
        }
        if (all && (best.all == 0 || windows[i].shift > windows[best.window].shift)) {
            best = (struct virtq_tce_choice){i, 1};
        } else if (best.all == 0 && (!found || last - first > best_span)) {
            best.window = i;
            best_span = last - first;
        }
        found = true;
    }
    if (!found) {
        return VIRTQ_EFAULT;
    }
    *choice = best;
    return 0;
}

int virtq_tce_error(int64_t status)
{
    if (status >= VIRTQ_TCE_LONG_BUSY && status <= VIRTQ_TCE_LONG_BUSY_LAST) {
        return VIRTQ_ENOMEM;
    }
    switch (status) {
    case VIRTQ_TCE_SUCCESS:
        return 0;
    case VIRTQ_TCE_BUSY:
    case VIRTQ_TCE_NO_MEM:
    case VIRTQ_TCE_RESOURCE:
    case VIRTQ_TCE_NOT_ENOUGH:
        return VIRTQ_ENOMEM;
    case VIRTQ_TCE_PRIVILEGE:
    case VIRTQ_TCE_AUTHORITY:
    case VIRTQ_TCE_PERMISSION:
        return VIRTQ_EPERM;
    case VIRTQ_TCE_PARAMETER:
        return VIRTQ_EINVAL;
    case VIRTQ_TCE_FUNCTION:
        return VIRTQ_ENOTSUP;
    default:
        return VIRTQ_EFAULT;
    }
}
