/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_access
 * @brief Which space, and why: from features and platform facts to a decision, for both ends.
 *
 * Each end calls one pure function before it makes a queue: the device end virtq_access_device()
 * before it offers its features and virtq_access_agree() at FEATURES_OK, the driver end
 * virtq_access_driver() between the two. Each gives the space to use, the feature bits to accept,
 * offer or require, and what to bounce; or a refusal. There always is a reason that a person can
 * read.
 *
 * The facts are the caller's own knowledge and what its platform tells. A fact that is wrong makes
 * a wrong decision; the one thing a peer contributes is its set of features. docs/access.md has a
 * table of cases.
 *
 * Nothing here allocates, keeps state or touches a queue; any thread may call at any time.
 */
#ifndef VIRTQ_ACCESS_H
#define VIRTQ_ACCESS_H

#include <stddef.h>
#include <stdint.h>

#include "api.h"
#include "error.h"
#include "feature.h"

VIRTQ_BEGIN_DECLS

/** @brief The restricted-DMA feature bit of the proposal. It is not part of virtio 1.4, and on a
 * legacy interface the same number is #VIRTIO_F_ANY_LAYOUT; so it is a parameter. */
#define VIRTQ_ACCESS_RESTRICTED_BIT 27

/** @brief Through which interfaces a device can be driven. */
enum virtq_access_generation {
    VIRTQ_ACCESS_LEGACY = 0,       /**< Only the legacy one: 32 feature bits, no VERSION_1. */
    VIRTQ_ACCESS_TRANSITIONAL = 1, /**< Both, as the driver likes. */
    VIRTQ_ACCESS_MODERN = 2        /**< Only the one with #VIRTIO_F_VERSION_1. */
};

/** @brief What stands between the device and memory. */
enum virtq_access_iommu {
    VIRTQ_ACCESS_IOMMU_ABSENT = 0,     /**< Nothing. */
    VIRTQ_ACCESS_IOMMU_TRANSLATES = 1, /**< An IOMMU; a device address means what was mapped. */
    VIRTQ_ACCESS_IOMMU_IDENTITY = 2,   /**< An IOMMU in which each address is mapped to itself. */
    VIRTQ_ACCESS_IOMMU_BYPASSED = 3    /**< An IOMMU that lets this device through. */
};

/** @brief Where the restricted pool of this device lies. */
enum virtq_access_pool {
    VIRTQ_ACCESS_POOL_NONE = 0,   /**< There is none. */
    VIRTQ_ACCESS_POOL_SYSTEM = 1, /**< System memory, set apart by the platform. */
    VIRTQ_ACCESS_POOL_DEVICE = 2  /**< A region of the device, a BAR. */
};

/** @brief What else is true of the platform; each is one bit of `flags`. */
enum virtq_access_flag {
    /** The IOMMU may be bypassed: by the device while ACCESS_PLATFORM is not negotiated, by the
     * driver's platform while it is. */
    VIRTQ_ACCESS_MAY_BYPASS = 1 << 0,
    /** Driver end: its platform cannot program the IOMMU. */
    VIRTQ_ACCESS_IOMMU_ALIEN = 1 << 1,
    /** Whatever is mapped in the IOMMU is thereby shared with the device, hidden memory too. */
    VIRTQ_ACCESS_IOMMU_SHARES = 1 << 2,
    /** Guest memory is hidden from the host: encrypted, or kept apart by a trusted hypervisor. */
    VIRTQ_ACCESS_HIDDEN = 1 << 3,
    /** ... and it became so after the device was created, so that the device end cannot know. */
    VIRTQ_ACCESS_HIDDEN_LATE = 1 << 4,
    /** Without any IOMMU a device address still is not the physical address (a bus offset). */
    VIRTQ_ACCESS_ADDRESSES_DIFFER = 1 << 5,
    /** The device is hardware, not software on a processor of the same machine. */
    VIRTQ_ACCESS_HARDWARE = 1 << 6,
    /** Device end: without an IOMMU's help the device can reach the pool and nothing else. */
    VIRTQ_ACCESS_POOL_ONLY = 1 << 7,
    /** The driver's platform puts everything for this device into the pool, whatever is negotiated.
     */
    VIRTQ_ACCESS_POOL_FORCED = 1 << 8,
    /** This machine orders memory for devices otherwise than between processors, and the device
     * relies on it. */
    VIRTQ_ACCESS_ORDER_NEEDED = 1 << 9,
    /** The driver is, or may be, an unprivileged program that is not trusted with addresses. */
    VIRTQ_ACCESS_UNPRIVILEGED = 1 << 10,
    /** The platform's own addresses are used even without ACCESS_PLATFORM, on both ends (Xen). */
    VIRTQ_ACCESS_PLATFORM_ALWAYS = 1 << 11
};

