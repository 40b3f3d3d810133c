/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_virtio_iommu
 * @brief The driver of a virtio-iommu: requests on a driver queue, in batches with one notification
 * each.
 *
 * In order of use: virtq_virtio_iommu_settings_read(), virtq_virtio_iommu_driver_init(), then for
 * each domain a struct virtq_virtio_iommu_mapper (virtio_iommu_mapper.h), which probes, attaches,
 * maps and unmaps, and is the backend of an iommu space.
 *
 * Requests and replies lie in memory of the caller's that the queue's space reaches; it is shared
 * once, and no request is mapped by itself. Any number of threads may use one driver (L5): its lock
 * is held over the queue's functions, never over a hook. Whoever waits takes back the replies of
 * the others too.
 *
 * The device is not trusted: a reply is read once, an unknown status or a short reply is a failure,
 * and a device that does not answer is what the caller's wait hook says it is. A failure that
 * leaves it unknown whether a mapping exists breaks the driver: every later request is answered
 * ::VIRTQ_EBROKEN, until virtq_virtio_iommu_driver_reset(). [virtio 1.4, IOMMU Device]
 */
#ifndef VIRTQ_IOMMU_VIRTIO_IOMMU_DRIVER_H
#define VIRTQ_IOMMU_VIRTIO_IOMMU_DRIVER_H

#include <stddef.h>
#include <stdint.h>

#include "../driver.h"
#include "../error.h"
#include "../space.h"
#include "../types.h"
#include "virtio_iommu_properties.h"
#include "virtio_iommu_settings.h"

VIRTQ_BEGIN_DECLS

/** @brief Bytes of shared memory that one request takes. */
#define VIRTQ_VIRTIO_IOMMU_REQUEST_BYTES 64u

/** @brief Flags of a struct virtq_virtio_iommu_driver_config. */
enum virtq_virtio_iommu_driver_flag {
    /** The wait hook sleeps until the queue's notification: it is asked for before each wait.
       Without it the device is asked for none. */
    VIRTQ_VIRTIO_IOMMU_DRIVER_SLEEPS = 1
};

/** @brief How a driver is to be. Begin with #VIRTQ_VIRTIO_IOMMU_DRIVER_CONFIG_INIT. */
struct virtq_virtio_iommu_driver_config {
    /** sizeof(struct virtq_virtio_iommu_driver_config): lets the struct grow. */
    size_t struct_size;
    struct virtq_driver *queue; /**< The request queue, empty, of at least 2 descriptors and 2
                                   segments; used through this driver only; must outlive it. */
    struct virtq_space *space;  /**< The queue's space: it has to reach `shared`. */
    const struct virtq_virtio_iommu_settings *settings; /**< Read during init only. */
    struct virtq_space *physical; /**< A direct space that says where memory lies in guest-physical
                                     addresses; must outlive the driver. NULL: a pointer is a
                                     guest-physical address. */
    void *shared;                 /**< For requests and replies, aligned to #VIRTQ_CACHE_LINE:
                                     virtq_virtio_iommu_driver_shared_size() bytes. Written by the device. */
    size_t shared_size;           /**< Bytes of `shared`. */
    void *memory;                 /**< Private memory, 8-byte aligned, never shared:
                                     virtq_virtio_iommu_driver_private_size() bytes. */
    size_t memory_size;           /**< Bytes of `memory`. */
    uint32_t requests; /**< How many may be outstanding, 1 to 32768. A longer list takes several
                          turns, and so does one that the queue has no room for. */
    uint32_t flags;    /**< A set of enum virtq_virtio_iommu_driver_flag. */
    void *context;     /**< Given to the hooks. */

    /** @brief Sends a notification.
     * @param context the caller's
     * @param data    what virtq_driver_needs_notify() gave. Any thread, no lock is held; it may run
     * the device. */
    void (*notify)(void *context, uint32_t data);

    /** @brief Waits a while for used buffers: sleeps, spins or runs the device.
     *
     * It has to return within a bounded time, for another thread may have taken the reply.
     * @param context the caller's
     * @return 0: look again; anything else: give up. The driver is broken then, for the requests
     * are still the device's. Any thread, no lock is held. */
    int (*wait)(void *context);

    /** @brief Writes the byte `bypass` of the configuration space; NULL: that can not be done.
     * @param context the caller's
     * @param value   0 or 1
     * @return 0, or an enum virtq_error that is passed on */
    int (*write_bypass)(void *context, uint8_t value);
};

/** @brief The initial value of a struct virtq_virtio_iommu_driver_config. */
#define VIRTQ_VIRTIO_IOMMU_DRIVER_CONFIG_INIT                                                      \
    {                                                                                              \
        sizeof(struct virtq_virtio_iommu_driver_config), NULL, NULL, NULL, NULL, NULL, 0, NULL, 0, \
            0, 0, NULL, NULL, NULL, NULL                                                           \
    }

/** @brief What a driver counted. */
struct virtq_virtio_iommu_driver_usage {
    uint64_t requests;      /**< Requests sent. */
    uint64_t notifications; /**< Notifications sent. */
    uint64_t waits;         /**< Calls of the wait hook. */
    uint64_t failures;      /**< Requests that failed. */
    uint32_t last_status;   /**< The status of the latest failure; 256: there was no reply. */
    uint32_t lost; /**< UNMAP requests that failed and whose flush has not been asked for. */
};

