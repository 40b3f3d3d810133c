/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_virtio_iommu
 * @brief The device role of virtio-iommu: serves a guest's requests, and translates for the devices
 * behind it.
 *
 * A guest attaches endpoints to domains and maps ranges of virtual addresses to guest-physical
 * ones. Each endpoint is a space (virtq_virtio_iommu_endpoint::space): a device end on it
 * translates through the endpoint's domain, then through the guest's memory. What it may not reach
 * is a fault, and faults are reported on the event queue.
 *
 *     virtq_virtio_iommu_device_init(memory, size, &config, &iommu);
 *     virtq_virtio_iommu_device_add(iommu, &endpoint, &endpoint_config);  // for each device
 *     device_config.space = &endpoint.space;                              // of its queues
 *     ...
 *     virtq_virtio_iommu_device_serve(iommu, requestq, 64);               // when notified
 *     virtq_virtio_iommu_device_report(iommu, eventq);
 *
 * Whoever attaches an endpoint elsewhere, detaches it or unmaps a range gets the answer when no
 * queue behind the endpoint can still use what is gone: windows are withdrawn as
 * virtq_space_invalidated() says, and with a guard on the endpoint's space (guard.h) the request
 * also waits for buffers that were popped and not pushed (L3, M1).
 *
 * The guest is hostile: each word is read once, all tables are as large as the configuration says
 * and no larger (VIRTIO_IOMMU_S_NOMEM), and no request takes more steps than there are mappings.
 * An endpoint that is attached to nothing reaches nothing, unless the configuration asks for
 * bypass.
 *
 * Threads: one thread at a time calls the functions here, but for
 * virtq_virtio_iommu_endpoint_translate() and the endpoints' spaces, which any thread may use at
 * any time. [virtio 1.4, IOMMU Device]
 */
#ifndef VIRTQ_IOMMU_VIRTIO_IOMMU_DEVICE_H
#define VIRTQ_IOMMU_VIRTIO_IOMMU_DEVICE_H

#include <stddef.h>
#include <stdint.h>

#include "../chain.h"
#include "../device.h"
#include "../error.h"
#include "../space.h"
#include "../types.h"

VIRTQ_BEGIN_DECLS

/** @brief The device role of one virtio-iommu. Lives in memory that the caller gives. */
struct virtq_virtio_iommu_device;
struct virtq_virtio_iommu_domain;

/** @brief A mapping of a domain. */
struct virtq_virtio_iommu_mapping {
    virtq_addr_t first; /**< First virtual address. */
    virtq_addr_t last;  /**< Last virtual address, inclusive. */
    uint64_t phys;      /**< Guest-physical address of `first`. */
    uint32_t flags;     /**< A set of VIRTIO_IOMMU_MAP_F_*. */
};

/** @brief What the owner is asked and told, for endpoints that are real devices behind a real
 * IOMMU. Each member may be NULL. All are called on the thread that serves, before the device's own
 * tables change, and must not call functions of the device.
 *
 * An error refuses the request: VIRTQ_ENOMEM is VIRTIO_IOMMU_S_NOMEM, VIRTQ_EFAULT S_FAULT,
 * VIRTQ_EINVAL S_INVAL, VIRTQ_ETOOBIG S_RANGE, VIRTQ_ENOTSUP S_UNSUPP, VIRTQ_EBROKEN S_IOERR, and
 * any other VIRTIO_IOMMU_S_DEVERR. */
struct virtq_virtio_iommu_hooks {
    size_t size; /**< sizeof(struct virtq_virtio_iommu_hooks) of whoever fills it. */

    /** @brief An endpoint is about to be attached to a domain. The domain's mappings are what
     * `map` was told of it.
     * @return 0 or an error: the endpoint stays where it is */
    int (*attach)(void *context, uint32_t endpoint, uint32_t domain, uint32_t bypass);

    /** @brief An endpoint leaves a domain. A domain without endpoints is gone, with its mappings.
     */
    void (*detach)(void *context, uint32_t endpoint, uint32_t domain);

    /** @brief A mapping is about to be added to a domain.
     * @return 0 or an error: it is not */
    int (*map)(void *context, uint32_t domain, const struct virtq_virtio_iommu_mapping *mapping);

    /** @brief The mappings in [first, last] are about to be removed from a domain.
     * @return 0 or an error: they stay */
    int (*unmap)(void *context, uint32_t domain, virtq_addr_t first, virtq_addr_t last);

    /** @brief A fault was noted where none was before: virtq_virtio_iommu_device_report() has work.
     * Called on the thread that caused it, with no lock. */
    void (*fault)(void *context);
};

