/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "vhost_user_backend_private.h"
#include "vhost_user_eventfd.h"
#include "virtq/feature.h"

void virtq_priv_vring_config(struct virtq_space *space, uint64_t features, uint32_t size,
                             uint32_t table_max, struct virtq_device_config *config)
{
    *config = (struct virtq_device_config)VIRTQ_DEVICE_CONFIG_INIT;
    config->format = virtq_feature_has(features, VIRTIO_F_RING_PACKED)
                         ? (uint32_t)VIRTQ_FORMAT_PACKED
                         : (uint32_t)VIRTQ_FORMAT_SPLIT;
    config->size = size;
    config->features = features & ~(VIRTQ_FEATURE(VHOST_USER_F_PROTOCOL_FEATURES) |
                                    VIRTQ_FEATURE(VHOST_F_LOG_ALL));
    config->flags = VIRTQ_DEVICE_RING_TRANSLATED;
    config->table_max = table_max;
    config->space = space;
}

/* A split ring's base says nothing of the used index: that is the ring's own (see
 * virtq_state_from_base()). The driver wrote it, so it is judged with the rest of the state. */
static int used_index(const struct virtq_vhost_user_backend *backend, struct virtq_space *space,
                      virtq_addr_t used, uint16_t *index)
{
    unsigned char bytes[2];
    uint32_t i;

    for (i = 0; i < 2; i++) {
        void *byte;
        /* The used area is the device's to write; whether it may read there nobody promised. */
        const int64_t got =
            virtq_space_translate(space, used + 2 + i, 1, VIRTQ_PERMISSION_WRITE, &byte);

        if (got != 1) {
            return got == VIRTQ_EMISS ? VIRTQ_EMISS : VIRTQ_EFAULT;
        }
        bytes[i] = __atomic_load_n((unsigned char *)byte, __ATOMIC_RELAXED);
    }
    if (virtq_feature_has(backend->features, VIRTIO_F_VERSION_1)) {
        *index = (uint16_t)(bytes[0] | bytes[1] << 8);
    } else {
        memcpy(index, bytes, sizeof(*index));
    }
    return VIRTQ_OK;
}

/* Where the ring lies: for the IOMMU as it was said, else the front-end's own addresses of it. */
static bool ring_addresses(const struct virtq_vhost_user_backend *backend,
                           const struct virtq_priv_vring *vring, struct virtq_area_addresses *at)
{
    if (vring->translated) {
        at->descriptor = vring->addr.descriptor;
        at->driver = vring->addr.available;
        at->device = vring->addr.used;
        return true;
    }
    return virtq_priv_mapped_find(&backend->mapped, vring->addr.descriptor, &at->descriptor) &&
           virtq_priv_mapped_find(&backend->mapped, vring->addr.available, &at->driver) &&
           virtq_priv_mapped_find(&backend->mapped, vring->addr.used, &at->device);
}

/* All that is missing of a ring is asked for at once. A packed one is read and written where its
 * descriptors are, and its other two areas have 4 bytes. */
static void want_ring(struct virtq_vhost_user_backend *backend,
                      const struct virtq_device_config *config)
{
    const bool packed = config->format == (uint32_t)VIRTQ_FORMAT_PACKED;
    const uint64_t size = config->size;
    const uint32_t ring =
        (uint32_t)VIRTQ_PERMISSION_READ | (packed ? (uint32_t)VIRTQ_PERMISSION_WRITE : 0u);

    virtq_priv_tlb_want(&backend->tlb, config->addresses.descriptor, size * 16, ring);
    virtq_priv_tlb_want(&backend->tlb, config->addresses.driver, packed ? 4 : size * 2 + 6,
                        VIRTQ_PERMISSION_READ);
    virtq_priv_tlb_want(&backend->tlb, config->addresses.device, packed ? 4 : size * 8 + 6,
                        VIRTQ_PERMISSION_WRITE);
}

/* Some front-ends (DPDK) say of a packed ring only where the driver stands, and 0 for the device.
 * That could be said in earnest of a device that has buffers in flight; but a ring that stops has
 * none. */
static uint32_t whole_base(const struct virtq_device_config *config, uint32_t base)
{
    return config->format == (uint32_t)VIRTQ_FORMAT_PACKED && base <= UINT16_MAX ? base << 16 | base
                                                                                 : base;
}

