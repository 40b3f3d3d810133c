/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_vhost_user
 * @brief The front-end's end of vhost-user: driving a device that another program serves.
 *
 * In order of use: connect a socket, virtq_vhost_user_frontend_init(),
 * virtq_vhost_user_frontend_greet(), virtq_vhost_user_frontend_accept() with features that were
 * offered, virtq_vhost_user_frontend_set_memory(), and for each ring
 * virtq_vhost_user_frontend_start() with what a driver's queue (driver.h) was made of. Once all of
 * them are started, virtq_vhost_user_frontend_ready(). Then the queue is driven as always:
 * virtq_vhost_user_frontend_kick() is its notification, and virtq_vhost_user_frontend_call_fd() can
 * be read when the device notifies; virtq_vhost_user_frontend_wait() sleeps until then.
 *
 * What a driver needs around that is in vhost_user_space.h (memory, and one of the four spaces) and
 * vhost_user_queue.h (a ring with its driver end).
 *
 * Functions that need the back-end's answer wait for it, at most as long as
 * virtq_vhost_user_frontend_config::deadline; while they wait they serve the back-end's own
 * requests. Between them these come when virtq_vhost_user_frontend_fd() can be read: call
 * virtq_vhost_user_frontend_process(), which never waits. No thread is started.
 *
 * With VIRTIO_F_ACCESS_PLATFORM the back-end knows device addresses only, and asks for what is
 * behind them: virtq_vhost_user_frontend_config::domain answers, or
 * virtq_vhost_user_frontend_ops::miss. What is unmapped from the domain is withdrawn from the
 * back-end, and the unmapping returns when that has said so: virtq_domain_backend() is thus all
 * that the driver's iommu space needs.
 *
 * The back-end is not trusted: an answer that is not one to the question, in size, flags,
 * descriptors or values, ends the connection with a reason. What it can do to memory that it was
 * given is no matter of messages: give it no more than it needs.
 */
#ifndef VIRTQ_HOST_VHOST_USER_FRONTEND_H
#define VIRTQ_HOST_VHOST_USER_FRONTEND_H

#include <stddef.h>
#include <stdint.h>

#include "../api.h"
#include "../error.h"
#include "../iommu/domain.h"
#include "../region.h"
#include "../space.h"
#include "../state.h"
#include "../types.h"
#include "vhost_user.h"

VIRTQ_BEGIN_DECLS

/** @brief A front-end. Lives in memory that the caller gives. */
struct virtq_vhost_user_frontend;

/** @brief What the back-end may ask or tell. A member that is NULL is not needed. They are called
 * within functions of the front-end and may call none of them. */
struct virtq_vhost_user_frontend_ops {
    /** sizeof(struct virtq_vhost_user_frontend_ops) of whoever fills the table; what lies beyond
     * counts as NULL. */
    size_t size;
    /** @brief What is behind a device address? Without it the domain is asked. @param opaque as in
     * the configuration @param miss where, and what for; its length may be 0 @param window result:
     * holds `miss->addr`, lies in memory that the back-end was given, and has the same permissions
     * everywhere: it replaces what the back-end knew of it @return 0, or anything
     * else: nothing is there, and the back-end is not answered */
    int (*miss)(void *opaque, const struct virtq_miss *miss, struct virtq_window *window);
    /** @brief The configuration space has changed: read it again, later. @param opaque as in the
     * configuration */
    void (*config_changed)(void *opaque);
    /** @brief The back-end says that a ring is broken. @param opaque as in the configuration @param
     * index the ring's */
    void (*broken)(void *opaque, uint32_t index);
};

