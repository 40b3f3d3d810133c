/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "align.h"
#include "vhost_user_backend_private.h"
#include "virtq/feature.h"

/* What one call of process does at most, and the socket's name in the set. */
enum { MESSAGES = 16, EVENTS = 32, SOCKET = -1 };

/* Translations that are kept if the caller does not say, and bounds on what he may say. */
enum { TRANSLATIONS = 2048, TRANSLATIONS_MIN = 16, TRANSLATIONS_MAX = 1 << 24 };

/* What a queue of any shape that can be negotiated needs. */
static size_t queue_memory(const struct virtq_vhost_user_backend_config *config)
{
    struct virtq_direct nowhere;
    const uint64_t packed = VIRTQ_FEATURE(VIRTIO_F_RING_PACKED);
    struct virtq_device_config queue;
    uint32_t split_size = 1;
    size_t size;
    size_t other = 0;

    if (virtq_direct_init_regions(&nowhere, NULL, 0) != VIRTQ_OK) {
        return 0;
    }
    while (split_size * 2 <= config->queue_size) {
        split_size *= 2;
    }
    virtq_priv_vring_config(&nowhere.space, config->features & ~packed, split_size,
                            config->table_max, &queue);
    size = virtq_device_size(&queue);
    if ((config->features & packed) != 0) {
        virtq_priv_vring_config(&nowhere.space, config->features, config->queue_size,
                                config->table_max, &queue);
        other = virtq_device_size(&queue);
        if (other == 0) {
            return 0;
        }
    }
    return size == 0 ? 0 : virtq_priv_align_up(size > other ? size : other);
}

static bool config_legal(const struct virtq_vhost_user_backend_config *config)
{
    const uint64_t never =
        VIRTQ_FEATURE(VHOST_USER_F_PROTOCOL_FEATURES) | VIRTQ_FEATURE(VHOST_F_LOG_ALL);
    const uint32_t known = (uint32_t)VIRTQ_VHOST_USER_STRICT | (uint32_t)VIRTQ_VHOST_USER_CATCH |
                           (uint32_t)VIRTQ_VHOST_USER_RECORDED;

    return config->struct_size == sizeof(*config) && config->queue_count != 0 &&
           config->queue_count <= VIRTQ_VHOST_USER_QUEUES_MAX && config->queue_size != 0 &&
           config->queue_size <= 32768 && config->config_size <= VIRTQ_VHOST_USER_CONFIG_MAX &&
           (config->flags & ~known) == 0 &&
           (config->window_size == 0 ||
            config->window_size - 1 <= UINT64_MAX - config->window_first) &&
           (config->features & never) == 0 &&
           (config->translations == 0 || config->translations >= TRANSLATIONS_MIN) &&
           config->translations <= TRANSLATIONS_MAX;
}

/* How many translations are kept; 0: there is no IOMMU. */
static unsigned translations(const struct virtq_vhost_user_backend_config *config)
{
    if (!virtq_feature_has(config->features, VIRTIO_F_ACCESS_PLATFORM)) {
        return 0;
    }
    return config->translations != 0 ? config->translations : TRANSLATIONS;
}

/* Bytes of one ring: its queue, and behind it its records. */
static size_t ring_memory(const struct virtq_vhost_user_backend_config *config)
{
    const size_t queue = queue_memory(config);
    const bool recorded = (config->flags & (uint32_t)VIRTQ_VHOST_USER_RECORDED) != 0;

    return queue == 0 || !recorded
               ? queue
               : queue + virtq_priv_align_up(virtq_priv_inflight_size(config->queue_size));
}

VIRTQ_API size_t virtq_vhost_user_backend_size(const struct virtq_vhost_user_backend_config *config)
{
    const size_t each = config_legal(config) ? ring_memory(config) : 0;

    if (each == 0) {
        return 0;
    }
    /* A multiple of the alignment: aligned_alloc() demands it. */
    return virtq_priv_align_up(
        virtq_priv_align_up(sizeof(struct virtq_vhost_user_backend)) +
        config->queue_count * (sizeof(struct virtq_priv_vring) + each) +
        (translations(config) != 0 ? virtq_iotlb_size(translations(config)) : 0));
}