/** @brief How a device is to be. Begin with #VIRTQ_VIRTIO_IOMMU_DEVICE_CONFIG_INIT. */
struct virtq_virtio_iommu_device_config {
    size_t
        struct_size; /**< sizeof(struct virtq_virtio_iommu_device_config): lets the struct grow. */
    uint64_t features; /**< What is offered: VIRTIO_IOMMU_F_*, other bits are ignored. Not both
                          F_BYPASS and F_BYPASS_CONFIG. */
    uint64_t page_size_mask;    /**< Page sizes, at least one; the lowest is the granularity. */
    virtq_addr_t input_first;   /**< First virtual address, with F_INPUT_RANGE. */
    virtq_addr_t input_last;    /**< Last virtual address, inclusive. */
    uint64_t phys_last;         /**< The highest guest-physical address that may be mapped; on a
                                   machine of 32 bits, that is below 2^32. */
    uint32_t domain_first;      /**< First domain number, with F_DOMAIN_RANGE. */
    uint32_t domain_last;       /**< Last domain number, inclusive. */
    uint32_t probe_size;        /**< Bytes of properties, with F_PROBE; a multiple of 4. */
    uint32_t bypass;            /**< 1: F_BYPASS_CONFIG begins with endpoints that are attached to
                                   nothing in bypass mode. 0: they reach nothing. */
    uint32_t endpoints;         /**< How many endpoints there can be, at least 1. */
    uint32_t domains;           /**< How many domains there can be; 0: as many as endpoints. */
    uint32_t mappings;          /**< How many mappings there can be, in all domains together. */
    uint32_t domain_mappings;   /**< How many in one domain; 0: as many as in all. */
    uint32_t faults;            /**< How many faults can wait for a buffer of the event queue; more
                                   are dropped. At least 1. */
    struct virtq_space *memory; /**< Guest-physical addresses to this program's memory; must outlive
                                   the device. */
    const struct virtq_virtio_iommu_hooks *hooks; /**< Whom to ask, or NULL; must outlive it. */
    void *context;                                /**< Handed to the hooks. */
};

/** @brief The initial value of a struct virtq_virtio_iommu_device_config: every feature but
 * F_BYPASS, pages of 4 KiB, no limits on addresses and domains, nothing in bypass. The counts and
 * `memory` are still to be set. */
#define VIRTQ_VIRTIO_IOMMU_DEVICE_CONFIG_INIT                                                    \
    {                                                                                            \
        sizeof(struct virtq_virtio_iommu_device_config), 0x77u, ~(uint64_t)0xfff, 0, UINT64_MAX, \
            UINT64_MAX, 0, UINT32_MAX, 512, 0, 1, 0, 0, 0, 64, NULL, NULL, NULL                  \
    }

/** @brief A range of virtual addresses that an endpoint's driver can not map. */
struct virtq_virtio_iommu_resv_mem {
    virtq_addr_t first; /**< First virtual address. */
    virtq_addr_t last;  /**< Last virtual address, inclusive. */
    uint32_t subtype;   /**< VIRTIO_IOMMU_RESV_MEM_T_RESERVED or _MSI. */
};

/** @brief A property of another kind, handed to the driver as it is. */
struct virtq_virtio_iommu_property {
    const void *value; /**< `length` bytes, in the order in which they go out. */
    uint16_t type;     /**< 2 to 4095. */
    uint16_t length;   /**< Bytes. */
};

/** @brief What an endpoint is. Begin with #VIRTQ_VIRTIO_IOMMU_ENDPOINT_CONFIG_INIT. */
struct virtq_virtio_iommu_endpoint_config {
    size_t struct_size;      /**< sizeof(struct virtq_virtio_iommu_endpoint_config). */
    uint32_t id;             /**< What the driver calls it; no other endpoint has it. */
    uint32_t reserved_count; /**< How many ranges are reserved. */
    const struct virtq_virtio_iommu_resv_mem
        *reserved; /**< They, sorted, disjoint, at most one MSI; must stay as they are while the
                      endpoint is there. */
    const struct virtq_virtio_iommu_property
        *properties;         /**< Other properties; must stay as they are likewise. */
    uint32_t property_count; /**< How many. */
    uint32_t reserved_;
};

/** @brief The initial value of a struct virtq_virtio_iommu_endpoint_config. */
#define VIRTQ_VIRTIO_IOMMU_ENDPOINT_CONFIG_INIT                                   \
    {                                                                             \
        sizeof(struct virtq_virtio_iommu_endpoint_config), 0, 0, NULL, NULL, 0, 0 \
    }

/** @brief An endpoint: a device behind the IOMMU. The caller owns the memory; the fields are
 * private, but for `space`. */