/** @brief How a front-end is to be. Begin with #VIRTQ_VHOST_USER_FRONTEND_CONFIG_INIT. */
struct virtq_vhost_user_frontend_config {
    size_t struct_size;   /**< sizeof(struct virtq_vhost_user_frontend_config). */
    int socket;           /**< A connected stream socket; the front-end's after an init without
                               error. Not needed for the size. */
    uint32_t deadline;    /**< Milliseconds that an answer may take, at least 1. */
    uint32_t queue_count; /**< Rings that can be started, 1 to 256. */
    uint32_t reserved_;   /**< Zero. */
    uint64_t protocol;    /**< Protocol features that may be used: a set of bits. */
    struct virtq_domain *domain; /**< What device addresses lead to; listened to until
                                      virtq_vhost_user_frontend_fini(), and changed only by the
                                      thread that calls the front-end's functions; or NULL. */
    const struct virtq_vhost_user_frontend_ops *ops; /**< Copied; or NULL. */
    void *opaque;                                    /**< Handed to each of them. */
};

/** @brief The initial value of a struct virtq_vhost_user_frontend_config. */
#define VIRTQ_VHOST_USER_FRONTEND_CONFIG_INIT                                                    \
    {                                                                                            \
        sizeof(struct virtq_vhost_user_frontend_config), -1, 5000, 1, 0, UINT64_MAX, NULL, NULL, \
            NULL                                                                                 \
    }

/** @brief Memory that the back-end is given. */
struct virtq_vhost_user_share {
    void *base;           /**< First byte, in this program; stays mapped while it is given. */
    uint64_t size;        /**< Bytes, at least 1. */
    virtq_addr_t address; /**< Its first device address; without VIRTIO_F_ACCESS_PLATFORM what
                               descriptors say. */
    uint64_t offset;      /**< Where it begins in its file. */
    int fd;               /**< The file; the caller's. */
    uint32_t reserved_;   /**< Zero. */
};

/** @brief Flags of a struct virtq_vhost_user_ring. */
enum virtq_vhost_user_ring_flag {
    /** Writes to the device area are logged, see virtq_vhost_user_frontend_set_log(). */
    VIRTQ_VHOST_USER_RING_LOGGED = 1
};

/** @brief A ring that is to be started: what a driver's queue was made of. */
struct virtq_vhost_user_ring {
    size_t struct_size;       /**< sizeof(struct virtq_vhost_user_ring): lets the struct grow. */
    uint32_t size;            /**< Descriptors, as in struct virtq_driver_config. */
    uint32_t flags;           /**< A set of enum virtq_vhost_user_ring_flag. */
    struct virtq_areas areas; /**< Where it lies in this program, inside memory that
                                   the back-end was given. */
    struct virtq_area_addresses addresses; /**< virtq_driver_addresses(); counts with
                                                VIRTIO_F_ACCESS_PLATFORM only. */
    const struct virtq_state *state;       /**< Where it goes on: virtq_driver_save(); NULL: it is
                                                new. Read during the call only. */
    virtq_addr_t log; /**< The address by which writes to the device area are logged. */
};

/** @brief Bytes of memory that a front-end needs.
 * @param config the configuration
 * @return bytes, a multiple of #VIRTQ_CACHE_LINE, to be aligned to that; 0 if the configuration is
 * illegal. Any thread. */
VIRTQ_API size_t
virtq_vhost_user_frontend_size(const struct virtq_vhost_user_frontend_config *config);

/** @brief Makes a front-end of a connection. Nothing is sent yet.
 * @param memory   private memory, aligned to #VIRTQ_CACHE_LINE; owned by the caller, must stay
 * until virtq_vhost_user_frontend_fini()
 * @param size     its bytes, at least virtq_vhost_user_frontend_size()
 * @param config   read during the call only
 * @param frontend result: inside `memory`
 * @return 0; VIRTQ_EINVAL (configuration or alignment) or VIRTQ_ENOMEM (memory too small, or no
 * descriptor to be had): nothing is kept, and the socket is still the caller's. Any thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_vhost_user_frontend_init(
    void *memory, size_t size, const struct virtq_vhost_user_frontend_config *config,
    struct virtq_vhost_user_frontend **frontend);

/** @brief Closes the connection, and everything else that the front-end has opened. Stop the rings
 * before, or take their buffers to be the back-end's until it has ended.
 * @param frontend a front-end; its memory is the caller's again. Owner's thread. */
