/* SPDX-License-Identifier: BSD-3-Clause */
/* What the IOMMU can do: page sizes, usable addresses, how many mappings. */
#include <errno.h>
#include <string.h>

#include "vfio_private.h"

/* Of the kernel's answer; 250 ranges fit. */
#define ANSWER_BYTES 4096u

union answer {
    struct vfio_iommu_type1_info info;
    uint64_t align;
    unsigned char bytes[ANSWER_BYTES];
};

/* A range more; the kernel has them ascending. */
static bool add_range(struct virtq_vfio *vfio, uint64_t first, uint64_t last)
{
    if (first > last ||
        (vfio->range_count > 0 && first <= vfio->ranges[vfio->range_count - 1].last)) {
        return false;
    }
    if (vfio->range_count < VIRTQ_VFIO_RANGES_MAX) {
        vfio->ranges[vfio->range_count++] = (struct virtq_vfio_range){first, last};
    }
    return true;
}

static bool read_ranges(struct virtq_vfio *vfio, const unsigned char *at, uint32_t room)
{
    struct vfio_iommu_type1_info_cap_iova_range head;
    uint32_t i;

    if (room < sizeof(head)) {
        return false;
    }
    memcpy(&head, at, sizeof(head));
    if (head.nr_iovas > (room - sizeof(head)) / sizeof(struct vfio_iova_range)) {
        return false;
    }
    for (i = 0; i < head.nr_iovas; i++) {
        struct vfio_iova_range range;

        memcpy(&range, at + sizeof(head) + i * sizeof(range), sizeof(range));
        if (!add_range(vfio, range.start, range.end)) {
            return false;
        }
    }
    return true;
}

static bool read_available(struct virtq_vfio *vfio, const unsigned char *at, uint32_t room)
{
    struct vfio_iommu_type1_info_dma_avail available;

    if (room < sizeof(available)) {
        return false;
    }
    memcpy(&available, at, sizeof(available));
    vfio->available = available.avail;
    return true;
}

/* A chain that ascends ends. */
static bool read_capabilities(struct virtq_vfio *vfio, const union answer *answer, uint32_t len)
{
    uint32_t at = answer->info.cap_offset;
    struct vfio_info_cap_header head;

    while (at != 0) {
        bool good = true;

        if (at >= len || len - at < sizeof(head)) {
            return false;
        }
        memcpy(&head, answer->bytes + at, sizeof(head));
        if (head.id == VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE) {
            good = vfio->range_count == 0 && read_ranges(vfio, answer->bytes + at, len - at);
        } else if (head.id == VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL) {
            good = read_available(vfio, answer->bytes + at, len - at);
        }
        if (!good || (head.next != 0 && head.next <= at)) {
            return false;
        }
        at = head.next;
    }
    return true;
}

static int inform_type1(struct virtq_vfio *vfio)
{
    union answer answer;
    uint32_t len;
    int result;

    memset(&answer, 0, sizeof(answer));
    answer.info.argsz = sizeof(answer);
    result = virtq_priv_vfio_call(vfio, vfio->fd, VFIO_IOMMU_GET_INFO, &answer);
    if (result < 0) {
        return result;
    }
    len = answer.info.argsz < sizeof(answer) ? answer.info.argsz : (uint32_t)sizeof(answer);
    if ((answer.info.flags & VFIO_IOMMU_INFO_PGSIZES) != 0) {
        vfio->page_sizes = answer.info.iova_pgsizes;
    }
    if ((answer.info.flags & VFIO_IOMMU_INFO_CAPS) != 0 && !read_capabilities(vfio, &answer, len)) {
        return -EPROTO;
    }
    return vfio->range_count == 0 && !add_range(vfio, 0, UINT64_MAX) ? -EPROTO : 0;
}

static int inform_iommufd(struct virtq_vfio *vfio)
{
    struct virtq_vfio_range found[ANSWER_BYTES / sizeof(struct virtq_vfio_range)];
    struct virtq_priv_iommufd_ranges query = {.size = sizeof(query),
                                              .space_id = vfio->space_id,
                                              .count = sizeof(found) / sizeof(found[0]),
                                              .ranges = (uintptr_t)found};
    int result = virtq_priv_vfio_call(vfio, vfio->fd, VIRTQ_PRIV_IOMMUFD_RANGES, &query);
    uint32_t i;

    if (result < 0) {
        return result;
    }
    if (query.count > sizeof(found) / sizeof(found[0])) {
        return -EPROTO;
    }
    for (i = 0; i < query.count; i++) {
        if (!add_range(vfio, found[i].first, found[i].last)) {
            return -EPROTO;
        }
    }
    /* Mappings begin and end there; larger pages are the kernel's business. */
    vfio->page_sizes = query.alignment;
    return vfio->range_count == 0 ? -EPROTO : 0;
}

int virtq_priv_vfio_inform(struct virtq_vfio *vfio)
{
    int result;

    vfio->page_sizes = 0;
    vfio->range_count = 0;
    vfio->available = UINT32_MAX;
    result = vfio->kind == (uint32_t)VIRTQ_VFIO_TYPE1 ? inform_type1(vfio) : inform_iommufd(vfio);
    vfio->granule = vfio->page_sizes & (~vfio->page_sizes + 1);
    if (result >= 0 && vfio->granule == 0) {
        result = -EPROTO;
    }
    return result < 0 ? virtq_priv_vfio_fail(vfio, VIRTQ_VFIO_STEP_INFO, result) : 0;
}

int virtq_vfio_read_limits(struct virtq_vfio *vfio, struct virtq_vfio_limits *limits)
{
    int error = vfio->members == 0 ? VIRTQ_ENOTSUP : virtq_priv_vfio_inform(vfio);

    if (error == 0) {
        *limits = (struct virtq_vfio_limits){.page_sizes = vfio->page_sizes,
                                             .granule = vfio->granule,
                                             .first = vfio->ranges[0].first,
                                             .last = vfio->ranges[vfio->range_count - 1].last,
                                             .range_count = vfio->range_count,
                                             .available = vfio->available};
    }
    return error;
}

int virtq_vfio_init_iova(const struct virtq_vfio *vfio, virtq_addr_t first, virtq_addr_t last,
                         struct virtq_iova *iova, struct virtq_iova_range *entries,
                         unsigned capacity)
{
    const struct virtq_vfio_range *ranges = vfio->ranges;
    uint32_t i;
    int error;

    if (vfio->members == 0 || vfio->range_count == 0) {
        return VIRTQ_ENOTSUP;
    }
    first = first > ranges[0].first ? first : ranges[0].first;
    last = last < ranges[vfio->range_count - 1].last ? last : ranges[vfio->range_count - 1].last;
    error = first > last ? VIRTQ_EINVAL
                         : virtq_iova_init(iova, first, last, vfio->granule, entries, capacity);
    for (i = 1; i < vfio->range_count && error == 0; i++) {
        /* The hole below this range, if there is one; outside of [first, last] it is ignored. */
        if (ranges[i].first - 1 != ranges[i - 1].last) {
            error = virtq_iova_reserve(iova, ranges[i - 1].last + 1, ranges[i].first - 1);
        }
    }
    return error;
}
