/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_vfio
 * @brief VFIO as the backend of an iommu space: a driver in user space, behind the machine's IOMMU.
 *
 * An address space (struct virtq_vfio) is a VFIO container with a type 1 IOMMU, or an address space
 * of iommufd. The devices of its groups (struct virtq_vfio_group, type 1), or its devices
 * (host/vfio_device.h, iommufd), see memory at the addresses that were mapped there, and nothing
 * else. It is a backend of both iommu spaces (space/iommu.h, space/iommu_queue.h), and knows which
 * addresses their allocator may hand out.
 *
 * Mapped memory is pinned: it counts against RLIMIT_MEMLOCK. What is private to the program must
 * not be mapped when it calls fork(): the pages that are pinned may become the child's. Strict
 * spaces make one or two system calls for each segment, and one for each buffer that comes back;
 * persistent ones make none.
 *
 * Until Linux 6.2 a page of private memory that was never written is pinned, if the device may only
 * read it, as the page of zeros that all programs share; and the device goes on to read that. So
 * such memory gets its pages before it is mapped with type 1.
 *
 * No allocation, no thread. System calls go through a table, which a caller may replace.
 */
#ifndef VIRTQ_HOST_VFIO_H
#define VIRTQ_HOST_VFIO_H

#include <stddef.h>
#include <stdint.h>

#include "../error.h"
#include "../iommu/backend.h"
#include "../iommu/iova.h"
#include "../types.h"

VIRTQ_BEGIN_DECLS

/** @brief Most ranges of usable addresses that are kept; the higher ones of more are not used. */
#define VIRTQ_VFIO_RANGES_MAX 32

/** @brief The system calls. Begin with those of Linux (virtq_vfio_system_linux()), and replace
 * some. Those that can fail answer with a negative errno. */
struct virtq_vfio_system {
    size_t size;   /**< sizeof(struct virtq_vfio_system): lets the struct grow. */
    void *context; /**< Given to every call; owned by whoever fills the struct. */

    /** @brief Opens a file for reading and writing, not to be inherited.
     * @param context as above
     * @param path    its name
     * @return a descriptor, or a negative errno */
    int (*open)(void *context, const char *path);
    /** @brief Closes a descriptor.
     * @param context as above
     * @param fd      a descriptor */
    void (*close)(void *context, int fd);
    /** @brief An ioctl().
     * @param context  as above
     * @param fd       a descriptor
     * @param request  what is asked for
     * @param argument a number, or a pointer as a number
     * @return its result, or a negative errno */
    int (*ioctl)(void *context, int fd, unsigned long request, uintptr_t argument);
    /** @brief A pread().
     * @param context as above
     * @param fd      a descriptor
     * @param data    result
     * @param len     bytes
     * @param offset  where in the file
     * @return bytes that were read, or a negative errno */
    int64_t (*read)(void *context, int fd, void *data, size_t len, uint64_t offset);
    /** @brief A pwrite().
     * @param context as above
     * @param fd      a descriptor
     * @param data    what to write
     * @param len     bytes
     * @param offset  where in the file
     * @return bytes that were written, or a negative errno */
    int64_t (*write)(void *context, int fd, const void *data, size_t len, uint64_t offset);
    /** @brief An mmap(), shared, for reading and writing.
     * @param context as above
     * @param fd      a descriptor
     * @param len     bytes
     * @param offset  where in the file
     * @param base    result
     * @return 0, or a negative errno */
    int (*map)(void *context, int fd, size_t len, uint64_t offset, void **base);
    /** @brief An munmap().
     * @param context as above
     * @param base    what was mapped
     * @param len     bytes */
    void (*unmap)(void *context, void *base, size_t len);
    /** @brief An madvise(MADV_POPULATE_WRITE): gives private memory pages of its own.
     * @param context as above
     * @param base    whole pages
     * @param len     bytes
     * @return 0, or a negative errno */
    int (*populate)(void *context, void *base, size_t len);
};

/** @brief The system calls of Linux.
 * @return a constant. Any thread. */
VIRTQ_API const struct virtq_vfio_system *virtq_vfio_system_linux(void);

/** @brief Which of the kernel's interfaces. */
enum virtq_vfio_kind {
    VIRTQ_VFIO_TYPE1 = 0,  /**< Containers and groups, "type 1 version 2". */
    VIRTQ_VFIO_IOMMUFD = 1 /**< iommufd, where the kernel has it (6.6, VFIO_DEVICE_CDEV). */
};

