/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_space_mux
 * @brief The mux space: one request whose segments lie in different spaces, its *members*.
 *
 * A header in system memory and a payload in a device's own memory are one buffer of one queue.
 *
 * **Driver end.** Each segment goes to one member: by where it lies (a table of routes, and a
 * default for what lies in none), or by the caller's word (virtq_segment::route). A member gets all
 * of its segments in one call, so that it may batch and coalesce as it would alone; the runs come
 * out in the buffer's order, and a run that covers segments which are no neighbours in the buffer
 * is cut there. The bytes that the device wrote are dealt out over the writable segments in order,
 * and each member hears of its share only. A buffer is mapped by all its members or by none.
 *
 * **Device end.** Each member has a range of the mux's device addresses, and ranges are disjoint:
 * an address is given to the member in whose range it is, with the member's own number for it, so
 * that offsets from 0 of several regions can live beside each other. An address in no range is
 * VIRTQ_EFAULT.
 *
 * Members that are two ways to get at the same memory have the same range and the same numbers: a
 * pool, and a window of it for what lies there already. The first of them is asked for windows, and
 * takes back what was shared.
 *
 * The ends may have different spaces behind one range (a pool and a direct window of it): then each
 * end has a mux of its own, with the same ranges. What a member withdraws, the mux withdraws: its
 * queues are told, and waited for, by the mux's own guard if it has one.
 *
 * Trust: the device may reach what the members let it reach, each in its range only.
 */
#ifndef VIRTQ_SPACE_MUX_H
#define VIRTQ_SPACE_MUX_H

#include <stddef.h>
#include <stdint.h>

#include "../error.h"
#include "../space.h"
#include "../types.h"

VIRTQ_BEGIN_DECLS

/** @brief The most members that a mux can have. */
#define VIRTQ_MUX_MEMBERS 8u

/** @brief virtq_mux_config::other: memory in no route belongs to nobody. */
#define VIRTQ_MUX_NOBODY UINT32_MAX

/** @brief virtq_segment::route of a segment that goes to a member, whatever memory it lies in. 0:
 * by where it lies. */
#define VIRTQ_MUX_ROUTE(member) ((uint32_t)(member) + 1u)

/** @brief Flags of a struct virtq_mux_config. */
enum virtq_mux_flag {
    /** virtq_segment::route counts, and so has to be filled in for every segment. */
    VIRTQ_MUX_BY_SEGMENT = 1
};

/** @brief One of the spaces behind a mux. */
struct virtq_mux_member {
    struct virtq_space *space; /**< It; of any kind; owned by the caller, must outlive
                                  the mux. */
    virtq_addr_t first;        /**< First device address of its range, as queues know it. */
    virtq_addr_t last;         /**< Last one, inclusive; ranges are disjoint, or the same
                                  with the same `own`. */
    virtq_addr_t own;          /**< The member's own number for `first`; often the same. */
    uint32_t permissions; /**< What the device may do in the range: a set of enum virtq_permission,
                             not empty. The member's own permissions count beside it. */
};

/** @brief Memory of this program that goes to one member (driver end). */
struct virtq_mux_route {
    uintptr_t first; /**< First address in this program's memory. */
    uintptr_t last;  /**< Last one, inclusive. */
    uint32_t member; /**< Whose it is: an index of virtq_mux_config::members. */
};

/** @brief How a mux is to be. Begin with #VIRTQ_MUX_CONFIG_INIT. */
struct virtq_mux_config {
    size_t struct_size; /**< sizeof(struct virtq_mux_config): lets the struct grow. */
    const struct virtq_mux_member *members; /**< `member_count` of them; copied. */
    const struct virtq_mux_route *routes;   /**< `route_count` of them, sorted and disjoint; owned
                                               by the caller, must outlive the mux unchanged. */
    uint32_t member_count;                  /**< 1 to #VIRTQ_MUX_MEMBERS. */
    uint32_t route_count;                   /**< 0 for a device end. */
    uint32_t other; /**< The member for memory in no route; or #VIRTQ_MUX_NOBODY. */
    uint32_t flags; /**< A set of enum virtq_mux_flag. */
};

/** @brief The initial value of a struct virtq_mux_config. */
#define VIRTQ_MUX_CONFIG_INIT                                                  \
    {                                                                          \
        sizeof(struct virtq_mux_config), NULL, NULL, 0, 0, VIRTQ_MUX_NOBODY, 0 \
    }

/** @brief How a mux hears of what a member withdraws. */
struct virtq_mux_ear {
    struct virtq_space_listener listener; /**< In the member's list. */
    struct virtq_mux *mux;                /**< Whose it is. */
};

/** @brief A mux. The caller owns the memory; the fields are private. */
struct virtq_mux {
    struct virtq_space space;                           /**< What queues are given: `&mux.space`. */
    struct virtq_mux_ear ears[VIRTQ_MUX_MEMBERS];       /**< One in each member. */
    struct virtq_mux_member members[VIRTQ_MUX_MEMBERS]; /**< As configured. */
    const struct virtq_mux_route *routes;               /**< As configured. */
    uint32_t member_count;                              /**< As configured. */
    uint32_t route_count;                               /**< As configured. */
    uint32_t other;                                     /**< As configured. */
    uint32_t flags;                                     /**< As configured. */
};

/** @brief Makes one space of several.
 *
 * Sets both kinds to VIRTQ_SPACE_CALLED. A queue's private record of a buffer is as large as what
 * all members need for it together, and 24 bytes a segment.
 * @param mux    result; owned by the caller, must outlive every queue on it; private
 * @param config read during the call only, but for the routes
 * @return 0, or VIRTQ_EINVAL (no or too many members, ranges that are inverted, wrap in the
 * member's own addresses or overlap without
 * being the same, permissions, routes that are inverted, unsorted, overlap or
 * name no member, unknown flags): `mux` is untouched. Before the first queue on the mux, while no
 * member withdraws anything; virtq_mux_fini() ends it. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_mux_init(struct virtq_mux *mux,
                                              const struct virtq_mux_config *config);

/** @brief Whose a device address is, and what the member itself calls it: for the owner of a member
 * who is to resolve a miss.
 * @param mux  a mux
 * @param addr a device address, as queues know it
 * @param own  result: the member's own number
 * @return the member's index, or VIRTQ_EFAULT (in no range): `own` is untouched. Any thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_mux_own(const struct virtq_mux *mux, virtq_addr_t addr,
                                             virtq_addr_t *own);

/** @brief Lets go of the members: they no longer tell the mux what they withdraw.
 * @param mux a mux of virtq_mux_init() without queues; free when this returns. No member withdraws
 * anything meanwhile. */
VIRTQ_API void virtq_mux_fini(struct virtq_mux *mux);

VIRTQ_END_DECLS

#endif