/* Puts everything into its place; nothing of it is open yet. */
static void lay_out(struct virtq_vhost_user_backend *backend,
                    const struct virtq_vhost_user_backend_config *config)
{
    unsigned char *memory = (unsigned char *)backend + virtq_priv_align_up(sizeof(*backend));
    uint32_t i;

    memset(backend, 0, sizeof(*backend));
    backend->vring_memory_size = queue_memory(config);
    backend->opaque = config->opaque;
    if (config->ops != NULL) {
        memcpy(&backend->ops, config->ops,
               config->ops->size < sizeof(backend->ops) ? config->ops->size : sizeof(backend->ops));
    }
    backend->offered = config->features | VIRTQ_FEATURE(VHOST_USER_F_PROTOCOL_FEATURES);
    backend->protocol_offered = VIRTQ_FEATURE(VHOST_USER_PROTOCOL_F_MQ) |
                                VIRTQ_FEATURE(VHOST_USER_PROTOCOL_F_REPLY_ACK) |
                                VIRTQ_FEATURE(VHOST_USER_PROTOCOL_F_RESET_DEVICE) |
                                VIRTQ_FEATURE(VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS) |
                                VIRTQ_FEATURE(VHOST_USER_PROTOCOL_F_STATUS);
    if (translations(config) != 0) {
        backend->protocol_offered |= VIRTQ_FEATURE(VHOST_USER_PROTOCOL_F_BACKEND_REQ);
    }
    if (config->config_size != 0) {
        backend->protocol_offered |= VIRTQ_FEATURE(VHOST_USER_PROTOCOL_F_CONFIG);
    }
    if ((config->flags & (uint32_t)VIRTQ_VHOST_USER_RECORDED) != 0) {
        backend->offered |= VIRTQ_FEATURE(VHOST_F_LOG_ALL);
        backend->protocol_offered |= VIRTQ_FEATURE(VHOST_USER_PROTOCOL_F_LOG_SHMFD) |
                                     VIRTQ_FEATURE(VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD);
    }
    backend->log.fd = -1;
    virtq_priv_tlb_none(&backend->tlb);
    backend->queue_count = config->queue_count;
    backend->queue_size = config->queue_size;
    backend->table_max = config->table_max;
    backend->config_size = config->config_size;
    backend->vrings = (struct virtq_priv_vring *)(void *)memory;
    memory += config->queue_count * sizeof(struct virtq_priv_vring);
    memset(backend->vrings, 0, config->queue_count * sizeof(struct virtq_priv_vring));
    for (i = 0; i < config->queue_count; i++) {
        backend->vrings[i].memory = memory + i * ring_memory(config);
        virtq_priv_inflight_init(&backend->vrings[i].inflight,
                                 memory + i * ring_memory(config) + backend->vring_memory_size,
                                 config->queue_size);
        backend->vrings[i].kick = -1;
        backend->vrings[i].call = -1;
        backend->vrings[i].err = -1;
    }
}

/* Behind everything else in the memory. */
static int make_tlb(struct virtq_vhost_user_backend *backend,
                    const struct virtq_vhost_user_backend_config *config)
{
    unsigned char *last = backend->vrings[config->queue_count - 1].memory;

    if (translations(config) == 0) {
        return VIRTQ_OK;
    }
    backend->mapped.behind = &backend->tlb.guard;
    return virtq_priv_tlb_init(&backend->tlb, translations(config), last + ring_memory(config),
                               backend->epoll);
}

VIRTQ_API int virtq_vhost_user_backend_init(void *memory, size_t size,
                                            const struct virtq_vhost_user_backend_config *config,
                                            struct virtq_vhost_user_backend **backend)
{
    struct virtq_vhost_user_backend *made = memory;
    struct epoll_event event = {.events = EPOLLIN, .data = {.fd = SOCKET}};
    const size_t needed = virtq_vhost_user_backend_size(config);
    int error = VIRTQ_OK;

    if (needed == 0 || memory == NULL || (uintptr_t)memory % VIRTQ_CACHE_LINE != 0) {
        return VIRTQ_EINVAL;
    }
    if (size < needed) {
        return VIRTQ_ENOMEM;
    }
    lay_out(made, config);
    if (virtq_priv_mapped_init(&made->mapped, config) != VIRTQ_OK) {
        return VIRTQ_EINVAL;
    }
    made->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (made->epoll < 0) {
        return VIRTQ_ENOMEM;
    }
    if (epoll_ctl(made->epoll, EPOLL_CTL_ADD, config->socket, &event) != 0) {
        (void)close(made->epoll);
        return VIRTQ_EINVAL;
    }
    if ((config->flags & (uint32_t)VIRTQ_VHOST_USER_CATCH) != 0) {
        error = virtq_priv_fault_join(&made->mapped.fault, made->epoll);
    }
    if (error == VIRTQ_OK && make_tlb(made, config) != VIRTQ_OK) {
        virtq_priv_fault_part(&made->mapped.fault);
        error = VIRTQ_ENOMEM;
    }
    if (error != VIRTQ_OK) {
        (void)close(made->epoll);
        return error;
    }
    made->events = EPOLLIN;
    virtq_vhost_user_channel_init(&made->channel, config->socket);
    *backend = made;
    return VIRTQ_OK;
}