/** @brief What was being done when something failed. */
enum virtq_vfio_step {
    VIRTQ_VFIO_STEP_NONE = 0,        /**< Nothing failed. */
    VIRTQ_VFIO_STEP_OPEN = 1,        /**< Opening /dev/vfio/vfio or /dev/iommu. */
    VIRTQ_VFIO_STEP_VERSION = 2,     /**< The kernel's interface is another one. */
    VIRTQ_VFIO_STEP_TYPE1 = 3,       /**< The kernel has no type 1 IOMMU, version 2. */
    VIRTQ_VFIO_STEP_SPACE = 4,       /**< Making an address space. */
    VIRTQ_VFIO_STEP_GROUP_OPEN = 5,  /**< Opening the group's file; EBUSY: someone has it. */
    VIRTQ_VFIO_STEP_VIABLE = 6,      /**< A device of the group has a driver of the kernel. */
    VIRTQ_VFIO_STEP_JOIN = 7,        /**< The group, or device, joins the address space. */
    VIRTQ_VFIO_STEP_INFO = 8,        /**< What the IOMMU can do. */
    VIRTQ_VFIO_STEP_MAP = 9,         /**< Mapping memory. */
    VIRTQ_VFIO_STEP_UNMAP = 10,      /**< Unmapping it. */
    VIRTQ_VFIO_STEP_DEVICE = 11,     /**< Opening the device. */
    VIRTQ_VFIO_STEP_REGION = 12,     /**< A region of the device. */
    VIRTQ_VFIO_STEP_ACCESS = 13,     /**< Reading or writing a region. */
    VIRTQ_VFIO_STEP_INTERRUPTS = 14, /**< The device's interrupts. */
    VIRTQ_VFIO_STEP_RESET = 15       /**< The device's reset. */
};

/** @brief What failed last. */
struct virtq_vfio_failure {
    uint32_t step;        /**< An enum virtq_vfio_step. */
    int32_t system_error; /**< The errno, positive; 0: the system call succeeded, with an answer
                             that is no use. */
};

/** @brief How an address space is to be. Begin with #VIRTQ_VFIO_CONFIG_INIT. */
struct virtq_vfio_config {
    size_t struct_size; /**< sizeof(struct virtq_vfio_config): lets the struct grow. */
    const struct virtq_vfio_system
        *system;        /**< NULL: those of Linux. Must outlive the address space. */
    const char *path;   /**< NULL: /dev/vfio/vfio, or /dev/iommu. Read during the call only. */
    uint32_t kind;      /**< An enum virtq_vfio_kind. */
    uint32_t reserved_; /**< Zero. */
};

/** @brief The initial value of a struct virtq_vfio_config. */
#define VIRTQ_VFIO_CONFIG_INIT                                                      \
    {                                                                               \
        sizeof(struct virtq_vfio_config), NULL, NULL, (uint32_t)VIRTQ_VFIO_TYPE1, 0 \
    }

/** @brief A range of addresses that the devices can be given. */
struct virtq_vfio_range {
    virtq_addr_t first; /**< First address. */
    virtq_addr_t last;  /**< Last address, inclusive. */
};

/** @brief What the IOMMU can do, as the kernel says now. */
struct virtq_vfio_limits {
    uint64_t page_sizes;  /**< Page sizes, each its own bit. */
    uint64_t granule;     /**< The smallest of them, in bytes. */
    virtq_addr_t first;   /**< The lowest usable address. */
    virtq_addr_t last;    /**< The highest, inclusive. */
    uint32_t range_count; /**< Usable ranges between them. */
    uint32_t available;   /**< Mappings that can still be made; UINT32_MAX: the kernel does not
                             say. Each segment is one, each shared area is one. */
};

/** @brief What happened in an address space. */
struct virtq_vfio_usage {
    uint64_t mapped;   /**< Ranges mapped now. */
    uint64_t maps;     /**< System calls that map. */
    uint64_t unmaps;   /**< System calls that unmap; neighbours go in one. */
    uint64_t failures; /**< Of these, how many failed. */
    uint64_t lost;     /**< Ranges that stay mapped, because they could not be unmapped. */
};

/** @brief An address space. The caller owns the memory, and does not move it; the fields but
 * `backend` are private. */
struct virtq_vfio {
    struct virtq_iommu_backend backend;     /**< What an iommu space is given: `&vfio.backend`. */
    const struct virtq_vfio_system *system; /**< The system calls. */
    int fd;                                 /**< The container, or the iommufd. */
    uint32_t kind;                          /**< An enum virtq_vfio_kind. */
    uint32_t members;                       /**< Groups, or devices, that joined. */
    uint32_t space_id;                      /**< iommufd: the number of the address space. */
    uint64_t failure;                       /**< The last step << 32 | errno; atomic. */
    uint64_t page_sizes;                    /**< As the kernel says; 0: not known yet. */
    uint64_t granule;                       /**< The smallest page. */
    uint32_t available;                     /**< As the kernel said last. */
    uint32_t range_count;                   /**< How many `ranges` there are. */
    struct virtq_vfio_range ranges[VIRTQ_VFIO_RANGES_MAX]; /**< Ascending and disjoint. */
    struct virtq_vfio_usage usage;                         /**< What happened; atomics. */
};

