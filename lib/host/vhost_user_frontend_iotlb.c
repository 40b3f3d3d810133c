/* SPDX-License-Identifier: BSD-3-Clause */
/* Translations: told, withdrawn, and asked for by the back-end. */
#include "vhost_user_frontend_private.h"
#include "virtq/feature.h"

enum { BOTH = VIRTQ_PERMISSION_READ | VIRTQ_PERMISSION_WRITE };

typedef struct virtq_vhost_user_frontend frontend_type;

static bool translates(const frontend_type *frontend)
{
    return virtq_feature_has(frontend->features, VIRTIO_F_ACCESS_PLATFORM) != 0;
}

static struct virtq_vhost_user_iotlb update_of(virtq_addr_t first, virtq_addr_t last,
                                               const void *base, uint32_t permissions)
{
    return (struct virtq_vhost_user_iotlb){.iova = first,
                                           .size = last - first + 1,
                                           .user_address = (uint64_t)(uintptr_t)base,
                                           .permissions = (uint8_t)permissions,
                                           .type = VHOST_USER_IOTLB_UPDATE};
}

static int tell(frontend_type *frontend, const struct virtq_vhost_user_iotlb *iotlb)
{
    const struct virtq_priv_question question = {
        .request = VHOST_USER_IOTLB_MSG, .size = sizeof(*iotlb), .payload = iotlb};

    return virtq_priv_frontend_tell(frontend, &question);
}

VIRTQ_API int virtq_vhost_user_frontend_update(frontend_type *frontend,
                                               const struct virtq_region *region)
{
    struct virtq_vhost_user_iotlb iotlb;

    /* All of 2^64 has no size that could be said; nor has a program so much memory. */
    if (region->first > region->last || region->last - region->first >= UINTPTR_MAX ||
        region->last - region->first > UINTPTR_MAX - (uintptr_t)region->base ||
        region->permissions == 0 || (region->permissions & ~(uint32_t)BOTH) != 0) {
        return VIRTQ_EINVAL;
    }
    if (!translates(frontend)) {
        return VIRTQ_ENOTSUP;
    }
    iotlb = update_of(region->first, region->last, region->base, region->permissions);
    return tell(frontend, &iotlb);
}

/* One range that has a size. Without REPLY_ACK a question behind it does: when that is answered
 * the invalidation has been read. */
static int withdraw(frontend_type *frontend, virtq_addr_t first, virtq_addr_t last)
{
    const struct virtq_vhost_user_iotlb iotlb = {
        .iova = first, .size = last - first + 1, .type = VHOST_USER_IOTLB_INVALIDATE};
    uint64_t ignored;
    int error = tell(frontend, &iotlb);

    if (error == VIRTQ_OK &&
        !virtq_feature_has(frontend->protocol, VHOST_USER_PROTOCOL_F_REPLY_ACK)) {
        error = virtq_priv_frontend_number(frontend, VHOST_USER_GET_FEATURES, &ignored);
    }
    return error == VIRTQ_OK ? error
                             : virtq_priv_frontend_end(frontend, VIRTQ_VHOST_USER_REFUSED_DEVICE);
}

VIRTQ_API int virtq_vhost_user_frontend_invalidate(frontend_type *frontend, virtq_addr_t first,
                                                   virtq_addr_t last)
{
    int error = VIRTQ_OK;

    if (first > last) {
        return VIRTQ_EINVAL;
    }
    if (!translates(frontend)) {
        return VIRTQ_ENOTSUP;
    }
    if (last - first == UINT64_MAX) {
        error = withdraw(frontend, first, last / 2);
        first = last / 2 + 1;
    }
    return error == VIRTQ_OK ? withdraw(frontend, first, last) : error;
}

void virtq_priv_frontend_unmapped(struct virtq_domain_listener *listener,
                                  const struct virtq_region *ranges, unsigned count)
{
    frontend_type *frontend =
        (frontend_type *)(void *)((char *)listener - offsetof(frontend_type, listener));
    int error = translates(frontend) ? VIRTQ_OK : VIRTQ_ENOTSUP;
    unsigned i;

    /* A back-end that fails here is cut off: process says so. */
    for (i = 0; i < count && error == VIRTQ_OK; i++) {
        error = virtq_vhost_user_frontend_invalidate(frontend, ranges[i].first, ranges[i].last);
    }
}

void virtq_priv_frontend_unmapped_one(struct virtq_domain_listener *listener, virtq_addr_t first,
                                      virtq_addr_t last)
{
    const struct virtq_region range = {.first = first, .last = last};

    virtq_priv_frontend_unmapped(listener, &range, 1);
}

VIRTQ_API void virtq_vhost_user_frontend_set_domain(frontend_type *frontend,
                                                    struct virtq_domain *domain)
{
    if (frontend->domain != NULL) {
        virtq_domain_unlisten(frontend->domain, &frontend->listener);
    }
    frontend->domain = domain;
    if (domain != NULL) {
        frontend->listener = (struct virtq_domain_listener){0};
        frontend->listener.invalidate = virtq_priv_frontend_unmapped_one;
        frontend->listener.invalidate_list = virtq_priv_frontend_unmapped;
        virtq_domain_listen(domain, &frontend->listener);
    }
}