bool virtq_priv_vring_runs(const struct virtq_priv_vring *vring)
{
    return vring->device != NULL || vring->starting;
}

bool virtq_priv_backend_runs(const struct virtq_vhost_user_backend *backend)
{
    uint32_t i;

    for (i = 0; i < backend->queue_count; i++) {
        if (virtq_priv_vring_runs(&backend->vrings[i])) {
            return true;
        }
    }
    return false;
}

void virtq_priv_backend_stop(struct virtq_vhost_user_backend *backend)
{
    uint32_t i;

    for (i = 0; i < backend->queue_count; i++) {
        (void)virtq_priv_vring_stop(backend, i);
        __atomic_store_n(&backend->vrings[i].enabled, 0u, __ATOMIC_RELEASE);
    }
}

VIRTQ_API void virtq_vhost_user_backend_fini(struct virtq_vhost_user_backend *backend)
{
    uint32_t i;

    virtq_priv_backend_stop(backend);
    for (i = 0; i < backend->queue_count; i++) {
        struct virtq_priv_vring *vring = &backend->vrings[i];

        (void)virtq_priv_vring_set_kick(backend, i, -1);
        virtq_priv_vring_replace(backend, &vring->call, -1);
        virtq_priv_vring_replace(backend, &vring->err, -1);
    }
    virtq_vhost_user_channel_fini(&backend->channel);
    virtq_priv_vring_replace(backend, &backend->log.fd, -1);
    virtq_priv_shm_unmap(&backend->log.areas[0].shm, &backend->mapped.fault);
    virtq_priv_shm_unmap(&backend->log.areas[1].shm, &backend->mapped.fault);
    virtq_priv_shm_unmap(&backend->inflight.shm, &backend->mapped.fault);
    virtq_priv_tlb_fini(&backend->tlb);
    virtq_priv_mapped_fini(&backend->mapped);
    (void)close(backend->epoll);
}

VIRTQ_API int virtq_vhost_user_backend_fd(const struct virtq_vhost_user_backend *backend)
{
    return backend->epoll;
}

/* Answers a request that was served, or tells of one that was not. */
static int answer(struct virtq_vhost_user_backend *backend,
                  struct virtq_vhost_user_message *message,
                  const struct virtq_vhost_user_header *asked, uint32_t refusal)
{
    struct virtq_vhost_user_header header = {
        asked->request, (uint32_t)VHOST_USER_VERSION | (uint32_t)VHOST_USER_REPLY, 0};
    const uint64_t result = refusal == VIRTQ_VHOST_USER_ACCEPTED ? 0 : 1;
    const void *payload = &result;
    uint32_t fds = 0;

    if (virtq_vhost_user_answered(asked->request, backend->protocol)) {
        if (refusal == VIRTQ_VHOST_USER_ACCEPTED) {
            payload = &message->payload;
            header.size = message->header.size;
            fds = asked->request == VHOST_USER_GET_INFLIGHT_FD ? message->fd_count : 0;
        } else if (asked->request != VHOST_USER_GET_CONFIG) {
            return VIRTQ_EPEER;
        } /* An empty answer says that there is none. */
    } else if ((asked->flags & VHOST_USER_NEED_REPLY) != 0 &&
               virtq_feature_has(backend->protocol, VHOST_USER_PROTOCOL_F_REPLY_ACK)) {
        header.size = sizeof(result);
    } else {
        return refusal == VIRTQ_VHOST_USER_ACCEPTED ? VIRTQ_OK : VIRTQ_EPEER;
    }
    return virtq_vhost_user_channel_send(&backend->channel, &header, payload, message->fds, fds);
}

/* Serves one message: 1; 0 if none is there; VIRTQ_EPEER. */
static int serve_message(struct virtq_vhost_user_backend *backend)
{
    struct virtq_vhost_user_message *message;
    struct virtq_vhost_user_header asked;
    uint32_t refusal;
    int got = virtq_vhost_user_channel_receive(&backend->channel, &message);

    if (got <= 0) {
        if (got < 0) {
            backend->refusal = virtq_vhost_user_channel_refusal(&backend->channel);
        }
        return got;
    }
    asked = message->header;
    refusal = virtq_priv_backend_serve(backend, message);
    if (refusal != VIRTQ_VHOST_USER_ACCEPTED) {
        backend->refusal = refusal;
        if (backend->ops.refused != NULL) {
            backend->ops.refused(backend->opaque, asked.request, refusal);
        }
    }
    return answer(backend, message, &asked, refusal) == VIRTQ_OK ? 1 : VIRTQ_EPEER;
}