/** @brief A group of devices that the IOMMU cannot tell apart (type 1). The caller owns the memory;
 * the fields are private. */
struct virtq_vfio_group {
    struct virtq_vfio *vfio; /**< The address space it joined. */
    int fd;                  /**< The group. */
};

/** @brief Makes an address space without devices.
 * @param vfio   result; owned by the caller, must outlive the spaces on it, and stay where it is
 * @param config read during the call only, but for what is said there
 * @return 0; VIRTQ_EINVAL (the config), VIRTQ_ENOTSUP (the kernel has nothing of the kind),
 * VIRTQ_EPERM (the file), VIRTQ_ENOMEM or VIRTQ_EPEER (any other failure): nothing is open, and
 * virtq_vfio_failed() tells more, unless it was the config. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_vfio_open(struct virtq_vfio *vfio,
                                               const struct virtq_vfio_config *config);

/** @brief Closes an address space: the kernel takes back all that is mapped.
 * @param vfio an address space that virtq_vfio_open() made; its groups and devices are closed. No
 * other thread uses it. */
VIRTQ_API void virtq_vfio_close(struct virtq_vfio *vfio);

/** @brief A group joins an address space of type 1.
 *
 * Which addresses are usable, and the smallest page, may change with every group that joins: make
 * the allocator (virtq_vfio_init_iova()) when all have.
 * @param group result; owned by the caller, until virtq_vfio_group_close()
 * @param vfio  an address space; must outlive the group
 * @param path  the group's file, `/dev/vfio/N`; N is the name of what
 * `/sys/bus/pci/devices/.../iommu_group` points to. Read during the call only.
 * @return 0; VIRTQ_EINVAL (not of type 1), VIRTQ_EBUSY (the group is in use, or not viable: one of
 * its devices has a driver of the kernel), VIRTQ_EPERM, VIRTQ_ENOTSUP, VIRTQ_ENOMEM or VIRTQ_EPEER,
 * with virtq_vfio_failed() to tell more: the group has not joined. No other thread uses `vfio`. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_vfio_group_open(struct virtq_vfio_group *group,
                                                     struct virtq_vfio *vfio, const char *path);

/** @brief The group leaves. With the last one the kernel takes back all that is mapped.
 * @param group a group, its devices closed. No other thread uses the address space. */
VIRTQ_API void virtq_vfio_group_close(struct virtq_vfio_group *group);

/** @brief What the IOMMU can do; asks the kernel.
 * @param vfio   an address space that a group or device has joined
 * @param limits result; untouched on an error
 * @return 0; VIRTQ_ENOTSUP (nothing has joined) or what virtq_vfio_failed() tells more of. No other
 * thread maps. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_vfio_read_limits(struct virtq_vfio *vfio,
                                                      struct virtq_vfio_limits *limits);

/** @brief Makes an allocator of the addresses that the devices can be given: what the kernel says,
 * cut to [first, last]; holes in between are reserved.
 * @param vfio     an address space that all its groups and devices have joined
 * @param first    lowest address to hand out; not 0 where a device takes 0 for "none", as virtio
 * devices may with the address of a ring
 * @param last     highest address to hand out, inclusive: what the devices can reach
 * @param iova     result; owned by the caller
 * @param entries  memory for `capacity` entries; owned by the caller, must outlive the allocator;
 * private
 * @param capacity how many allocations and holes there can be at a time
 * @return 0; VIRTQ_ENOTSUP (nothing has joined), VIRTQ_EINVAL (no page in [first, last] is between
 * the lowest and the highest usable one; no capacity) or VIRTQ_ENOMEM (more holes than capacity):
 * `iova` is not to be used. Any thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_vfio_init_iova(const struct virtq_vfio *vfio,
                                                    virtq_addr_t first, virtq_addr_t last,
                                                    struct virtq_iova *iova,
                                                    struct virtq_iova_range *entries,
                                                    unsigned capacity);

/** @brief What failed last, in this address space or a device of it.
 * @param vfio    an address space, also one that could not be opened
 * @param failure result. Any thread. */
VIRTQ_API void virtq_vfio_failed(const struct virtq_vfio *vfio, struct virtq_vfio_failure *failure);

/** @brief A short English text of an enum virtq_vfio_step.
 * @param step the step
 * @return a constant string, never NULL. Any thread. */
VIRTQ_API const char *virtq_vfio_step_name(uint32_t step);

/** @brief What happened so far.
 * @param vfio  an address space
 * @param usage result: not one moment if other threads map. Any thread. */
VIRTQ_API void virtq_vfio_read_usage(const struct virtq_vfio *vfio, struct virtq_vfio_usage *usage);

VIRTQ_END_DECLS

#endif