VIRTQ_API void virtq_vhost_user_frontend_fini(struct virtq_vhost_user_frontend *frontend);

/** @brief What an event loop waits for: readable means that process has something to do.
 * @param frontend a front-end
 * @return a descriptor, the front-end's own, the same until it ends. Any thread. */
VIRTQ_API int virtq_vhost_user_frontend_fd(const struct virtq_vhost_user_frontend *frontend);

/** @brief Serves what the back-end asks by itself, and never waits: a bounded number of requests.
 * @param frontend a front-end
 * @return 0: wait and call again; VIRTQ_EPEER: the connection is over. Owner's thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_vhost_user_frontend_process(
    struct virtq_vhost_user_frontend *frontend);

/** @brief Why the connection is over, or what the back-end has refused last.
 * @param frontend a front-end
 * @return an enum virtq_vhost_user_refusal. Owner's thread. */
VIRTQ_API uint32_t
virtq_vhost_user_frontend_refusal(const struct virtq_vhost_user_frontend *frontend);

/** @brief Begins a session: asks what there is, takes of the protocol's features those that both
 * ends have, and makes the channel for the back-end's own requests.
 * @param frontend a front-end, once
 * @return 0; VIRTQ_EPEER: the connection is over; VIRTQ_ENOMEM (no descriptor). Owner's thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_vhost_user_frontend_greet(
    struct virtq_vhost_user_frontend *frontend);

/** @brief The features that the device offers.
 * @param frontend a front-end after virtq_vhost_user_frontend_greet()
 * @return a set of bits, without #VHOST_USER_F_PROTOCOL_FEATURES. Owner's thread. */
VIRTQ_API uint64_t
virtq_vhost_user_frontend_offered(const struct virtq_vhost_user_frontend *frontend);

/** @brief The features that were accepted.
 * @param frontend a front-end
 * @return a set of bits, without #VHOST_USER_F_PROTOCOL_FEATURES; 0 before
 * virtq_vhost_user_frontend_accept(). Owner's thread. */
VIRTQ_API uint64_t
virtq_vhost_user_frontend_features(const struct virtq_vhost_user_frontend *frontend);

/** @brief The protocol's features in use.
 * @param frontend a front-end after virtq_vhost_user_frontend_greet()
 * @return a set of bits. Owner's thread. */
VIRTQ_API uint64_t
virtq_vhost_user_frontend_protocol(const struct virtq_vhost_user_frontend *frontend);

/** @brief How many queues the back-end says it has; for a network device these are pairs.
 * @param frontend a front-end after virtq_vhost_user_frontend_greet()
 * @return their number; 1 if it does not say. Owner's thread. */
VIRTQ_API uint32_t
virtq_vhost_user_frontend_queues(const struct virtq_vhost_user_frontend *frontend);

/** @brief Accepts features.
 *
 * A back-end may acknowledge what it cannot do; so what was not offered is not even asked for.
 * @param frontend a front-end after virtq_vhost_user_frontend_greet()
 * @param features those that the driver's queues are made with
 * @return 0; VIRTQ_ENOTSUP (not all of them were offered, or the back-end refuses them),
 * VIRTQ_EBUSY (a ring runs, and more changes than #VHOST_F_LOG_ALL): nothing changed; VIRTQ_EPEER.
 * Owner's thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_vhost_user_frontend_accept(
    struct virtq_vhost_user_frontend *frontend, uint64_t features);

/** @brief Gives memory to the back-end, in place of all that it had.
 * @param frontend a front-end
 * @param shares   `count` of them, disjoint; read during the call only
 * @param count    1 to #VIRTQ_VHOST_USER_TABLE_MAX
 * @return 0; VIRTQ_EINVAL (none, too many, a range that wraps), VIRTQ_ENOTSUP (refused): nothing
 * changed; VIRTQ_ENOMEM (no descriptor); VIRTQ_EPEER. Owner's thread, rings may run in what stays.
 */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_vhost_user_frontend_set_memory(
    struct virtq_vhost_user_frontend *frontend, const struct virtq_vhost_user_share *shares,
    unsigned count);

