/* SPDX-License-Identifier: BSD-3-Clause */
#include "virtq/iommu/iova.h"

#include <stdbool.h>
#include <string.h>

#include "iova.h"

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

/* The first range that does not end below `addr`; count if there is none. */
static unsigned range_from(const struct virtq_iova *iova, virtq_addr_t addr)
{
    unsigned low = 0;
    unsigned high = iova->count;

    while (low < high) {
        unsigned middle = low + (high - low) / 2;

        if (iova->ranges[middle].last < addr) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Replaces ranges [from, to) by one, or by none. */
static void replace(struct virtq_iova *iova, unsigned from, unsigned to,
                    const struct virtq_iova_range *with)
{
    unsigned number = with != NULL;
    size_t tail = iova->count - to;

    memmove(&iova->ranges[from + number], &iova->ranges[to], tail * sizeof(*iova->ranges));
    if (with != NULL) {
        iova->ranges[from] = *with;
    }
    iova->count = iova->count - (to - from) + number;
}

int virtq_iova_reserve(struct virtq_iova *iova, virtq_addr_t first, virtq_addr_t last)
{
    uint64_t mask = iova->granule - 1;
    struct virtq_iova_range merged = {first & ~mask, last | mask, 1};
    unsigned from;
    unsigned to;

    if (first > last) {
        return VIRTQ_EINVAL;
    }
    if (merged.last < iova->first || merged.first > iova->last) {
        return 0;
    }
    merged.first = merged.first > iova->first ? merged.first : iova->first;
    merged.last = merged.last < iova->last ? merged.last : iova->last;
    from = range_from(iova, merged.first);
    for (to = from; to < iova->count && iova->ranges[to].first <= merged.last; to++) {
        if (!iova->ranges[to].reserved) {
            return VIRTQ_EBUSY;
        }
    }
    if (to == from && iova->count == iova->capacity) {
        return VIRTQ_ENOMEM;
    }
    if (to != from) {
        const struct virtq_iova_range *low = &iova->ranges[from];
        const struct virtq_iova_range *high = &iova->ranges[to - 1];

        merged.first = low->first < merged.first ? low->first : merged.first;
        merged.last = high->last > merged.last ? high->last : merged.last;
    }
    replace(iova, from, to, &merged);
    return 0;
}

/* Whether the request fits in the gap [first, last], and where. */
static bool fits(const struct request *request, virtq_addr_t first, virtq_addr_t last,
                 virtq_addr_t *addr)
{
    uint64_t forward = (0 - first) & (request->align - 1);

    last = last < request->limit ? last : request->limit;
    if (first > last || forward > last - first || request->span > last - first - forward) {
        return false;
    }
    *addr = first + forward;
    return true;
}

/* The lowest gap that fits; with `only_reserved`, as if nothing were allocated. `at` is the range
 * behind the gap. */
static bool find(const struct virtq_iova *iova, const struct request *request, bool only_reserved,
                 unsigned *at, virtq_addr_t *addr)
{
    virtq_addr_t first = request->low > iova->first ? request->low : iova->first;
    unsigned i;

    for (i = range_from(iova, first); i < iova->count; i++) {
        const struct virtq_iova_range *range = &iova->ranges[i];

        if (only_reserved && !range->reserved) {
            continue;
        }
        if (first > request->limit) {
            return false;
        }
        if (range->first > first && fits(request, first, range->first - 1, addr)) {
            *at = i;
            return true;
        }
        if (range->last >= iova->last) {
            return false;
        }
        first = range->last + 1;
    }
    *at = iova->count;
    return fits(request, first, iova->last, addr);
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
    struct virtq_iova_range range;
    unsigned at;

    if (iova->count == iova->capacity || !find(iova, request, false, &at, &range.first)) {
        return VIRTQ_ENOMEM;
    }
    range.last = range.first + request->span;
    range.reserved = 0;
    replace(iova, at, at, &range);
    *addr = range.first;
    return 0;
}

int virtq_iova_alloc(struct virtq_iova *iova, uint64_t len, uint64_t align, virtq_addr_t limit,
                     virtq_addr_t *addr)
{
    struct request request = {0, 0, 0, limit};
    int error = make_request(iova, len, align, &request);
    virtq_addr_t unused;
    unsigned at;

    if (error == 0) {
        error = take(iova, &request, addr);
    }
    if (error == VIRTQ_ENOMEM && !find(iova, &request, true, &at, &unused)) {
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

int virtq_iova_free(struct virtq_iova *iova, virtq_addr_t addr)
{
    unsigned at = range_from(iova, addr);

    if (at == iova->count || iova->ranges[at].first != addr || iova->ranges[at].reserved) {
        return VIRTQ_EINVAL;
    }
    replace(iova, at, at + 1, NULL);
    return 0;
}

int virtq_priv_iova_find(const struct virtq_iova *iova, virtq_addr_t addr, virtq_addr_t *first,
                         uint64_t *len)
{
    unsigned at = range_from(iova, addr);

    if (at == iova->count || iova->ranges[at].first > addr || iova->ranges[at].reserved) {
        return VIRTQ_EINVAL;
    }
    *first = iova->ranges[at].first;
    *len = iova->ranges[at].last - iova->ranges[at].first + 1;
    return 0;
}