struct virtq_virtio_iommu_endpoint {
    struct virtq_space space; /**< What the device's queues are given. It may get a guard. */
    struct virtq_virtio_iommu_device *iommu;              /**< Where it was added. */
    struct virtq_virtio_iommu_domain *domain;             /**< What it is attached to, or NULL. */
    struct virtq_virtio_iommu_endpoint *next;             /**< In the same domain. */
    const struct virtq_virtio_iommu_resv_mem *reserved;   /**< Sorted and disjoint. */
    const struct virtq_virtio_iommu_property *properties; /**< The others. */
    uint32_t reserved_count;                              /**< How many. */
    uint32_t property_count;                              /**< How many. */
    uint32_t id;                                          /**< The driver's name for it. */
    uint32_t held; /**< 1: buffers are awaited that lie in what was withdrawn. */
};

/** @brief What a device holds and has counted. */
struct virtq_virtio_iommu_usage {
    uint32_t endpoints; /**< Endpoints now. */
    uint32_t domains;   /**< Domains now. */
    uint32_t mappings;  /**< Mappings now, in all domains. */
    uint32_t faults;    /**< Faults that wait for a buffer. */
    uint64_t requests;  /**< Requests that were answered with a status. */
    uint64_t malformed; /**< Requests that were given back unwritten. */
    uint64_t reported;  /**< Faults that went to the driver. */
    uint64_t dropped;   /**< Faults that did not, for want of room. */
};

/** @brief Bytes of memory that a device needs.
 * @param config the configuration
 * @return bytes, to be aligned to #VIRTQ_CACHE_LINE; 0 if the configuration is illegal. Any thread.
 */
VIRTQ_API size_t
virtq_virtio_iommu_device_size(const struct virtq_virtio_iommu_device_config *config);

/** @brief Makes a device: no endpoint, no domain, no feature negotiated.
 * @param memory aligned to #VIRTQ_CACHE_LINE; owned by the caller, must outlive the device
 * @param size   bytes of it, at least virtq_virtio_iommu_device_size()
 * @param config read during the call only
 * @param iommu  result: the device, inside `memory`
 * @return 0; VIRTQ_EINVAL (configuration, alignment) or VIRTQ_ENOMEM (memory too small): nothing
 * changed. Before the first queue on `config->memory`, or while none is used. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_virtio_iommu_device_init(
    void *memory, size_t size, const struct virtq_virtio_iommu_device_config *config,
    struct virtq_virtio_iommu_device **iommu);

/** @brief Lets go of the guest's memory. No queue may be on an endpoint any more.
 * @param iommu a device; no other thread uses its memory space during this call */
VIRTQ_API void virtq_virtio_iommu_device_destroy(struct virtq_virtio_iommu_device *iommu);

/** @brief Puts a device behind the IOMMU, attached to nothing.
 * @param iommu    a device
 * @param endpoint result; owned by the caller, must stay until virtq_virtio_iommu_device_remove();
 * its `space` is for the device's queues, on any threads
 * @param config   read during the call only, but for the arrays in it
 * @return 0; VIRTQ_EINVAL (the id is taken; ranges out of order, overlapping or more than one MSI;
 * a type that is none), VIRTQ_ETOOBIG (the properties exceed `probe_size`) or VIRTQ_ENOMEM (as
 * many as can be): nothing changed. The device's thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_virtio_iommu_device_add(
    struct virtq_virtio_iommu_device *iommu, struct virtq_virtio_iommu_endpoint *endpoint,
    const struct virtq_virtio_iommu_endpoint_config *config);

/** @brief Takes a device away, as if it was detached first. No queue may be on its space any more.
 * @param endpoint one that was added; free when this returns. The device's thread. */
VIRTQ_API void virtq_virtio_iommu_device_remove(struct virtq_virtio_iommu_endpoint *endpoint);

/** @brief Takes the features that the driver accepted (at FEATURES_OK).
 * @param iommu    a device
 * @param features the driver's; bits that are not VIRTIO_IOMMU_F_* are ignored
 * @return 0, or VIRTQ_EINVAL (one that was not offered): nothing changed. The device's thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_virtio_iommu_device_negotiate(
    struct virtq_virtio_iommu_device *iommu, uint64_t features);

/** @brief Device reset: no endpoint is attached to a domain, no mapping is left, no feature is
 * negotiated, no fault waits. The field `bypass` stays as it is.
 *
 * Returns when no burst behind an endpoint can use what is gone. Reset the queues too: a request
 * that was not answered is forgotten.
 * @param iommu a device. The device's thread. Source: [virtio 1.4, Device Initialization] */
VIRTQ_API void virtq_virtio_iommu_device_reset(struct virtq_virtio_iommu_device *iommu);

/** @brief System reset: as virtq_virtio_iommu_device_reset(), and `bypass` is as the configuration
 * says.
 * @param iommu a device. The device's thread. */
VIRTQ_API void virtq_virtio_iommu_device_reset_system(struct virtq_virtio_iommu_device *iommu);