/** @brief Gives the back-end more memory.
 * @param frontend a front-end with VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS
 * @param share    read during the call only
 * @return 0; VIRTQ_EINVAL, VIRTQ_ENOTSUP (no slots, or refused), VIRTQ_ENOMEM (all slots taken, or
 * no descriptor): nothing changed; VIRTQ_EPEER. Owner's thread, rings may run. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_vhost_user_frontend_add_memory(
    struct virtq_vhost_user_frontend *frontend, const struct virtq_vhost_user_share *share);

/** @brief Takes memory back that was given.
 * @param frontend a front-end with VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS
 * @param share    as it was given; no ring and no buffer lies in it any more
 * @return 0; VIRTQ_EINVAL, VIRTQ_ENOTSUP (no slots, or refused): nothing changed; VIRTQ_EPEER.
 * Owner's thread, rings may run. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_vhost_user_frontend_remove_memory(
    struct virtq_vhost_user_frontend *frontend, const struct virtq_vhost_user_share *share);

/** @brief Reads the configuration space.
 * @param frontend a front-end with VHOST_USER_PROTOCOL_F_CONFIG
 * @param offset   first byte
 * @param data     result; untouched on an error
 * @param len      bytes, 1 to #VIRTQ_VHOST_USER_CONFIG_MAX
 * @return 0; VIRTQ_EINVAL, VIRTQ_ENOTSUP (not negotiated, or the device has none there);
 * VIRTQ_EPEER. Owner's thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_vhost_user_frontend_read_config(
    struct virtq_vhost_user_frontend *frontend, uint32_t offset, void *data, uint32_t len);

/** @brief Writes the configuration space, as the driver.
 * @param frontend a front-end with VHOST_USER_PROTOCOL_F_CONFIG
 * @param offset   first byte
 * @param data     read during the call only
 * @param len      bytes, 1 to #VIRTQ_VHOST_USER_CONFIG_MAX
 * @return 0; VIRTQ_EINVAL, VIRTQ_ENOTSUP (not negotiated, or refused); VIRTQ_EPEER. Owner's thread.
 */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_vhost_user_frontend_write_config(
    struct virtq_vhost_user_frontend *frontend, uint32_t offset, const void *data, uint32_t len);