/** @brief What is known before a queue is made. Start from #VIRTQ_ACCESS_FACTS_INIT. */
struct virtq_access_facts {
    size_t struct_size;     /**< sizeof(struct virtq_access_facts): lets the struct grow. */
    uint64_t features;      /**< Device end: what the device implements. Driver end: what it is
                               offered. */
    uint64_t known;         /**< Driver end: the features that this driver implements. */
    uint32_t flags;         /**< A set of enum virtq_access_flag. */
    uint8_t generation;     /**< An enum virtq_access_generation. */
    uint8_t iommu;          /**< An enum virtq_access_iommu. */
    uint8_t pool;           /**< An enum virtq_access_pool. */
    uint8_t device_bits;    /**< Width of the addresses that the device can use; 0: 64. */
    uint8_t memory_bits;    /**< Width of the driver's highest memory address; 0: 64. */
    uint8_t restricted_bit; /**< The restricted-DMA feature's number, 1 to 63; 0: none exists. */
    uint8_t reserved_[6];
};

/** @brief Facts of the plainest case: a modern software device, no IOMMU, memory in the open. */
#define VIRTQ_ACCESS_FACTS_INIT                                          \
    {                                                                    \
        sizeof(struct virtq_access_facts), 0, 0, 0, VIRTQ_ACCESS_MODERN, \
            VIRTQ_ACCESS_IOMMU_ABSENT, VIRTQ_ACCESS_POOL_NONE, 64, 64,   \
            VIRTQ_ACCESS_RESTRICTED_BIT,                                 \
        {                                                                \
            0                                                            \
        }                                                                \
    }

/** @brief The kind of space a decision is for. */
enum virtq_access_space {
    VIRTQ_ACCESS_NO_SPACE = 0, /**< Refused. */
    VIRTQ_ACCESS_DIRECT = 1,   /**< space/direct.h */
    VIRTQ_ACCESS_SWIOTLB = 2,  /**< space/swiotlb.h; a device end has the pool as its one window. */
    VIRTQ_ACCESS_IOMMU = 3,    /**< space/iommu.h; a device end has an IOTLB. */
    VIRTQ_ACCESS_BAR = 4       /**< space/bar.h */
};

/** @brief What a driver end copies through a pool. */
enum virtq_access_bounce {
    VIRTQ_ACCESS_BOUNCE_NONE = 0, /**< Nothing; always so on the device end. */
    VIRTQ_ACCESS_BOUNCE_SOME = 1, /**< What lies beyond the device's reach; see space/mux.h. */
    VIRTQ_ACCESS_BOUNCE_ALL = 2   /**< Everything, rings and tables included. */
};

/** @brief More that a decision says; each is one bit of its `flags`. */
enum virtq_access_advice {
    /** Use barriers for devices: the queue is made with #VIRTIO_F_ORDER_PLATFORM, or as if. */
    VIRTQ_ACCESS_DEVICE_ORDER = 1 << 0,
    /** The pool on the device may stage some transfers, or parts of them; see space/mux.h. */
    VIRTQ_ACCESS_STAGING = 1 << 1,
    /** The driver's platform must set the IOMMU to bypass for this device. */
    VIRTQ_ACCESS_SET_BYPASS = 1 << 2,
    /** The pool that is bounced through is to be mapped in the IOMMU. */
    VIRTQ_ACCESS_MAP_POOL = 1 << 3
};