/* Makes the queue, and brings it to where the base says. */
static int make_queue(struct virtq_vhost_user_backend *backend, struct virtq_priv_vring *vring)
{
    struct virtq_space *space =
        vring->translated ? &backend->tlb.device.space : &backend->mapped.direct.space;
    struct virtq_device_config config;
    struct virtq_state state;
    int error;

    virtq_priv_vring_config(space, backend->features, vring->size, backend->table_max, &config);
    if (!ring_addresses(backend, vring, &config.addresses)) {
        return VIRTQ_EFAULT;
    }
    error = virtq_state_from_base((enum virtq_format)config.format, vring->size,
                                  whole_base(&config, vring->base), &state);
    if (error == VIRTQ_OK) {
        error = virtq_device_init(vring->memory, backend->vring_memory_size, &config,
                                  &vring->device, NULL);
    }
    if (error == VIRTQ_OK && config.format == (uint32_t)VIRTQ_FORMAT_SPLIT) {
        error = used_index(backend, space, config.addresses.device, &state.used);
    }
    if (error == VIRTQ_OK) {
        error = virtq_priv_inflight_start(&vring->inflight, &backend->inflight,
                                          (uint32_t)(vring - backend->vrings), vring->device,
                                          backend->features, &state);
    }
    if (error == VIRTQ_OK) {
        error = virtq_device_restore(vring->device, &state);
    }
    if (error != VIRTQ_OK) {
        vring->device = NULL;
    }
    if (error == VIRTQ_EMISS) {
        want_ring(backend, &config);
    }
    return error;
}

uint32_t virtq_priv_vring_start(struct virtq_vhost_user_backend *backend, uint32_t index)
{
    struct virtq_priv_vring *vring = &backend->vrings[index];
    int error;

    /* By what was accepted, not by what was offered: a front-end without an IOMMU takes it back. */
    vring->translated = virtq_feature_has(backend->features, VIRTIO_F_ACCESS_PLATFORM);
    vring->starting = false;
    vring->owes = false;
    vring->told = 0;
    vring->waits = 0;
    vring->seen = backend->tlb.updates;
    error = make_queue(backend, vring);
    if (error == VIRTQ_EMISS) {
        vring->starting = true;
        vring->waits = 1;
        return VIRTQ_VHOST_USER_ACCEPTED;
    }
    if (error == VIRTQ_EFAULT || error == VIRTQ_EPERM) {
        return VIRTQ_VHOST_USER_REFUSED_PLACE;
    }
    if (error != VIRTQ_OK ||
        virtq_guard_join(vring->translated ? &backend->tlb.guard : &backend->mapped.guard,
                         &vring->user) != VIRTQ_OK) {
        vring->device = NULL;
        return VIRTQ_VHOST_USER_REFUSED_RING;
    }
    /* With protocol features a ring waits for VHOST_USER_SET_VRING_ENABLE. */
    if (!virtq_feature_has(backend->features, VHOST_USER_F_PROTOCOL_FEATURES)) {
        __atomic_store_n(&vring->enabled, 1u, __ATOMIC_RELEASE);
    }
    if (backend->ops.started != NULL && backend->ops.started(backend->opaque, index) != 0) {
        virtq_guard_part(&vring->user);
        vring->device = NULL;
        return VIRTQ_VHOST_USER_REFUSED_DEVICE;
    }
    if (vring->inflight.region.split != NULL) {
        /* The crash may have come between a used index and its notification. */
        virtq_priv_vring_signal(&vring->call);
    }
    return VIRTQ_VHOST_USER_ACCEPTED;
}

/* Where the queue stands. One that the driver has broken stands nowhere: it is given the base that
 * it had, for only a reset can help. */
static bool save_base(struct virtq_priv_vring *vring)
{
    struct virtq_fault fault;
    struct virtq_state state;

    virtq_device_fault(vring->device, &fault);
    if (fault.reason != (uint32_t)VIRTQ_REASON_NONE) {
        return true;
    }
    if (virtq_device_save(vring->device, &state) != VIRTQ_OK) {
        return false;
    }
    vring->base = virtq_state_to_base(&state);
    return true;
}

/* Of a ring that was unmapped while it ran: what the driver could not be shown is lost to it, but
 * where to go on the queue knows without the ring. */
static void stand_base(struct virtq_priv_vring *vring)
{
    struct virtq_state state;

    virtq_device_position(vring->device, &state);
    vring->base = virtq_state_to_base(&state);
}

