/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_inline
 * @brief The driver end of a split queue takes used buffers back: the inner loop.
 */
#ifndef VIRTQ_INLINE_SPLIT_DRIVER_DRAIN_H
#define VIRTQ_INLINE_SPLIT_DRIVER_DRAIN_H

#include "split_driver_queue.h"

/** @brief A buffer is no longer outstanding, in one store. @param entry its entry */
VIRTQ_TEMPLATE void virtq_split_driver_land(struct virtq_driver_entry *entry)
{
    const uint32_t none = 0;

    __builtin_memcpy((unsigned char *)entry + offsetof(struct virtq_driver_entry, slots), &none,
                     sizeof(none));
}

/** @brief What the loop of a poll changes: local copies, so that no store makes them be loaded
 * again. */
struct virtq_split_driver_drained {
    uint32_t tail; /**< Last free descriptor. */
    uint32_t room; /**< Free descriptors. */
    uint32_t left; /**< Elements to take, not 0; then those that were not: the next one is odd, or
                        has more descriptors than the loop is for. */
    uint32_t id;   /**< Of the element in hand, which may end the loop ... */
    uint32_t len;  /**< ... and its length. */
};

/** @brief An element by how far it lies before the last one, which the compiler is made to forget:
 * it would keep the sum in a register as well. @param end behind the last one @param left minus how
 * many, in units @param unit how many are one: a constant @return the element */
VIRTQ_TEMPLATE const struct virtq_used_elem *virtq_split_driver_element(
    const struct virtq_used_elem *end, ptrdiff_t *left, const ptrdiff_t unit)
{
    const ptrdiff_t bytes = (ptrdiff_t)sizeof(*end) / unit;

    VIRTQ_OPAQUE(*left);
    return (const struct virtq_used_elem *)(const void *)((const unsigned char *)end +
                                                          *left * bytes);
}

/** @brief A completion, in the same way. @param end behind the last one @param left as there @param
 * unit as there @return the completion */
VIRTQ_TEMPLATE struct virtq_completion *virtq_split_driver_completion(struct virtq_completion *end,
                                                                      ptrdiff_t *left,
                                                                      const ptrdiff_t unit)
{
    const ptrdiff_t bytes = (ptrdiff_t)sizeof(*end) / unit;

    VIRTQ_OPAQUE(*left);
    return (struct virtq_completion *)(void *)((unsigned char *)end + *left * bytes);
}

/** @brief Loads an element, once. @param how the instance @param elements behind the last one
 * @param left as in virtq_split_driver_element() @param unit as there @param view result: `id` and
 * `len` */
VIRTQ_TEMPLATE void virtq_split_driver_load(unsigned how, const struct virtq_used_elem *elements,
                                            ptrdiff_t *left, const ptrdiff_t unit,
                                            struct virtq_split_driver_drained *view)
{
    view->id = virtq_shm_load32(&virtq_split_driver_element(elements, left, unit)->id, how);
    view->len = virtq_shm_load32(&virtq_split_driver_element(elements, left, unit)->len, how);
}

/** @brief Whether a buffer is outstanding in one descriptor: one load for its `slots` and `link`.
 * @param entries the queue's @param at offset of its entry @return whether */
VIRTQ_TEMPLATE bool virtq_split_driver_lone(struct virtq_driver_entry *entries, size_t *at)
{
    const uint32_t lone = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? 1u : 0x10000u;
    uint32_t shape;

    __builtin_memcpy(&shape,
                     (const unsigned char *)virtq_driver_core_entry(entries, at) +
                         offsetof(struct virtq_driver_entry, slots),
                     sizeof(shape));
    return shape == lone;
}

/** @brief The inner loop: as long as elements are as they should be. Nothing in it is called but a
 * space that has to be, so that all it works on stays in registers; and one register, which counts
 * up to 0, leads through elements and completions. @param q the queue @param how the instance
 * @param view what it changes; with the first element's `id` and `len`, if not `lone` @param
 * elements behind the last one that is wanted, no further than the ring's end @param completions
 * behind the last one @param lone a constant: to go on only while they have one descriptor each,
 * which costs less */
