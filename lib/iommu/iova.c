/* SPDX-License-Identifier: BSD-3-Clause */
#include "virtq/iommu/iova.h"

#include <stdbool.h>
#include <string.h>

#include "iova.h"
#include "iova_tree.h"

/* What is asked for: `span` is the length in whole granules minus 1, so that 2^64 bytes fit in. */
struct request {
    uint64_t span;
    uint64_t align;
    virtq_addr_t low;   /* Not below it ... */
    virtq_addr_t limit; /* ... and not above. */
};

int virtq_iova_init(struct virtq_iova *iova, virtq_addr_t first, virtq_addr_t last,
                    uint64_t granule, struct virtq_iova_range *ranges, unsigned capacity)
{
    uint64_t mask = granule - 1;
    virtq_addr_t start;
    virtq_addr_t end;

    if (granule == 0 || (granule & mask) != 0 || capacity == 0 || ranges == NULL || first > last) {
        return VIRTQ_EINVAL;
    }
    /* The last granule that begins no later than `last` counts only if it ends there, too. */
    end = (last & mask) == mask ? last : (last & ~mask) - 1;
    if ((first & mask) != 0 && (first | mask) == UINT64_MAX) {
        return VIRTQ_EINVAL;
    }
    start = (first & mask) != 0 ? (first | mask) + 1 : first;
    if ((last & mask) != mask && (last & ~mask) == 0) {
        return VIRTQ_EINVAL;
    }
    if (start > end) {
        return VIRTQ_EINVAL;
    }
    memset(iova, 0, sizeof(*iova));
    iova->ranges = ranges;
    iova->capacity = capacity;
    iova->first = start;
    iova->last = end;
    iova->granule = granule;
    return 0;
}

int virtq_iova_reserve(struct virtq_iova *iova, virtq_addr_t first, virtq_addr_t last)
{
    uint64_t mask = iova->granule - 1;
    const struct virtq_iova_range *range;
    virtq_addr_t low;
    virtq_addr_t high;
    uint32_t number;
    bool touches = false;

    if (first > last) {
        return VIRTQ_EINVAL;
    }
    low = first & ~mask;
    high = last | mask;
    if (high < iova->first || low > iova->last) {
        return 0;
    }
    low = low > iova->first ? low : iova->first;
    high = high < iova->last ? high : iova->last;
    first = low;
    last = high;
    for (number = virtq_priv_iova_from(iova, low); number != 0;
         number = virtq_priv_iova_from(iova, range->last + 1)) {
        range = virtq_priv_iova_at(iova, number);
        if (range->first > high) {
            break;
        }
        if (!range->reserved) {
            return VIRTQ_EBUSY;
        }
        touches = true;
        first = range->first < first ? range->first : first;
        last = range->last > last ? range->last : last;
        if (range->last == UINT64_MAX) {
            break;
        }
    }
    if (!touches && iova->count == iova->capacity) {
        return VIRTQ_ENOMEM;
    }
    while ((number = virtq_priv_iova_from(iova, first)) != 0 &&
           virtq_priv_iova_at(iova, number)->first <= last) {
        virtq_priv_iova_remove(iova, virtq_priv_iova_at(iova, number)->first);
    }
    virtq_priv_iova_insert(iova, first, last, 1);
    return 0;
}

/* Whether the request fits in the gap [first, last], and where. */
static bool fits(const struct request *request, virtq_addr_t first, virtq_addr_t last,
                 virtq_addr_t *addr)
{
    uint64_t forward;

    first = first > request->low ? first : request->low;
    forward = (0 - first) & (request->align - 1);
    last = last < request->limit ? last : request->limit;
    if (first > last || forward > last - first || request->span > last - first - forward) {
        return false;
    }
    *addr = first + forward;
    return true;
}

/* Free addresses around a subtree: between `first` and `last` there is nothing else. */
struct stretch {
    uint32_t number;
    virtq_addr_t first;
    virtq_addr_t last;
};

/* Whether a stretch may hold what is asked for: nothing is looked at in vain but gaps that are long
 * enough and ill aligned. */
static bool promises(const struct virtq_iova *iova, const struct request *request,
                     const struct stretch *stretch)
{
    const struct virtq_iova_range *range;
    uint64_t longest;

    if (stretch->first > request->limit || stretch->last < request->low) {
        return false;
    }
    if (stretch->number == 0) {
        return true;
    }
    range = virtq_priv_iova_at(iova, stretch->number);
    longest = range->gap;
    longest = range->low - stretch->first > longest ? range->low - stretch->first : longest;
    longest = stretch->last - range->high > longest ? stretch->last - range->high : longest;
    return longest > request->span;
}