/* When nothing runs any more nobody tells us of invalidations. */
static void drop_translations(struct virtq_vhost_user_backend *backend)
{
    if (!virtq_priv_backend_runs(backend)) {
        virtq_priv_tlb_flush(&backend->tlb);
    }
}

bool virtq_priv_vring_stop(struct virtq_vhost_user_backend *backend, uint32_t index)
{
    struct virtq_priv_vring *vring = &backend->vrings[index];
    bool saved;

    if (vring->starting) {
        vring->starting = false;
        (void)virtq_priv_vring_set_kick(backend, index, -1);
        drop_translations(backend);
        return true;
    }
    if (vring->device == NULL) {
        return true;
    }
    if (backend->ops.stopping != NULL) {
        backend->ops.stopping(backend->opaque, index);
    }
    virtq_vhost_user_vring_enter(backend, index);
    (void)virtq_device_quiesce(vring->device);
    if (virtq_vhost_user_vring_publish(backend, index) > 0) {
        (void)virtq_vhost_user_vring_notify(backend, index);
    }
    saved = save_base(vring);
    virtq_vhost_user_vring_leave(backend, index);
    if (!saved && vring->owes) {
        stand_base(vring);
        saved = true;
    }
    virtq_guard_part(&vring->user);
    vring->device = NULL;
    if (!virtq_feature_has(backend->features, VHOST_USER_F_PROTOCOL_FEATURES)) {
        /* Nobody enabled it but virtq_priv_vring_start(). */
        __atomic_store_n(&vring->enabled, 0u, __ATOMIC_RELEASE);
    }
    (void)virtq_priv_vring_set_kick(backend, index, -1);
    drop_translations(backend);
    virtq_priv_mapped_reclaim(&backend->mapped);
    return saved;
}

void virtq_priv_backend_settle(struct virtq_vhost_user_backend *backend)
{
    virtq_space_invalidated(&backend->mapped.direct.space);
    if (virtq_priv_tlb_exists(&backend->tlb)) {
        virtq_space_invalidated(&backend->tlb.device.space);
    }
}

void virtq_priv_vring_replace(struct virtq_vhost_user_backend *backend, int *place, int fd)
{
    const int old = *place;

    __atomic_store_n(place, fd, __ATOMIC_RELEASE);
    if (old >= 0) {
        /* No worker writes to it any more once every burst that saw it has ended. */
        virtq_priv_backend_settle(backend);
        (void)close(old);
    }
}

uint32_t virtq_priv_vring_judge_fd(int fd)
{
    return fd < 0 || virtq_priv_eventfd_accept(fd) ? VIRTQ_VHOST_USER_ACCEPTED
                                                   : VIRTQ_VHOST_USER_REFUSED_VALUE;
}

