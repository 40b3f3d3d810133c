/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_vhost_user
 * @brief The messages of the vhost-user protocol: numbers and payloads by the specification's
 * names, and the rules that a request has to keep.
 *
 * All numbers are in the machine's own byte order; both ends run on one machine.
 * [QEMU, docs/interop/vhost-user.rst]
 */
#ifndef VIRTQ_HOST_VHOST_USER_H
#define VIRTQ_HOST_VHOST_USER_H

#include <stdint.h>

#include "../api.h"

VIRTQ_BEGIN_DECLS

/** @brief Most descriptors that come with one message. */
#define VIRTQ_VHOST_USER_FDS_MAX 8
/** @brief Most regions in one table of memory. */
#define VIRTQ_VHOST_USER_TABLE_MAX 8
/** @brief Most bytes of a device's configuration space in one message. */
#define VIRTQ_VHOST_USER_CONFIG_MAX 256
/** @brief Feature bit that stands for the protocol's own features. */
#define VHOST_USER_F_PROTOCOL_FEATURES 30
#ifndef VHOST_F_LOG_ALL
/** @brief Feature bit that asks for writes to be logged. */
#    define VHOST_F_LOG_ALL 26
#endif

/** @brief What a front-end asks for. */
enum virtq_vhost_user_request {
    VHOST_USER_NONE = 0,                   /**< No request has this number. */
    VHOST_USER_GET_FEATURES = 1,           /**< Which features the device offers. */
    VHOST_USER_SET_FEATURES = 2,           /**< Which ones the driver accepted. */
    VHOST_USER_SET_OWNER = 3,              /**< The front-end takes the session. */
    VHOST_USER_RESET_OWNER = 4,            /**< Deprecated: all rings are to stop. */
    VHOST_USER_SET_MEM_TABLE = 5,          /**< All memory there is, each region with its fd. */
    VHOST_USER_SET_LOG_BASE = 6,           /**< Where writes are logged. */
    VHOST_USER_SET_LOG_FD = 7,             /**< Whom to tell of logged writes. */
    VHOST_USER_SET_VRING_NUM = 8,          /**< A ring's size. */
    VHOST_USER_SET_VRING_ADDR = 9,         /**< A ring's addresses. */
    VHOST_USER_SET_VRING_BASE = 10,        /**< Where a ring goes on. */
    VHOST_USER_GET_VRING_BASE = 11,        /**< Stops a ring, and asks where it stands. */
    VHOST_USER_SET_VRING_KICK = 12,        /**< Where the driver's notifications come; starts. */
    VHOST_USER_SET_VRING_CALL = 13,        /**< Where the device's notifications go. */
    VHOST_USER_SET_VRING_ERR = 14,         /**< Where a broken ring is told. */
    VHOST_USER_GET_PROTOCOL_FEATURES = 15, /**< Which protocol features there are. */
    VHOST_USER_SET_PROTOCOL_FEATURES = 16, /**< Which of them are used. */
    VHOST_USER_GET_QUEUE_NUM = 17,         /**< How many queues there are. */
    VHOST_USER_SET_VRING_ENABLE = 18,      /**< A ring may, or may not, have effects. */
    VHOST_USER_SEND_RARP = 19,             /**< Network: announce an address. */
    VHOST_USER_NET_SET_MTU = 20,           /**< Network: the largest packet. */
    VHOST_USER_SET_BACKEND_REQ_FD = 21,    /**< The channel for the back-end's own requests. */
    VHOST_USER_IOTLB_MSG = 22,             /**< A translation comes or goes. */
    VHOST_USER_SET_VRING_ENDIAN = 23,      /**< A legacy ring's byte order. */
    VHOST_USER_GET_CONFIG = 24,            /**< Reads the configuration space. */
    VHOST_USER_SET_CONFIG = 25,            /**< Writes it. */
    VHOST_USER_CREATE_CRYPTO_SESSION = 26, /**< Crypto devices. */
    VHOST_USER_CLOSE_CRYPTO_SESSION = 27,  /**< Crypto devices. */
    VHOST_USER_POSTCOPY_ADVISE = 28,       /**< Migration by page faults is to come. */
    VHOST_USER_POSTCOPY_LISTEN = 29,       /**< It begins. */
    VHOST_USER_POSTCOPY_END = 30,          /**< It is over. */
    VHOST_USER_GET_INFLIGHT_FD = 31,       /**< Asks for memory for records of buffers. */
    VHOST_USER_SET_INFLIGHT_FD = 32,       /**< Gives that memory back after a restart. */
    VHOST_USER_GPU_SET_SOCKET = 33,        /**< Graphics devices. */
    VHOST_USER_RESET_DEVICE = 34,          /**< The device is to be as new. */
    VHOST_USER_VRING_KICK = 35,            /**< A driver's notification, as a message. */
    VHOST_USER_GET_MAX_MEM_SLOTS = 36,     /**< How many regions there can be. */
    VHOST_USER_ADD_MEM_REG = 37,           /**< One more region. */
    VHOST_USER_REM_MEM_REG = 38,           /**< One region less. */
    VHOST_USER_SET_STATUS = 39,            /**< The driver wrote the status. */
    VHOST_USER_GET_STATUS = 40,            /**< The status is read. */
    VHOST_USER_REQUEST_COUNT = 41          /**< Requests from here on are unknown to us. */
};