/* The lowest gap that fits. */
static bool find(const struct virtq_iova *iova, const struct request *request, virtq_addr_t *addr)
{
    struct stretch stack[VIRTQ_PRIV_IOVA_HEIGHT + 2];
    unsigned depth = 1;

    stack[0] = (struct stretch){iova->root, iova->first, iova->last};
    while (depth > 0) {
        const struct stretch stretch = stack[--depth];
        const struct virtq_iova_range *range;

        if (!promises(iova, request, &stretch)) {
            continue;
        }
        if (stretch.number == 0) {
            if (fits(request, stretch.first, stretch.last, addr)) {
                return true;
            }
            continue;
        }
        range = virtq_priv_iova_at(iova, stretch.number);
        if (range->last < stretch.last) {
            stack[depth++] = (struct stretch){range->right, range->last + 1, stretch.last};
        }
        if (range->first > stretch.first) {
            stack[depth++] = (struct stretch){range->left, stretch.first, range->first - 1};
        }
    }
    return false;
}

/* Whether it would fit if nothing were allocated: along the reserved regions. */
static bool could_fit(const struct virtq_iova *iova, const struct request *request)
{
    uint32_t stack[VIRTQ_PRIV_IOVA_HEIGHT];
    virtq_addr_t first = iova->first;
    virtq_addr_t addr;
    uint32_t number = iova->root;
    unsigned depth = 0;

    for (;;) {
        const struct virtq_iova_range *range;

        while (number != 0 && virtq_priv_iova_at(iova, number)->keeps) {
            stack[depth++] = number;
            number = virtq_priv_iova_at(iova, number)->left;
        }
        if (depth == 0) {
            return fits(request, first, iova->last, &addr);
        }
        range = virtq_priv_iova_at(iova, stack[--depth]);
        if (range->reserved) {
            if (range->first > first && fits(request, first, range->first - 1, &addr)) {
                return true;
            }
            if (range->last >= iova->last) {
                return false;
            }
            first = range->last + 1;
        }
        number = range->right;
    }
}

static int make_request(const struct virtq_iova *iova, uint64_t len, uint64_t align,
                        struct request *request)
{
    if (len == 0 || (align & (align - 1)) != 0) {
        return VIRTQ_EINVAL;
    }
    request->span = (len - 1) | (iova->granule - 1);
    request->align = align > iova->granule ? align : iova->granule;
    return 0;
}

/* VIRTQ_ENOMEM: no gap, or no entry. */
static int take(struct virtq_iova *iova, const struct request *request, virtq_addr_t *addr)
{
    if (iova->count == iova->capacity || !find(iova, request, addr)) {
        return VIRTQ_ENOMEM;
    }
    virtq_priv_iova_insert(iova, *addr, *addr + request->span, 0);
    return 0;
}

int virtq_iova_alloc(struct virtq_iova *iova, uint64_t len, uint64_t align, virtq_addr_t limit,
                     virtq_addr_t *addr)
{
    struct request request = {0, 0, 0, limit};
    int error = make_request(iova, len, align, &request);

    if (error == 0) {
        error = take(iova, &request, addr);
    }
    if (error == VIRTQ_ENOMEM && !could_fit(iova, &request)) {
        return VIRTQ_ETOOBIG;
    }
    return error;
}

int virtq_priv_iova_alloc_in(struct virtq_iova *iova, uint64_t len, uint64_t align,
                             virtq_addr_t low, virtq_addr_t high, virtq_addr_t *addr)
{
    struct request request = {0, 0, low, high};
    int error = make_request(iova, len, align, &request);

    return error == 0 ? take(iova, &request, addr) : error;
}

/* The allocation that holds an address; NULL: none does. */
static const struct virtq_iova_range *allocation(const struct virtq_iova *iova, virtq_addr_t addr)
{
    uint32_t number = virtq_priv_iova_from(iova, addr);
    const struct virtq_iova_range *range;

    if (number == 0) {
        return NULL;
    }
    range = virtq_priv_iova_at(iova, number);
    return range->first <= addr && !range->reserved ? range : NULL;
}

int virtq_iova_free(struct virtq_iova *iova, virtq_addr_t addr)
{
    const struct virtq_iova_range *range = allocation(iova, addr);

    if (range == NULL || range->first != addr) {
        return VIRTQ_EINVAL;
    }
    virtq_priv_iova_remove(iova, addr);
    return 0;
}

int virtq_priv_iova_find(const struct virtq_iova *iova, virtq_addr_t addr, virtq_addr_t *first,
                         uint64_t *len)
{
    const struct virtq_iova_range *range = allocation(iova, addr);

    if (range == NULL) {
        return VIRTQ_EINVAL;
    }
    *first = range->first;
    *len = range->last - range->first + 1;
    return 0;
}