uint32_t virtq_priv_vring_set_kick(struct virtq_vhost_user_backend *backend, uint32_t index, int fd)
{
    struct virtq_priv_vring *vring = &backend->vrings[index];
    struct epoll_event event = {.events = EPOLLIN, .data = {.u32 = index}};
    const bool watch = fd >= 0 && backend->ops.serve != NULL;

    if (virtq_priv_vring_judge_fd(fd) != VIRTQ_VHOST_USER_ACCEPTED) {
        return VIRTQ_VHOST_USER_REFUSED_VALUE;
    }
    if (watch && epoll_ctl(backend->epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
        return VIRTQ_VHOST_USER_REFUSED_VALUE;
    }
    if (vring->watched) {
        (void)epoll_ctl(backend->epoll, EPOLL_CTL_DEL, vring->kick, &event);
    }
    vring->watched = watch;
    virtq_priv_vring_replace(backend, &vring->kick, fd);
    return VIRTQ_VHOST_USER_ACCEPTED;
}

void virtq_priv_vring_serve(struct virtq_vhost_user_backend *backend, uint32_t index)
{
    struct virtq_priv_vring *vring = &backend->vrings[index];

    if (vring->device == NULL) {
        return;
    }
    if (backend->ops.serve == NULL && backend->ops.wake != NULL) {
        backend->ops.wake(backend->opaque, index);
    } else if (vring->enabled != 0 && backend->ops.serve != NULL) {
        vring->inside = true;
        backend->ops.serve(backend->opaque, index);
        vring->inside = false;
    }
}

void virtq_priv_vring_kicked(struct virtq_vhost_user_backend *backend, uint32_t index)
{
    struct virtq_priv_vring *vring = &backend->vrings[index];
    struct epoll_event event = {.events = 0, .data = {.u32 = index}};

    if (!vring->watched) {
        return;
    }
    if (virtq_priv_eventfd_take(vring->kick) < 0) {
        /* Nothing will ever come of it but readiness, again and again. */
        (void)epoll_ctl(backend->epoll, EPOLL_CTL_DEL, vring->kick, &event);
        vring->watched = false;
    }
    virtq_priv_vring_serve(backend, index);
}

VIRTQ_API struct virtq_device *virtq_vhost_user_vring_device(
    const struct virtq_vhost_user_backend *backend, uint32_t index)
{
    const struct virtq_priv_vring *vring =
        index < backend->queue_count ? &backend->vrings[index] : NULL;

    return vring != NULL ? vring->device : NULL;
}

VIRTQ_API int virtq_vhost_user_vring_enabled(const struct virtq_vhost_user_backend *backend,
                                             uint32_t index)
{
    return index < backend->queue_count &&
           __atomic_load_n(&backend->vrings[index].enabled, __ATOMIC_ACQUIRE) != 0;
}

VIRTQ_API void virtq_vhost_user_vring_enter(struct virtq_vhost_user_backend *backend,
                                            uint32_t index)
{
    virtq_guard_enter(&backend->vrings[index].user);
    virtq_priv_vring_began(backend, index);
}

VIRTQ_API void virtq_vhost_user_vring_leave(struct virtq_vhost_user_backend *backend,
                                            uint32_t index)
{
    struct virtq_priv_vring *vring = &backend->vrings[index];
    const struct virtq_priv_log_area *log = virtq_priv_log_active(&backend->log);

    if (log != NULL) {
        virtq_priv_log_event(log, &vring->log, vring->device);
    }
    virtq_guard_leave(&vring->user, virtq_device_outstanding(vring->device),
                      virtq_device_stale(vring->device));
    virtq_priv_vring_ended(backend, index);
}

void virtq_priv_vring_signal(const int *place)
{
    const int fd = __atomic_load_n(place, __ATOMIC_ACQUIRE);

    if (fd >= 0) {
        virtq_priv_eventfd_raise(fd);
    }
}

VIRTQ_API int virtq_vhost_user_vring_notify(struct virtq_vhost_user_backend *backend,
                                            uint32_t index)
{
    struct virtq_priv_vring *vring = &backend->vrings[index];
    const int wanted = virtq_device_needs_notify(vring->device);

    if (wanted == 1) {
        virtq_priv_vring_signal(&vring->call);
    }
    return wanted;
}

VIRTQ_API void virtq_vhost_user_vring_error(struct virtq_vhost_user_backend *backend,
                                            uint32_t index)
{
    struct virtq_priv_vring *vring = &backend->vrings[index];

    /* Once: the same descriptor may be the ring's kick, and each look would ask for the next. */
    if (__atomic_load_n(&vring->err, __ATOMIC_RELAXED) >= 0 &&
        __atomic_exchange_n(&vring->told, 1u, __ATOMIC_RELAXED) == 0) {
        virtq_priv_vring_signal(&vring->err);
    }
}

VIRTQ_API int virtq_vhost_user_vring_kick_fd(const struct virtq_vhost_user_backend *backend,
                                             uint32_t index)
{
    return __atomic_load_n(&backend->vrings[index].kick, __ATOMIC_ACQUIRE);
}

VIRTQ_API int virtq_vhost_user_vring_take_kick(struct virtq_vhost_user_backend *backend,
                                               uint32_t index)
{
    struct virtq_priv_vring *vring = &backend->vrings[index];
    int taken = 0;
    int kick;

    /* As in a burst: who replaces the descriptor waits before the old one is closed. */
    virtq_guard_enter(&vring->user);
    kick = __atomic_load_n(&vring->kick, __ATOMIC_ACQUIRE);
    if (kick >= 0) {
        taken = virtq_priv_eventfd_take(kick);
    }
    virtq_guard_leave(&vring->user, virtq_device_outstanding(vring->device),
                      virtq_device_stale(vring->device));
    return taken < 0 ? VIRTQ_EPEER : taken;
}