/** @brief Has the device be as new: all rings are stopped.
 * @param frontend a front-end with VHOST_USER_PROTOCOL_F_RESET_DEVICE or
 * VHOST_USER_PROTOCOL_F_STATUS
 * @return 0; VIRTQ_ENOTSUP (neither, or refused); VIRTQ_EPEER. Owner's thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_vhost_user_frontend_reset(
    struct virtq_vhost_user_frontend *frontend);

/** @brief Writes the device's status, other than 0. A back-end that hears of it may serve no ring
 * before it is told of a driver that is ready: 15, once all rings have been started.
 * @param frontend a front-end with VHOST_USER_PROTOCOL_F_STATUS
 * @param status   1 to 255
 * @return 0; VIRTQ_EINVAL, VIRTQ_ENOTSUP; VIRTQ_EPEER. Owner's thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_vhost_user_frontend_set_status(
    struct virtq_vhost_user_frontend *frontend, uint32_t status);

/** @brief Says that the driver is ready, once all rings are started: the status 15 where the
 * back-end hears of it. Where it does not there is nothing to say.
 * @param frontend a front-end
 * @return 0; VIRTQ_ENOTSUP (refused); VIRTQ_EPEER. Owner's thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_vhost_user_frontend_ready(
    struct virtq_vhost_user_frontend *frontend);

/** @brief Reads the device's status.
 * @param frontend a front-end with VHOST_USER_PROTOCOL_F_STATUS
 * @return 0 to 255; VIRTQ_ENOTSUP; VIRTQ_EPEER. Owner's thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_vhost_user_frontend_status(
    struct virtq_vhost_user_frontend *frontend);

/** @brief Gives memory in which the back-end marks the pages that it writes, once #VHOST_F_LOG_ALL
 * is accepted.
 * @param frontend a front-end with VHOST_USER_PROTOCOL_F_LOG_SHMFD
 * @param fd       the log's file; the caller's
 * @param size     bytes of the log, at least 1
 * @param offset   where it begins in its file
 * @return 0; VIRTQ_EINVAL, VIRTQ_ENOTSUP, VIRTQ_ENOMEM (no descriptor); VIRTQ_EPEER. Owner's
 * thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_vhost_user_frontend_set_log(
    struct virtq_vhost_user_frontend *frontend, int fd, uint64_t size, uint64_t offset);

/** @brief Asks the back-end for memory for its records of buffers in flight, to be given to its
 * successor if it dies.
 * @param frontend    a front-end with VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD
 * @param queue_count rings
 * @param queue_size  descriptors of each
 * @param inflight    result: what virtq_vhost_user_frontend_set_inflight() needs
 * @param fd          result: its file, the caller's from now on
 * @return 0; VIRTQ_ENOTSUP; VIRTQ_EPEER. On an error both are untouched. Owner's thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_vhost_user_frontend_get_inflight(
    struct virtq_vhost_user_frontend *frontend, uint16_t queue_count, uint16_t queue_size,
    struct virtq_vhost_user_inflight *inflight, int *fd);

/** @brief Gives a back-end memory for its records: those of its predecessor.
 * @param frontend a front-end with VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD, before the rings start
 * @param inflight as it was got
 * @param fd       its file; the caller's
 * @return 0; VIRTQ_ENOTSUP, VIRTQ_ENOMEM (no descriptor); VIRTQ_EPEER. Owner's thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_vhost_user_frontend_set_inflight(
    struct virtq_vhost_user_frontend *frontend, const struct virtq_vhost_user_inflight *inflight,
    int fd);

/** @brief Starts and enables a ring.
 * @param frontend a front-end with features accepted and memory given
 * @param index    the ring's, below virtq_vhost_user_frontend_config::queue_count
 * @param ring     read during the call only
 * @return 0; VIRTQ_EINVAL, VIRTQ_EBUSY (it runs): nothing changed; VIRTQ_ENOTSUP (refused),
 * VIRTQ_ENOMEM (no descriptor): it does not run; VIRTQ_EPEER. Owner's thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_vhost_user_frontend_start(
    struct virtq_vhost_user_frontend *frontend, uint32_t index,
    const struct virtq_vhost_user_ring *ring);

/** @brief Lets a ring have effects, or not.
 * @param frontend a front-end whose back-end offered #VHOST_USER_F_PROTOCOL_FEATURES
 * @param index    a ring that runs
 * @param enable   1 or 0
 * @return 0; VIRTQ_EINVAL (it does not run), VIRTQ_ENOTSUP; VIRTQ_EPEER. Owner's thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_vhost_user_frontend_enable(
    struct virtq_vhost_user_frontend *frontend, uint32_t index, int enable);

/** @brief Stops a ring. Once this returns 0 the back-end says that it uses it no more; buffers that
 * it has used since can be polled, and a queue with none outstanding can be saved and started
 * again.
 *
 * Some back-ends tell of a packed ring only where they take buffers; where they put used ones is
 * then taken to be the same place.
 * @param frontend a front-end
 * @param index    a ring that runs
 * @param base     result, if not NULL: where it stands, see virtq_state_from_base(); a legal one
 * @return 0; VIRTQ_EINVAL (it does not run); VIRTQ_EPEER. Owner's thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_vhost_user_frontend_stop(
    struct virtq_vhost_user_frontend *frontend, uint32_t index, uint32_t *base);

/** @brief Notifies the device: what virtq_driver_needs_notify() asks for.
 * @param frontend a front-end
 * @param index    a ring. Any thread. */