/** @brief A request's private half. Private. */
struct virtq_virtio_iommu_slot {
    virtq_addr_t first; /**< UNMAP: the range. */
    virtq_addr_t last;  /**< UNMAP: the range. */
    uint64_t turn;      /**< UNMAP: how many had been sent, with this one. */
    void *batch;        /**< Who waits for it; NULL: an UNMAP that nobody waits for yet. */
    uint32_t domain;    /**< UNMAP: where. */
    uint32_t next;      /**< Of its list: free, unmapping or lost. */
    uint32_t previous;  /**< Of the unmapping ones. */
    uint32_t tail;      /**< Where the status will be, from the start of the shared memory. */
    uint32_t needed;    /**< Bytes that the device has to write. */
    uint32_t index;     /**< Which of its list of ranges it is. */
};

/** @brief A driver. The caller owns the memory; the fields are private. */
struct virtq_virtio_iommu_driver {
    struct virtq_virtio_iommu_driver_config config; /**< As given; `settings` is not used. */
    struct virtq_virtio_iommu_settings settings;    /**< As given. */
    virtq_addr_t addr;                              /**< Device address of the shared memory. */
    struct virtq_virtio_iommu_slot *slots;          /**< One for each request. */
    uint64_t turns;                                 /**< UNMAP requests that were sent. */
    uint64_t taken;                                 /**< Replies that were taken back. */
    struct virtq_virtio_iommu_driver_usage usage;   /**< What was counted. */
    uint32_t free;                                  /**< The first slot that is free. */
    uint32_t oldest;      /**< The UNMAP that waits longest for its reply ... */
    uint32_t newest;      /**< ... and shortest. */
    uint32_t lost;        /**< The first UNMAP that failed and has not been asked for. */
    uint32_t unpublished; /**< 1: requests were added since the last publication. */
    uint32_t untold;      /**< 1: requests were published since the last test. */
    uint32_t probing;     /**< 1: the memory for PROBE is in use. */
    uint32_t broken;      /**< 1: nothing is sent any more. */
    uint32_t lock;        /**< 1 while a thread is inside. Never held over a hook. */
};

/** @brief Bytes of memory that driver and device share.
 * @param config the configuration; `requests` and `settings` count
 * @return bytes; 0 if they are illegal. Any thread. */
VIRTQ_API size_t
virtq_virtio_iommu_driver_shared_size(const struct virtq_virtio_iommu_driver_config *config);

/** @brief Bytes of private memory.
 * @param config the configuration; `requests` counts
 * @return bytes; 0 if it is illegal. Any thread. */
VIRTQ_API size_t
virtq_virtio_iommu_driver_private_size(const struct virtq_virtio_iommu_driver_config *config);

/** @brief Makes a driver, and shares its memory through the queue's space.
 * @param driver result; owned by the caller, never in memory the device can reach
 * @param config read during the call only
 * @return 0; VIRTQ_EINVAL (something is missing, out of range or not aligned; a queue that is in
 * use or too small) or VIRTQ_ENOMEM (memory too small); or an error of virtq_space_share():
 * `driver` is not to be used. Any thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_virtio_iommu_driver_init(
    struct virtq_virtio_iommu_driver *driver,
    const struct virtq_virtio_iommu_driver_config *config);

/** @brief Gives the memory back. Domains stay as they are in the device.
 * @param driver a driver that no other thread uses
 * @return 0, or VIRTQ_EBUSY while requests are outstanding: nothing changed. */
VIRTQ_API int virtq_virtio_iommu_driver_destroy(struct virtq_virtio_iommu_driver *driver);

/** @brief Starts anew after the device has been reset: takes all requests back, and resets the
 * queue.
 *
 * No endpoint is attached then, and no domain exists: every mapper attaches anew.
 * @param driver a driver, also a broken one, that no other thread uses
 * @return 0, or the error of virtq_driver_reset(): the driver stays as it was */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_virtio_iommu_driver_reset(
    struct virtq_virtio_iommu_driver *driver);

/** @brief Asks for an endpoint's properties. To be done for each endpoint before it is attached;
 * virtq_virtio_iommu_mapper_join() does both.
 * @param driver   a driver
 * @param endpoint which endpoint
 * @param regions  result: addresses that must not be mapped
 * @param capacity room in `regions`
 * @param count    result: how many there are; 0 where PROBE was not negotiated
 * @return 0; VIRTQ_ENOMEM (more than `capacity`, `count` says how many, or of the device), or
 * VIRTQ_EBUSY (another thread is probing), VIRTQ_EINVAL (no such endpoint), VIRTQ_EPEER (a bad
 * list, or no answer), VIRTQ_EBROKEN. Any thread; it waits. Source: [virtio 1.4, PROBE request] */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_virtio_iommu_driver_probe(
    struct virtq_virtio_iommu_driver *driver, uint32_t endpoint,
    struct virtq_virtio_iommu_region *regions, unsigned capacity, unsigned *count);

/** @brief Says whether endpoints without a domain are to reach all memory.
 * @param driver a driver
 * @param bypass 0 or 1
 * @return 0; VIRTQ_EINVAL (another value), VIRTQ_ENOTSUP (VIRTIO_IOMMU_F_BYPASS_CONFIG was not
 * negotiated, or no hook) or the hook's error. Any thread; the hook is called. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_virtio_iommu_driver_set_bypass(
    struct virtq_virtio_iommu_driver *driver, uint32_t bypass);

/** @brief Takes back the replies that are there, without waiting: what an interrupt may do.
 * @param driver a driver
 * @return how many there were, or VIRTQ_EBROKEN. Any thread. */
VIRTQ_API int virtq_virtio_iommu_driver_reap(struct virtq_virtio_iommu_driver *driver);

/** @brief What was counted so far.
 * @param driver a driver
 * @param usage  result: one consistent moment. Any thread. */
VIRTQ_API void virtq_virtio_iommu_driver_read_usage(struct virtq_virtio_iommu_driver *driver,
                                                    struct virtq_virtio_iommu_driver_usage *usage);

VIRTQ_END_DECLS

#endif
