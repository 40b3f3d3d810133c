/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief What the front-end has told of its IOMMU: an IOTLB, the space that rings see through it,
 * and the channel on which what is not known is asked for.
 */
#ifndef VIRTQ_LIB_HOST_VHOST_USER_TLB_H
#define VIRTQ_LIB_HOST_VHOST_USER_TLB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vhost_user_mapped.h"
#include "virtq/host/vhost_user_channel.h"
#include "virtq/iommu/iotlb.h"
#include "virtq/space/iommu.h"

/** @brief Most misses that are asked for at once, and most refusals that are remembered. */
enum { VIRTQ_PRIV_MISSES_MAX = 64, VIRTQ_PRIV_REFUSED_MAX = 16 };

/** @brief A miss that the front-end was asked for, until it says what became of it. */
struct virtq_priv_asked {
    struct virtq_miss miss; /**< As it was noted. */
    bool settled;           /**< Whatever it says now, nobody waits for it. */
};

/** @brief An address that the front-end has no translation for: the next access fails with
 * `error`, and the one behind that asks anew. */
struct virtq_priv_refused {
    virtq_addr_t addr;    /**< Where the access went. */
    uint32_t permissions; /**< What for. */
    int error;            /**< VIRTQ_EFAULT or VIRTQ_EPERM. */
};

/** @brief All that there is of an IOMMU. Without VIRTIO_F_ACCESS_PLATFORM among the features
 * offered it is all 0, but for descriptors of -1. */
struct virtq_priv_tlb {
    struct virtq_iommu_device device;                     /**< Its space is what rings are given. */
    struct virtq_iotlb iotlb;                             /**< What is known. */
    struct virtq_guard guard;                             /**< Whom an invalidation waits for. */
    struct virtq_miss misses[VIRTQ_PRIV_MISSES_MAX];      /**< The IOTLB's list. */
    struct virtq_priv_asked asked[VIRTQ_PRIV_MISSES_MAX]; /**< Results are due for, a circle. */
    uint32_t asked_first;                                 /**< The oldest ... */
    uint32_t asked_count;                                 /**< ... and how many. */
    struct virtq_priv_refused refused[VIRTQ_PRIV_REFUSED_MAX]; /**< Guarded by `lock`. */
    uint32_t refused_count;                                    /**< How many; read without too. */
    uint32_t lock;                           /**< 1 while a thread is at `refused`. */
    uint64_t missed;                         /**< Accesses that found nothing: any thread. */
    uint64_t updates;                        /**< Counts what makes it worth to look again. */
    struct virtq_vhost_user_channel channel; /**< To ask; its socket is -1 if there is none. */
    uint32_t events;                         /**< What is waited for there. */
    int watched; /**< The same socket, as the event loop's set knows it; -1: none. */
    int wake;    /**< An eventfd: some other thread has missed. -1: there is no IOMMU. */
    int epoll;   /**< The back-end's. */
};

/** @brief How the event loop's set names the two descriptors. */
enum { VIRTQ_PRIV_TLB_CHANNEL = -2, VIRTQ_PRIV_TLB_WAKE = -3 };

/** @brief Makes an IOMMU of which nothing is known, in memory of virtq_iotlb_size(): 0, or an enum
 * virtq_error. `epoll`: the event loop's set. */
int virtq_priv_tlb_init(struct virtq_priv_tlb *tlb, unsigned capacity, void *memory, int epoll);

/** @brief There is none. */
void virtq_priv_tlb_none(struct virtq_priv_tlb *tlb);

/** @brief Closes what is open; no queue uses the space any more. */
void virtq_priv_tlb_fini(struct virtq_priv_tlb *tlb);

/** @brief Whether there is one. */
bool virtq_priv_tlb_exists(const struct virtq_priv_tlb *tlb);

/** @brief Forgets all translations, and all that was asked. */
void virtq_priv_tlb_flush(struct virtq_priv_tlb *tlb);

/** @brief Serves VHOST_USER_IOTLB_MSG: an enum virtq_vhost_user_refusal. */
uint32_t virtq_priv_tlb_message(struct virtq_priv_tlb *tlb, const struct virtq_priv_mapped *mapped,
                                const struct virtq_vhost_user_iotlb *wire);

/** @brief The last address of a range that the front-end names. */
virtq_addr_t virtq_priv_tlb_last(const struct virtq_vhost_user_iotlb *wire);

/** @brief Tells the front-end that an access was not allowed, if that can be sent now. */
void virtq_priv_tlb_tell(struct virtq_priv_tlb *tlb, const struct virtq_miss *miss);

/** @brief Notes all that is not known of a range, a page at a time, as far as there is room. */
void virtq_priv_tlb_want(struct virtq_priv_tlb *tlb, virtq_addr_t addr, uint64_t len,
                         uint32_t permission);

/** @brief Takes over the channel on which to ask: false if it cannot be waited for; then `fd` is
 * the caller's. */
bool virtq_priv_tlb_connect(struct virtq_priv_tlb *tlb, int fd);

/** @brief Reads what the front-end says of what it was asked for. */
void virtq_priv_tlb_receive(struct virtq_priv_tlb *tlb);

/** @brief Asks for what was noted, as much as goes now. `replies`: ask for results too. */
void virtq_priv_tlb_ask(struct virtq_priv_tlb *tlb, bool replies);

/** @brief Gives up a miss that was asked for: the access fails. */
void virtq_priv_tlb_refuse(struct virtq_priv_tlb *tlb, struct virtq_priv_asked *asked, int error);

/** @brief The `i`th of what was asked for, from the oldest. */
struct virtq_priv_asked *virtq_priv_tlb_asked(struct virtq_priv_tlb *tlb, uint32_t i);

#endif