VIRTQ_API void virtq_vhost_user_frontend_kick(struct virtq_vhost_user_frontend *frontend,
                                              uint32_t index);

/** @brief Where the device's notifications come.
 * @param frontend a front-end
 * @param index    a ring
 * @return a descriptor, the front-end's own, the same until it ends; -1: no such ring. Any thread.
 */
VIRTQ_API int virtq_vhost_user_frontend_call_fd(const struct virtq_vhost_user_frontend *frontend,
                                                uint32_t index);

/** @brief Takes the device's notifications: virtq_vhost_user_frontend_call_fd() can be waited for
 * again.
 * @param frontend a front-end
 * @param index    a ring
 * @return 1: there was one; 0: there was none. Any thread. */
VIRTQ_API int virtq_vhost_user_frontend_called(const struct virtq_vhost_user_frontend *frontend,
                                               uint32_t index);

/** @brief Sleeps until the device notifies of one of some rings, which this takes, or the back-end
 * asks something, which this answers.
 *
 * Before it, virtq_driver_enable_notify() has to say that nothing came; behind it each of the rings
 * may have something.
 * @param frontend     a front-end
 * @param first        the first ring
 * @param count        how many, from there on; at least 1
 * @param milliseconds how long, UINT32_MAX: for ever
 * @return 1: look at the rings, which may be in vain; 0: so much time has passed; VIRTQ_EINVAL (no
 * such rings); VIRTQ_EPEER: the connection is over, and what the device has used before can still
 * be polled. Owner's thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_vhost_user_frontend_wait(
    struct virtq_vhost_user_frontend *frontend, uint32_t first, uint32_t count,
    uint32_t milliseconds);

/** @brief Says what device addresses lead to, in place of
 * virtq_vhost_user_frontend_config::domain. What the back-end knows of the one before is not
 * withdrawn: unmap it first.
 * @param frontend a front-end
 * @param domain   as in the configuration; or NULL. Owner's thread. */
VIRTQ_API void virtq_vhost_user_frontend_set_domain(struct virtq_vhost_user_frontend *frontend,
                                                    struct virtq_domain *domain);

/** @brief Tells the back-end of a translation before it asks. Returns when it has it, if it can say
 * so (VHOST_USER_PROTOCOL_F_REPLY_ACK).
 * @param frontend a front-end with VIRTIO_F_ACCESS_PLATFORM accepted
 * @param region   inside memory that was given; read during the call only
 * @return 0; VIRTQ_EINVAL (not a legal region), VIRTQ_ENOTSUP (not accepted, or refused);
 * VIRTQ_EPEER. Owner's thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_vhost_user_frontend_update(
    struct virtq_vhost_user_frontend *frontend, const struct virtq_region *region);

/** @brief Withdraws translations, and returns when the back-end has said that it uses them no more.
 * @param frontend a front-end with VIRTIO_F_ACCESS_PLATFORM accepted
 * @param first    first device address
 * @param last     last device address, inclusive
 * @return 0; VIRTQ_EINVAL (inverted), VIRTQ_ENOTSUP (not accepted); VIRTQ_EPEER: also if the
 * back-end refuses, for then nobody knows what it uses. Owner's thread. */
VIRTQ_API VIRTQ_MUST_CHECK int virtq_vhost_user_frontend_invalidate(
    struct virtq_vhost_user_frontend *frontend, virtq_addr_t first, virtq_addr_t last);

VIRTQ_END_DECLS

#endif