/** @brief Why. From 32 on it is a refusal. The values are part of the ABI. */
enum virtq_access_reason {
    VIRTQ_ACCESS_PHYSICAL = 0,           /**< No ACCESS_PLATFORM: physical addresses. */
    VIRTQ_ACCESS_UNTRANSLATED = 1,       /**< ACCESS_PLATFORM, and no IOMMU. */
    VIRTQ_ACCESS_IDENTITY = 2,           /**< ACCESS_PLATFORM, and an identity. */
    VIRTQ_ACCESS_BYPASSED = 3,           /**< ACCESS_PLATFORM, and the IOMMU is bypassed. */
    VIRTQ_ACCESS_OFFSET = 4,             /**< ACCESS_PLATFORM, and a bus offset. */
    VIRTQ_ACCESS_TRANSLATED = 5,         /**< ACCESS_PLATFORM, and an IOMMU that translates. */
    VIRTQ_ACCESS_TRANSLATED_HIDDEN = 6,  /**< ... which cannot share hidden memory by itself. */
    VIRTQ_ACCESS_TRANSLATED_ALWAYS = 7,  /**< The platform translates without being asked. */
    VIRTQ_ACCESS_BOUNCED_PLATFORM = 8,   /**< Hidden memory; ACCESS_PLATFORM. */
    VIRTQ_ACCESS_BOUNCED_PHYSICAL = 9,   /**< Hidden memory; physical addresses of a pool. */
    VIRTQ_ACCESS_RESTRICTED = 10,        /**< Restricted DMA: a pool in system memory. */
    VIRTQ_ACCESS_RESTRICTED_DEVICE = 11, /**< Restricted DMA: a region of the device. */
    VIRTQ_ACCESS_FORCED = 12,            /**< The platform forces the pool. */
    VIRTQ_ACCESS_DRIVER_BOUNCES = 13,    /**< Device end: hidden memory is the driver's affair. */
    VIRTQ_ACCESS_LEGACY_PLATFORM = 32,   /**< ACCESS_PLATFORM on a legacy interface. */
    VIRTQ_ACCESS_DRIVER_OLD = 33,        /**< Modern device, driver without VERSION_1. */
    VIRTQ_ACCESS_NOT_PHYSICAL = 34,      /**< A bounce by physical address is not possible. */
    VIRTQ_ACCESS_NOT_BYPASSED = 35,      /**< Hardware behind an IOMMU, no ACCESS_PLATFORM. */
    VIRTQ_ACCESS_ALIEN = 36,             /**< An IOMMU that nobody here can program. */
    VIRTQ_ACCESS_NOT_CONFINED = 37,      /**< Nothing would confine an unprivileged driver. */
    VIRTQ_ACCESS_PLATFORM_MISSING = 38,  /**< The device needs ACCESS_PLATFORM and has it not. */
    VIRTQ_ACCESS_PLATFORM_DECLINED = 39, /**< The driver did not accept ACCESS_PLATFORM. */
    VIRTQ_ACCESS_POOL_DECLINED = 40,     /**< The driver did not accept restricted DMA. */
    VIRTQ_ACCESS_BOTH_DECLINED = 41,     /**< The driver accepted neither of the two. */
    VIRTQ_ACCESS_POOL_LEGACY = 42,       /**< Restricted DMA on a legacy interface. */
    VIRTQ_ACCESS_POOL_UNANNOUNCED = 43,  /**< Restricted to a pool, and no way to say so. */
    VIRTQ_ACCESS_ORDER_DECLINED = 44,    /**< The driver did not accept ORDER_PLATFORM. */
    VIRTQ_ACCESS_NOT_OFFERED = 45,       /**< The driver accepted what was not offered. */
    VIRTQ_ACCESS_VERSION_MISSING = 46    /**< A modern device without VERSION_1. */
};