/** @brief Bits of virtq_vhost_user_header::flags. */
enum virtq_vhost_user_flag {
    VHOST_USER_VERSION = 1,      /**< The protocol's version, and the only one. */
    VHOST_USER_VERSION_MASK = 3, /**< The version's bits. */
    VHOST_USER_REPLY = 4,        /**< This is an answer. */
    VHOST_USER_NEED_REPLY = 8    /**< A result is asked for; see VHOST_USER_PROTOCOL_F_REPLY_ACK. */
};

/** @brief Protocol features, as bit numbers. */
enum virtq_vhost_user_protocol_feature {
    VHOST_USER_PROTOCOL_F_MQ = 0,                    /**< GET_QUEUE_NUM. */
    VHOST_USER_PROTOCOL_F_LOG_SHMFD = 1,             /**< SET_LOG_BASE comes with an fd. */
    VHOST_USER_PROTOCOL_F_RARP = 2,                  /**< SEND_RARP. */
    VHOST_USER_PROTOCOL_F_REPLY_ACK = 3,             /**< NEED_REPLY is answered. */
    VHOST_USER_PROTOCOL_F_NET_MTU = 4,               /**< NET_SET_MTU. */
    VHOST_USER_PROTOCOL_F_BACKEND_REQ = 5,           /**< SET_BACKEND_REQ_FD. */
    VHOST_USER_PROTOCOL_F_CROSS_ENDIAN = 6,          /**< SET_VRING_ENDIAN. */
    VHOST_USER_PROTOCOL_F_CRYPTO_SESSION = 7,        /**< The crypto requests. */
    VHOST_USER_PROTOCOL_F_PAGEFAULT = 8,             /**< The postcopy requests. */
    VHOST_USER_PROTOCOL_F_CONFIG = 9,                /**< GET_CONFIG and SET_CONFIG. */
    VHOST_USER_PROTOCOL_F_BACKEND_SEND_FD = 10,      /**< The back-end's requests may carry fds. */
    VHOST_USER_PROTOCOL_F_HOST_NOTIFIER = 11,        /**< Kicks by mapped memory. */
    VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD = 12,       /**< The inflight requests. */
    VHOST_USER_PROTOCOL_F_RESET_DEVICE = 13,         /**< RESET_DEVICE. */
    VHOST_USER_PROTOCOL_F_INBAND_NOTIFICATIONS = 14, /**< VRING_KICK. */
    VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS = 15,  /**< ADD_MEM_REG and its kin. */
    VHOST_USER_PROTOCOL_F_STATUS = 16                /**< SET_STATUS and GET_STATUS. */
};

/** @brief In the number of SET_VRING_KICK, _CALL and _ERR: no fd comes along. */
#define VHOST_USER_VRING_NOFD_MASK 0x100u
/** @brief In the number of SET_VRING_KICK, _CALL and _ERR: the ring's index. */
#define VHOST_USER_VRING_IDX_MASK 0xffu

/** @brief What every message begins with. */
struct virtq_vhost_user_header {
    uint32_t request; /**< An enum virtq_vhost_user_request. */
    uint32_t flags;   /**< A set of enum virtq_vhost_user_flag. */
    uint32_t size;    /**< Bytes of payload that follow. */
};

/** @brief A ring and a number. */
struct virtq_vhost_user_state {
    uint32_t index; /**< Which ring. */
    uint32_t num;   /**< Size, base or state. */
};

/** @brief In virtq_vhost_user_addr::flags: writes to the used ring are logged. */
#define VIRTQ_VHOST_USER_VRING_F_LOG 1u