/* Messages, as long as their answers go out: a front-end that does not read is not read from. */
static int serve_socket(struct virtq_vhost_user_backend *backend)
{
    struct epoll_event event = {.data = {.fd = SOCKET}};
    int flushed = virtq_vhost_user_channel_flush(&backend->channel);
    int got = 1;
    int i;

    for (i = 0; i < MESSAGES && flushed == 1 && got == 1; i++) {
        got = serve_message(backend);
        if (got == 1) {
            flushed = virtq_vhost_user_channel_flush(&backend->channel);
        }
    }
    if (flushed < 0 || got < 0) {
        return VIRTQ_EPEER;
    }
    event.events = flushed == 1 ? EPOLLIN : EPOLLOUT;
    if (event.events != backend->events) {
        backend->events = event.events;
        (void)epoll_ctl(backend->epoll, EPOLL_CTL_MOD, backend->channel.socket, &event);
    }
    return VIRTQ_OK;
}

/* Some of its memory is not what the front-end believes it is: there is no going on. */
static void break_rings(struct virtq_vhost_user_backend *backend)
{
    uint32_t i;

    backend->refusal = VIRTQ_VHOST_USER_REFUSED_SHRUNK;
    for (i = 0; i < backend->queue_count; i++) {
        if (backend->vrings[i].device != NULL) {
            virtq_vhost_user_vring_error(backend, i);
        }
    }
}

/* Some other thread has missed something: what follows the events sees to it. */
static void woken(struct virtq_vhost_user_backend *backend)
{
    uint64_t count;
    ssize_t got = read(backend->tlb.wake, &count, sizeof(count));

    (void)got;
}

VIRTQ_API int virtq_vhost_user_backend_process(struct virtq_vhost_user_backend *backend)
{
    struct epoll_event events[EVENTS];
    int result = backend->channel.socket < 0 ? VIRTQ_EPEER : VIRTQ_OK;
    int count = result == VIRTQ_OK ? epoll_wait(backend->epoll, events, EVENTS, 0) : 0;
    int i;

    for (i = 0; i < count && result == VIRTQ_OK; i++) {
        switch (events[i].data.fd) {
        case SOCKET:
            result = serve_socket(backend);
            break;
        case VIRTQ_PRIV_TLB_CHANNEL:
            virtq_priv_tlb_receive(&backend->tlb);
            break;
        case VIRTQ_PRIV_TLB_WAKE:
            woken(backend);
            break;
        case VIRTQ_PRIV_FAULT_WAKE:
            break;
        default:
            virtq_priv_vring_kicked(backend, events[i].data.u32);
        }
    }
    if (result == VIRTQ_OK && virtq_priv_tlb_exists(&backend->tlb)) {
        virtq_priv_backend_retry(backend);
        virtq_priv_tlb_ask(&backend->tlb,
                           virtq_feature_has(backend->protocol, VHOST_USER_PROTOCOL_F_REPLY_ACK));
    }
    if (result == VIRTQ_OK && virtq_priv_fault_latched(&backend->mapped.fault)) {
        break_rings(backend);
        result = VIRTQ_EPEER;
    }
    if (result != VIRTQ_OK) {
        virtq_priv_backend_stop(backend);
        virtq_vhost_user_channel_fini(&backend->channel);
    }
    virtq_priv_mapped_reclaim(&backend->mapped);
    return result;
}

VIRTQ_API uint32_t virtq_vhost_user_backend_refusal(const struct virtq_vhost_user_backend *backend)
{
    return backend->refusal;
}

VIRTQ_API uint64_t virtq_vhost_user_backend_features(const struct virtq_vhost_user_backend *backend)
{
    return backend->features &
           ~(VIRTQ_FEATURE(VHOST_USER_F_PROTOCOL_FEATURES) | VIRTQ_FEATURE(VHOST_F_LOG_ALL));
}

VIRTQ_API uint64_t virtq_vhost_user_backend_mapped(const struct virtq_vhost_user_backend *backend)
{
    uint64_t bytes = 0;
    uint32_t i;

    for (i = 0; i < backend->mapped.count; i++) {
        bytes += backend->mapped.live[i].shm.mapping_size;
    }
    for (i = 0; i < backend->mapped.retired_count; i++) {
        bytes += backend->mapped.retired[i].shm.mapping_size;
    }
    return bytes;
}

VIRTQ_API int virtq_vhost_user_backend_locate(const struct virtq_vhost_user_backend *backend,
                                              const void *byte, virtq_addr_t *addr)
{
    return virtq_priv_mapped_locate(&backend->mapped, byte, addr);
}
