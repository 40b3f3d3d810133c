/* SPDX-License-Identifier: BSD-3-Clause */
#include "vhost_user_log.h"

#include "virtq/inline/event.h"
#include "virtq/split.h"

/* Fixed by the protocol, whatever pages the machine has. */
enum { LOG_PAGE = 0x1000, BITS = 8 };

void virtq_priv_log_mark(const struct virtq_priv_log_area *area, uint64_t first, uint64_t len)
{
    uint64_t page = first / LOG_PAGE;
    uint64_t last;

    if (len == 0 || page / BITS >= area->size) {
        return;
    }
    last = len - 1 <= UINT64_MAX - first ? (first + (len - 1)) / LOG_PAGE : UINT64_MAX / LOG_PAGE;
    if (last / BITS >= area->size) {
        last = area->size * BITS - 1;
    }
    while (page <= last) {
        const uint64_t byte = page / BITS;
        const unsigned from = (unsigned)(page % BITS);
        const unsigned to = last / BITS > byte ? BITS - 1u : (unsigned)(last % BITS);
        const unsigned bits = (0xffu >> (BITS - 1u - to)) & (0xffu << from);

        /* The front-end takes bits away meanwhile. What was written is written before its bit is
         * there, or it would copy the page too early and look no more. */
        (void)__atomic_fetch_or(&area->shm.base[byte], (unsigned char)bits, __ATOMIC_SEQ_CST);
        page = (byte + 1) * BITS;
    }
}

void virtq_priv_log_buffer(const struct virtq_priv_log_area *area,
                           const struct virtq_priv_mapped *mapped, const struct virtq_chain *chain,
                           uint64_t len)
{
    uint32_t i;

    for (i = 0; i < chain->writable && len != 0; i++) {
        const struct virtq_piece *piece = &chain->pieces[chain->readable + i];
        const uint64_t part = piece->len < len ? piece->len : len;
        virtq_addr_t addr;

        if (virtq_priv_mapped_locate(mapped, piece->base, &addr)) {
            virtq_priv_log_mark(area, addr, part);
        }
        len -= part;
    }
}

/* Marks slots of a ring from one to another, once around the end at most. */
static void mark_slots(const struct virtq_priv_log_area *area, uint64_t base, uint32_t width,
                       uint32_t size, uint32_t from, uint32_t count)
{
    const uint32_t straight = count < size - from ? count : size - from;

    virtq_priv_log_mark(area, base + (uint64_t)from * width, (uint64_t)straight * width);
    virtq_priv_log_mark(area, base, (uint64_t)(count - straight) * width);
}

void virtq_priv_log_used(const struct virtq_priv_log_area *area,
                         const struct virtq_priv_log_ring *ring,
                         const struct virtq_priv_mapped *mapped, const struct virtq_device *device,
                         uint16_t from, uint16_t to)
{
    const uint64_t *log = __atomic_load_n(&ring->addr, __ATOMIC_ACQUIRE);
    struct virtq_state state;
    struct virtq_areas areas;
    virtq_addr_t addr;

    if (log == NULL) {
        return;
    }
    virtq_device_position(device, &state);
    if (state.format == (uint32_t)VIRTQ_FORMAT_SPLIT) {
        virtq_priv_log_mark(area, *log, sizeof(struct virtq_used));
        mark_slots(area, *log + sizeof(struct virtq_used), sizeof(struct virtq_used_elem),
                   state.size, from & (state.size - 1), (uint16_t)(to - from));
        return;
    }
    /* The address is that of the used area, which of a packed ring is another one. */
    virtq_device_areas(device, &areas);
    if (virtq_priv_mapped_locate(mapped, areas.descriptor, &addr)) {
        mark_slots(area, addr, sizeof(struct pvirtq_desc), state.size, virtq_position_offset(from),
                   virtq_position_between(from, to, state.size));
    }
}

void virtq_priv_log_event(const struct virtq_priv_log_area *area,
                          const struct virtq_priv_log_ring *ring, const struct virtq_device *device)
{
    const uint64_t *log = __atomic_load_n(&ring->addr, __ATOMIC_ACQUIRE);
    struct virtq_state state;

    if (log == NULL) {
        return;
    }
    virtq_device_position(device, &state);
    /* Split: the flags; packed: all there is. */
    virtq_priv_log_mark(area, *log, 4);
    if (state.format == (uint32_t)VIRTQ_FORMAT_SPLIT) {
        virtq_priv_log_mark(area,
                            *log + sizeof(struct virtq_used) +
                                (uint64_t)state.size * sizeof(struct virtq_used_elem),
                            2);
    }
}