/** @brief A ring's addresses. */
struct virtq_vhost_user_addr {
    uint32_t index;      /**< Which ring. */
    uint32_t flags;      /**< 0, or #VIRTQ_VHOST_USER_VRING_F_LOG. */
    uint64_t descriptor; /**< Descriptor area; a user address of the front-end, or an IOVA. */
    uint64_t used;       /**< Device area; comes before the driver area. */
    uint64_t available;  /**< Driver area. */
    uint64_t log;        /**< Where writes to the used ring are logged. */
};

/** @brief A region of memory. */
struct virtq_vhost_user_region {
    uint64_t guest_address; /**< First guest-physical address. */
    uint64_t size;          /**< Bytes. */
    uint64_t user_address;  /**< The front-end's own address of it. */
    uint64_t mmap_offset;   /**< Where it begins in its file. */
};

/** @brief All memory there is. */
struct virtq_vhost_user_memory {
    uint32_t count;                                                     /**< Regions that follow. */
    uint32_t padding;                                                   /**< Means nothing. */
    struct virtq_vhost_user_region regions[VIRTQ_VHOST_USER_TABLE_MAX]; /**< `count` of them. */
};

/** @brief One region of memory. */
struct virtq_vhost_user_slot {
    uint64_t padding;                      /**< Means nothing. */
    struct virtq_vhost_user_region region; /**< Which one. */
};

/** @brief Where writes are logged. */
struct virtq_vhost_user_log {
    uint64_t size;   /**< Bytes of the log. */
    uint64_t offset; /**< Where it begins in its file. */
};

/** @brief What the back-end asks for, on a channel of its own: VHOST_USER_SET_BACKEND_REQ_FD. */
enum virtq_vhost_user_backend_request {
    VHOST_USER_BACKEND_NONE = 0,         /**< No request has this number. */
    VHOST_USER_BACKEND_IOTLB_MSG = 1,    /**< A translation is missing, or an access failed. */
    VHOST_USER_BACKEND_CONFIG_CHANGE = 2 /**< The configuration space has changed. */
};

/** @brief What a struct virtq_vhost_user_iotlb is about. */
enum virtq_vhost_user_iotlb_type {
    VHOST_USER_IOTLB_MISS = 1,       /**< By the back-end: which translation is missing. */
    VHOST_USER_IOTLB_UPDATE = 2,     /**< By the front-end: a translation. */
    VHOST_USER_IOTLB_INVALIDATE = 3, /**< By the front-end: a range has none any more. */
    VHOST_USER_IOTLB_ACCESS_FAIL = 4 /**< By either: an access that is not allowed. */
};

/** @brief A translation. */
struct virtq_vhost_user_iotlb {
    uint64_t iova;         /**< First device address. */
    uint64_t size;         /**< Bytes. */
    uint64_t user_address; /**< The front-end's own address. */
    uint8_t permissions;   /**< Bit 0 read, bit 1 write. */
    uint8_t type;          /**< An enum virtq_vhost_user_iotlb_type. */
    uint8_t padding[6];    /**< Means nothing. */
};

/** @brief A part of the configuration space. */
struct virtq_vhost_user_config {
    uint32_t offset;                           /**< First byte. */
    uint32_t size;                             /**< Bytes. */
    uint32_t flags;                            /**< 0: as the driver writes; 1: by migration. */
    uint8_t data[VIRTQ_VHOST_USER_CONFIG_MAX]; /**< `size` of them. */
};

/** @brief Memory for records of buffers in flight. */
struct virtq_vhost_user_inflight {
    uint64_t mmap_size;   /**< Bytes. */
    uint64_t mmap_offset; /**< Where they begin in their file. */
    uint16_t queue_count; /**< Queues. */
    uint16_t queue_size;  /**< Their size. */
    uint32_t padding;     /**< Means nothing. */
};

/** @brief What follows a header: which member is meant depends on the request. */
union virtq_vhost_user_payload {
    uint64_t u64;                              /**< A number. */
    struct virtq_vhost_user_state state;       /**< A ring and a number. */
    struct virtq_vhost_user_addr addr;         /**< A ring's addresses. */
    struct virtq_vhost_user_memory memory;     /**< All memory. */
    struct virtq_vhost_user_slot slot;         /**< One region. */
    struct virtq_vhost_user_log log;           /**< The log. */
    struct virtq_vhost_user_iotlb iotlb;       /**< A translation. */
    struct virtq_vhost_user_config config;     /**< Configuration. */
    struct virtq_vhost_user_inflight inflight; /**< Memory for records. */
};