/** @brief What to do. Only the bits that concern access are in its sets: VERSION_1,
 * ACCESS_PLATFORM, ORDER_PLATFORM and the restricted-DMA bit. */
struct virtq_access_decision {
    uint64_t accept; /**< Driver end: set these before FEATURES_OK. After virtq_access_agree(): what
                        was negotiated. */
    uint64_t offer;  /**< Device end: offer these. */
    uint64_t require;      /**< Device end: FEATURES_OK fails without all of these ... */
    uint64_t require_any;  /**< ... and without one of these, unless 0. */
    uint32_t space;        /**< An enum virtq_access_space; VIRTQ_ACCESS_NO_SPACE in a refusal. */
    uint32_t bounce;       /**< An enum virtq_access_bounce. */
    uint32_t flags;        /**< A set of enum virtq_access_advice. */
    uint32_t reason;       /**< An enum virtq_access_reason. */
    uint32_t address_bits; /**< Hand out no device address of more bits: of IOVAs, of a pool; 64: no
                              limit. */
    uint32_t reserved_[3];
};

/** @brief Whether a reason is a refusal.
 * @param reason an enum virtq_access_reason
 * @return non-zero for a refusal */
VIRTQ_INLINE int virtq_access_is_refusal(uint32_t reason)
{
    return reason >= (uint32_t)VIRTQ_ACCESS_LEGACY_PLATFORM;
}

/** @brief Device end, before it offers features: what to offer, what to insist on.
 *
 * `space` is what the device comes to if the driver accepts what this device would like best;
 * virtq_access_agree() has the last word.
 * @param facts    `features` is what the device implements; `known` is not looked at
 * @param decision result; in a refusal everything but `reason` is 0
 * @return 0; VIRTQ_ENOTSUP for a refusal: the device must not be shown to any driver; VIRTQ_EINVAL
 * for facts that contradict each other or a value out of range: `decision` is untouched. Any
 * thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_access_device(const struct virtq_access_facts *facts,
                                                   struct virtq_access_decision *decision);

/** @brief Driver end, between reading the device's features and writing its own.
 * @param facts    `features` is what the device offers, `known` what the driver implements
 * @param decision result; in a refusal everything but `reason` is 0
 * @return 0; VIRTQ_ENOTSUP for a refusal: the driver sets FAILED and leaves the device alone, for
 * memory would be corrupted or leaked; VIRTQ_EINVAL for facts that contradict each other or a value
 * out of range: `decision` is untouched. Any thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_access_driver(const struct virtq_access_facts *facts,
                                                   struct virtq_access_decision *decision);

/** @brief Device end, at FEATURES_OK (on a legacy interface: at DRIVER_OK): whether it operates
 * with what the driver accepted, and through which space.
 * @param facts    the same as for virtq_access_device()
 * @param accepted all bits that the driver wrote; those that concern access are judged, so they may
 * be anything
 * @param decision result; in a refusal everything but `reason` is 0
 * @return 0; VIRTQ_ENOTSUP for a refusal: do not let FEATURES_OK be set; VIRTQ_EINVAL as
 * virtq_access_device(): `decision` is untouched. Any thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_access_agree(const struct virtq_access_facts *facts,
                                                  uint64_t accepted,
                                                  struct virtq_access_decision *decision);

/** @brief Whether facts can be true together.
 * @param facts the facts; NULL is answered too
 * @return NULL if so, else an English sentence that says what is wrong. Any thread. */
VIRTQ_API const char *virtq_access_objection(const struct virtq_access_facts *facts);

/** @brief A reason as an English sentence.
 * @param reason an enum virtq_access_reason
 * @return a constant string, never NULL. Any thread. */
VIRTQ_API const char *virtq_access_reason_name(uint32_t reason);

/** @brief A kind of space as a word: "direct", "swiotlb", "iommu", "bar", "refused".
 * @param space an enum virtq_access_space
 * @return a constant string, never NULL. Any thread. */
VIRTQ_API const char *virtq_access_space_name(uint32_t space);

VIRTQ_END_DECLS

#endif