VIRTQ_TEMPLATE void virtq_split_driver_drain_run(struct virtq_split_driver *q, unsigned how,
                                                 struct virtq_split_driver_drained *view,
                                                 const struct virtq_used_elem *elements,
                                                 struct virtq_completion *completions,
                                                 const bool lone)
{
    const bool whole = sizeof(*completions) % sizeof(*elements) == 0u;
    const ptrdiff_t unit = whole ? (ptrdiff_t)sizeof(*elements) : 1;
    struct virtq_driver_entry *const entries = q->core.entries;
    uint16_t *const next = q->next;
    const uint32_t mask = q->mask;
    ptrdiff_t left = -(ptrdiff_t)view->left * unit;

    VIRTQ_OPAQUE(elements);
    VIRTQ_OPAQUE(completions);
    view->room += view->left;
    for (;;) {
        uint32_t slots = 1;
        uint32_t link = 0;
        size_t at;

        if (lone) {
            virtq_split_driver_load(how, elements, &left, unit, view);
        }
        at = view->id * sizeof(*entries);
        if (VIRTQ_UNLIKELY(view->id > mask) ||
            (lone && VIRTQ_UNLIKELY(!virtq_split_driver_lone(entries, &at)))) {
            break;
        }
        if (!lone) {
            slots = virtq_driver_core_entry(entries, &at)->slots;
            link = virtq_driver_core_entry(entries, &at)->link;
        }
        if (VIRTQ_UNLIKELY(slots == 0u) ||
            VIRTQ_UNLIKELY(view->len > virtq_driver_core_entry(entries, &at)->writable)) {
            break;
        }
        if ((how & VIRTQ_INSTANCE_KIND) == VIRTQ_INSTANCE_CALLED) {
            virtq_driver_map_undo(&q->core, (uint16_t)view->id, view->len);
        }
        /* As virtq_driver_core_tell(), but with an address for each field and no sum to keep. */
        virtq_split_driver_completion(completions, &left, unit)->cookie =
            virtq_driver_core_entry(entries, &at)->cookie;
        virtq_split_driver_completion(completions, &left, unit)->len = view->len;
        virtq_split_driver_completion(completions, &left, unit)->id = view->id;
        view->room += slots - 1u;
        next[view->tail] = (uint16_t)view->id;
        view->tail = view->id ^ link;
        virtq_split_driver_land(virtq_driver_core_entry(entries, &at));
        VIRTQ_OPAQUE(left);
        left += unit;
        if (left == 0) {
            break;
        }
        if (!lone) {
            virtq_split_driver_load(how, elements, &left, unit, view);
        }
    }
    view->left = (uint32_t)(-left / unit);
    view->room -= view->left;
}

/** @brief virtq_split_driver_drain_run() for any number of descriptors, out of line: buffers of one
 * do not pay for its registers. By value, so that neither loop has what it changes in memory.
 * @param name of the instance @param how the instance: of it only the order of bytes counts here */
#define VIRTQ_SPLIT_DRIVER_REST(name, how)                                            \
    VIRTQ_OUTLINE struct virtq_split_driver_drained virtq_split_driver_##name##_rest( \
        struct virtq_split_driver *q, struct virtq_split_driver_drained view,         \
        const struct virtq_used_elem *elements, struct virtq_completion *completions) \
    {                                                                                 \
        virtq_split_driver_drain_run(q, how, &view, elements, completions, false);    \
        return view;                                                                  \
    }
VIRTQ_SPLIT_DRIVER_REST(direct, VIRTQ_INSTANCE_DIRECT)
VIRTQ_SPLIT_DRIVER_REST(legacy,
                        (unsigned)VIRTQ_INSTANCE_DIRECT | (unsigned)VIRTQ_INSTANCE_BIG_ENDIAN)
#undef VIRTQ_SPLIT_DRIVER_REST

/** @brief The same, whatever they have: from the first one of more descriptors on it is the loop
 * for those. A called space costs so much that it has only that one. @param q the queue @param how
 * the instance @param view what it changes @param elements as there @param completions as there */
VIRTQ_TEMPLATE void virtq_split_driver_drain_runs(struct virtq_split_driver *q, unsigned how,
                                                  struct virtq_split_driver_drained *view,
                                                  const struct virtq_used_elem *elements,
                                                  struct virtq_completion *completions)
{
    ptrdiff_t first = -(ptrdiff_t)view->left;

    if ((how & VIRTQ_INSTANCE_KIND) == VIRTQ_INSTANCE_CALLED) {
        virtq_split_driver_load(how, elements, &first, 1, view);
        virtq_split_driver_drain_run(q, how, view, elements, completions, false);
        return;
    }
    virtq_split_driver_drain_run(q, how, view, elements, completions, true);
    if (VIRTQ_UNLIKELY(view->left != 0u)) {
        *view = (how & VIRTQ_INSTANCE_BIG_ENDIAN) != 0u
                    ? virtq_split_driver_legacy_rest(q, *view, elements, completions)
                    : virtq_split_driver_direct_rest(q, *view, elements, completions);
    }
}

#endif