/** @brief A message. */
struct virtq_vhost_user_message {
    struct virtq_vhost_user_header header;  /**< As on the wire. */
    uint32_t fd_count;                      /**< Descriptors that came along. */
    union virtq_vhost_user_payload payload; /**< The first `header.size` bytes are as on the wire,
                                                 the others 0. */
    int fds[VIRTQ_VHOST_USER_FDS_MAX];      /**< `fd_count` of them, then -1. Whoever has the
                                                 message owns them; what he keeps he sets to -1. */
};

/** @brief Why a message is refused. The values are part of the ABI. */
enum virtq_vhost_user_refusal {
    VIRTQ_VHOST_USER_ACCEPTED = 0,        /**< It is not. */
    VIRTQ_VHOST_USER_REFUSED_VERSION = 1, /**< Not version 1. */
    VIRTQ_VHOST_USER_REFUSED_FLAGS = 2,   /**< An answer that nobody asked for, or unknown flags. */
    VIRTQ_VHOST_USER_REFUSED_LENGTH = 3,  /**< No message is that long. */
    VIRTQ_VHOST_USER_REFUSED_REQUEST = 4, /**< An unknown request. */
    VIRTQ_VHOST_USER_REFUSED_SIZE = 5,    /**< The payload's size is not this request's. */
    VIRTQ_VHOST_USER_REFUSED_FDS = 6,     /**< Too few descriptors, or too many. */
    VIRTQ_VHOST_USER_REFUSED_PROTOCOL = 7, /**< The protocol feature was not negotiated. */
    VIRTQ_VHOST_USER_REFUSED_FEATURES = 8, /**< A feature that was never offered, or half a pair. */
    VIRTQ_VHOST_USER_REFUSED_ORDER = 9,   /**< Not at this time: a ring runs, or lacks something. */
    VIRTQ_VHOST_USER_REFUSED_INDEX = 10,  /**< No such ring. */
    VIRTQ_VHOST_USER_REFUSED_VALUE = 11,  /**< A number outside of its range. */
    VIRTQ_VHOST_USER_REFUSED_MEMORY = 12, /**< Memory that cannot be mapped, overlaps, or is too
                                               short for what is said to be there. */
    VIRTQ_VHOST_USER_REFUSED_SEAL = 13,   /**< Memory that its owner could make shorter. */
    VIRTQ_VHOST_USER_REFUSED_DEVICE = 14, /**< The device's own code refused it. */
    VIRTQ_VHOST_USER_REFUSED_SHORT = 15,  /**< The connection ended in the middle of a message. */
    VIRTQ_VHOST_USER_REFUSED_RING = 16,   /**< A ring that cannot be: its base is impossible, or
                                               it is misaligned. */
    VIRTQ_VHOST_USER_REFUSED_TIME = 17,   /**< No answer in time. */
    VIRTQ_VHOST_USER_REFUSED_SHRUNK = 18, /**< Memory that was there became shorter; see
                                               ::VIRTQ_VHOST_USER_CATCH. */
    VIRTQ_VHOST_USER_REFUSED_PLACE = 19   /**< A ring that does not lie in memory, or not in that
                                               which the back-end may use. */
};

/** @brief Judges a whole message by its request's row: size, descriptors, protocol feature, and
 * counts in the payload that have to agree with the size.
 *
 * Values that depend on a device's state are not judged.
 * @param message  as received
 * @param protocol protocol features that were negotiated: a set of bits
 * @return an enum virtq_vhost_user_refusal. Any thread. */
VIRTQ_API uint32_t virtq_vhost_user_judge(const struct virtq_vhost_user_message *message,
                                          uint64_t protocol);

/** @brief Whether a request has an answer of its own, so that VHOST_USER_NEED_REPLY changes
 * nothing.
 * @param request  an enum virtq_vhost_user_request; any number
 * @param protocol protocol features that were negotiated: a set of bits
 * @return 1 or 0. Any thread. */
VIRTQ_API int virtq_vhost_user_answered(uint32_t request, uint64_t protocol);

/** @brief The specification's word for a request, for logs.
 * @param request any number
 * @return a constant string, "?" for numbers without a name. Any thread. */
VIRTQ_API const char *virtq_vhost_user_request_name(uint32_t request);

/** @brief A few words for a refusal, for logs.
 * @param refusal any number
 * @return a constant string, "?" for numbers without a name. Any thread. */
VIRTQ_API const char *virtq_vhost_user_refusal_name(uint32_t refusal);

VIRTQ_END_DECLS

#endif