/** @brief Reads the device's configuration space.
 * @param iommu  a device
 * @param offset first byte
 * @param to     room for `len` bytes
 * @param len    bytes wanted
 * @return 0, or VIRTQ_EINVAL (beyond its 40 bytes): `to` is untouched. The device's thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_virtio_iommu_device_config_read(
    const struct virtq_virtio_iommu_device *iommu, uint32_t offset, void *to, uint32_t len);

/** @brief The driver writes the device's configuration space: only `bypass` can be written.
 *
 * Returns when no burst behind an endpoint that is attached to nothing can use what it could reach
 * before.
 * @param iommu  a device
 * @param offset first byte: that of `bypass`
 * @param from   one byte, 0 or 1
 * @param len    1
 * @return 0; VIRTQ_EINVAL (another field or value) or VIRTQ_ENOTSUP (F_BYPASS_CONFIG is not
 * negotiated): nothing changed. The device's thread, not within a burst behind an endpoint. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_virtio_iommu_device_config_write(
    struct virtq_virtio_iommu_device *iommu, uint32_t offset, const void *from, uint32_t len);

/** @brief Carries out one request, and writes its answer. For owners who pop requests themselves.
 * @param iommu a device
 * @param chain a request, as virtq_device_pop() gave it
 * @param used  result: the length to push; 0 where the request was not understood
 * @return 0; or VIRTQ_EBUSY: done, but buffers that were popped before still lie in what was
 * withdrawn. Then nothing is written yet: call this again with the same chain, and with no other,
 * until it says 0. The device's thread, not within a burst behind an endpoint. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_virtio_iommu_device_handle(
    struct virtq_virtio_iommu_device *iommu, const struct virtq_chain *chain, uint32_t *used);

/** @brief Serves the request queue: pops, carries out, pushes and publishes.
 *
 * Ask virtq_device_needs_notify() afterwards.
 * @param iommu  a device
 * @param queue  the request queue's device end; only this function pops from it
 * @param budget at most so many requests
 * @return how many were pushed; 0 also when the next one waits for buffers behind an endpoint
 * (virtq_virtio_iommu_device_waits()); or, if none was: VIRTQ_EMISS or VIRTQ_EBROKEN, as
 * virtq_device_pop(), virtq_device_push() and virtq_device_publish() say. The device's thread, not
 * within a burst behind an endpoint. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_virtio_iommu_device_serve(
    struct virtq_virtio_iommu_device *iommu, struct virtq_device *queue, unsigned budget);

/** @brief Whether a request is done and waits for buffers that were popped behind an endpoint, and
 * lie in what was withdrawn. It is answered by the next call after they were pushed.
 * @param iommu a device
 * @return 1 or 0. The device's thread. */
VIRTQ_API int virtq_virtio_iommu_device_waits(const struct virtq_virtio_iommu_device *iommu);

/** @brief Reports faults on the event queue, as long as there are buffers. A buffer that is too
 * small is given back empty.
 *
 * Never waits: faults for which there is no buffer stay for the next call, as many as the
 * configuration says.
 * @param iommu a device
 * @param queue the event queue's device end; only this function pops from it
 * @return how many buffers were pushed; or, if none was, VIRTQ_EMISS or VIRTQ_EBROKEN. The
 * device's thread. Ask virtq_device_needs_notify() afterwards. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_virtio_iommu_device_report(
    struct virtq_virtio_iommu_device *iommu, struct virtq_device *queue);

/** @brief What a device holds and has counted.
 * @param iommu a device
 * @param usage result. The device's thread. */
VIRTQ_API void virtq_virtio_iommu_device_read_usage(struct virtq_virtio_iommu_device *iommu,
                                                    struct virtq_virtio_iommu_usage *usage);

/** @brief Translates an address for an endpoint, to a guest-physical one. What is refused is noted
 * as a fault.
 *
 * The endpoint's space does this by itself, for memory. This is for accesses that are none, such as
 * a write to a doorbell.
 * @param endpoint   an endpoint
 * @param addr       virtual address
 * @param permission a set of enum virtq_permission that the access needs
 * @param mapping    result: the mapping that holds `addr`. In bypass mode all that is not reserved,
 * as the identity. Untouched on an error
 * @return 0; VIRTQ_EFAULT (not mapped, or reserved, or attached to nothing), VIRTQ_EPERM (mapped,
 * but not for this) or VIRTQ_EINVAL (permission; no fault). Any thread; the result is good until
 * the endpoint's space is invalidated. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_virtio_iommu_endpoint_translate(
    struct virtq_virtio_iommu_endpoint *endpoint, virtq_addr_t addr, uint32_t permission,
    struct virtq_virtio_iommu_mapping *mapping);

VIRTQ_END_DECLS

#endif