/* What is behind an address, in a window that holds it; false: nothing. */
static bool find(frontend_type *frontend, const struct virtq_miss *miss,
                 struct virtq_window *window)
{
    int error = VIRTQ_EFAULT;

    if (frontend->ops.miss != NULL) {
        error = frontend->ops.miss(frontend->opaque, miss, window);
    } else if (frontend->domain != NULL) {
        error = virtq_domain_translation(frontend->domain, miss->addr, miss->permissions, window);
    }
    return error == VIRTQ_OK && window->first <= miss->addr && miss->addr <= window->last &&
           window->last - window->first != UINT64_MAX &&
           (window->permissions & miss->permissions) == miss->permissions;
}

/* Answers a miss with an update, on our own channel: 0, or an enum virtq_vhost_user_refusal. */
static uint32_t serve_miss(frontend_type *frontend, const struct virtq_vhost_user_iotlb *iotlb)
{
    const struct virtq_vhost_user_header header = {VHOST_USER_IOTLB_MSG, VHOST_USER_VERSION,
                                                   sizeof(*iotlb)};
    const struct virtq_miss miss = {
        .addr = iotlb->iova, .len = iotlb->size, .permissions = iotlb->permissions};
    struct virtq_window window = {0};
    struct virtq_vhost_user_iotlb update;

    if (iotlb->type != VHOST_USER_IOTLB_MISS || iotlb->permissions == 0 ||
        (iotlb->permissions & ~(uint32_t)BOTH) != 0) {
        return VIRTQ_VHOST_USER_REFUSED_VALUE;
    }
    if (!translates(frontend)) {
        return VIRTQ_VHOST_USER_REFUSED_FEATURES;
    }
    if (!find(frontend, &miss, &window)) {
        return VIRTQ_VHOST_USER_REFUSED_MEMORY;
    }
    update = update_of(window.first, window.last, window.base, window.permissions);
    return virtq_vhost_user_channel_send(&frontend->channel, &header, &update, NULL, 0) == VIRTQ_OK
               ? VIRTQ_VHOST_USER_ACCEPTED
               : VIRTQ_VHOST_USER_REFUSED_SHORT;
}

/* A request of a known form: 0, or an enum virtq_vhost_user_refusal. */
static uint32_t serve(frontend_type *frontend, const struct virtq_vhost_user_message *message)
{
    if ((message->header.flags & VHOST_USER_REPLY) != 0) {
        return VIRTQ_VHOST_USER_REFUSED_FLAGS;
    }
    if (message->fd_count != 0) {
        return VIRTQ_VHOST_USER_REFUSED_FDS;
    }
    switch (message->header.request) {
    case VHOST_USER_BACKEND_IOTLB_MSG:
        return message->header.size == sizeof(struct virtq_vhost_user_iotlb)
                   ? serve_miss(frontend, &message->payload.iotlb)
                   : VIRTQ_VHOST_USER_REFUSED_SIZE;
    case VHOST_USER_BACKEND_CONFIG_CHANGE:
        if (message->header.size != 0) {
            return VIRTQ_VHOST_USER_REFUSED_SIZE;
        }
        if (frontend->ops.config_changed != NULL) {
            frontend->ops.config_changed(frontend->opaque);
        }
        return VIRTQ_VHOST_USER_ACCEPTED;
    default:
        return VIRTQ_VHOST_USER_REFUSED_REQUEST;
    }
}

int virtq_priv_frontend_serve(frontend_type *frontend)
{
    struct virtq_vhost_user_header header = {0, VHOST_USER_VERSION | VHOST_USER_REPLY, 8};
    struct virtq_vhost_user_message *message = NULL;
    uint64_t result;
    int got;

    if (frontend->requests.socket < 0) {
        return 0;
    }
    got = virtq_vhost_user_channel_flush(&frontend->requests);
    if (got == 1) {
        got = virtq_vhost_user_channel_receive(&frontend->requests, &message);
    }
    if (got < 0 && virtq_vhost_user_channel_refusal(&frontend->requests) == 0) {
        virtq_vhost_user_channel_fini(&frontend->requests); /* It has no more to ask. */
        return 0;
    }
    if (got <= 0 || message == NULL) {
        return got >= 0 ? 0
                        : virtq_priv_frontend_end(
                              frontend, virtq_vhost_user_channel_refusal(&frontend->requests));
    }
    result = serve(frontend, message);
    if (result != VIRTQ_VHOST_USER_ACCEPTED) {
        frontend->refusal = (uint32_t)result;
    }
    if ((message->header.flags & VHOST_USER_NEED_REPLY) != 0) {
        header.request = message->header.request;
        result = result == VIRTQ_VHOST_USER_ACCEPTED ? 0 : 1;
        if (virtq_vhost_user_channel_send(&frontend->requests, &header, &result, NULL, 0) !=
            VIRTQ_OK) {
            virtq_vhost_user_channel_fini(&frontend->requests);
        }
    }
    return 1;
}
