/* SPDX-License-Identifier: BSD-3-Clause */
#include "vhost_user_backend_private.h"
#include "virtq/feature.h"

typedef struct virtq_vhost_user_backend backend_type;
typedef struct virtq_vhost_user_message message_type;

/* Which ring a message is about; NULL if there is no such ring. */
static struct virtq_priv_vring *vring_at(backend_type *backend, uint32_t index)
{
    return index < backend->queue_count ? &backend->vrings[index] : NULL;
}

static uint32_t answer_number(message_type *message, uint64_t number)
{
    message->payload.u64 = number;
    message->header.size = sizeof(number);
    return VIRTQ_VHOST_USER_ACCEPTED;
}

static uint32_t get_features(backend_type *backend, message_type *message)
{
    return answer_number(message, backend->offered);
}

/* A front-end may acknowledge what was never offered: then the two ends would read the ring in
 * different ways. */
static uint32_t set_features(backend_type *backend, message_type *message)
{
    const uint64_t features = message->payload.u64;
    uint32_t i;

    if ((features & ~backend->offered) != 0) {
        return VIRTQ_VHOST_USER_REFUSED_FEATURES;
    }
    if (((features ^ backend->features) & ~VIRTQ_FEATURE(VHOST_F_LOG_ALL)) == 0) {
        /* A log comes and goes while rings run, and is no affair of the device. */
        backend->features = features;
        virtq_priv_log_choose(backend);
        return VIRTQ_VHOST_USER_ACCEPTED;
    }
    if (virtq_priv_backend_runs(backend)) {
        return VIRTQ_VHOST_USER_REFUSED_ORDER;
    }
    backend->features = features;
    virtq_priv_log_choose(backend);
    virtq_priv_tlb_flush(&backend->tlb);
    /* Who has protocol features may enable a ring before he says which features there are. */
    for (i = 0; i < backend->queue_count && backend->protocol == 0; i++) {
        __atomic_store_n(&backend->vrings[i].enabled, 0u, __ATOMIC_RELEASE);
    }
    if (backend->ops.features != NULL) {
        backend->ops.features(backend->opaque, virtq_vhost_user_backend_features(backend));
    }
    return VIRTQ_VHOST_USER_ACCEPTED;
}

static uint32_t set_owner(backend_type *backend, message_type *message)
{
    (void)backend;
    (void)message;
    return VIRTQ_VHOST_USER_ACCEPTED;
}

static uint32_t set_mem_table(backend_type *backend, message_type *message)
{
    /* The translations lead into memory that goes. */
    virtq_priv_tlb_flush(&backend->tlb);
    return virtq_priv_mapped_set(&backend->mapped, message->payload.memory.regions, message->fds,
                                 message->payload.memory.count);
}

static uint32_t get_max_mem_slots(backend_type *backend, message_type *message)
{
    (void)backend;
    return answer_number(message, VIRTQ_VHOST_USER_SLOTS_MAX);
}

static uint32_t add_mem_reg(backend_type *backend, message_type *message)
{
    return virtq_priv_mapped_add(&backend->mapped, &message->payload.slot.region, message->fds[0]);
}

static uint32_t rem_mem_reg(backend_type *backend, message_type *message)
{
    virtq_priv_tlb_flush(&backend->tlb);
    return virtq_priv_mapped_remove(&backend->mapped, &message->payload.slot.region);
}

static uint32_t set_vring_num(backend_type *backend, message_type *message)
{
    struct virtq_priv_vring *vring = vring_at(backend, message->payload.state.index);
    const uint32_t size = message->payload.state.num;

    if (vring == NULL) {
        return VIRTQ_VHOST_USER_REFUSED_INDEX;
    }
    if (virtq_priv_vring_runs(vring)) {
        return VIRTQ_VHOST_USER_REFUSED_ORDER;
    }
    if (size == 0 || size > backend->queue_size) {
        return VIRTQ_VHOST_USER_REFUSED_VALUE;
    }
    vring->size = size;
    return VIRTQ_VHOST_USER_ACCEPTED;
}

static uint32_t set_vring_addr(backend_type *backend, message_type *message)
{
    const struct virtq_vhost_user_addr *addr = &message->payload.addr;
    struct virtq_priv_vring *vring = vring_at(backend, addr->index);

    if (vring == NULL) {
        return VIRTQ_VHOST_USER_REFUSED_INDEX;
    }
    if ((addr->flags & ~(uint32_t)VIRTQ_VHOST_USER_VRING_F_LOG) != 0 ||
        (addr->flags != 0 && !virtq_feature_has(backend->offered, VHOST_F_LOG_ALL))) {
        return VIRTQ_VHOST_USER_REFUSED_VALUE;
    }
    if (virtq_priv_vring_runs(vring) &&
        (addr->descriptor != vring->addr.descriptor || addr->available != vring->addr.available ||
         addr->used != vring->addr.used)) {
        return VIRTQ_VHOST_USER_REFUSED_ORDER;
    }
    vring->addr = *addr;
    vring->has_addr = true;
    virtq_priv_log_ring_set(backend, vring);
    return VIRTQ_VHOST_USER_ACCEPTED;
}

static uint32_t set_vring_base(backend_type *backend, message_type *message)
{
    struct virtq_priv_vring *vring = vring_at(backend, message->payload.state.index);

    if (vring == NULL) {
        return VIRTQ_VHOST_USER_REFUSED_INDEX;
    }
    if (virtq_priv_vring_runs(vring)) {
        return VIRTQ_VHOST_USER_REFUSED_ORDER;
    }
    vring->base = message->payload.state.num;
    return VIRTQ_VHOST_USER_ACCEPTED;
}

static uint32_t get_vring_base(backend_type *backend, message_type *message)
{
    const uint32_t index = message->payload.state.index;
    struct virtq_priv_vring *vring = vring_at(backend, index);

    if (vring == NULL) {
        return VIRTQ_VHOST_USER_REFUSED_INDEX;
    }
    if (!virtq_priv_vring_stop(backend, index)) {
        return VIRTQ_VHOST_USER_REFUSED_DEVICE;
    }
    message->payload.state.num = vring->base;
    return VIRTQ_VHOST_USER_ACCEPTED;
}

/* Which ring a message with a descriptor is about, and the descriptor, or -1. */
static struct virtq_priv_vring *notifier(backend_type *backend, const message_type *message,
                                         int *fd)
{
    const uint64_t known = VHOST_USER_VRING_NOFD_MASK | VHOST_USER_VRING_IDX_MASK;

    *fd = message->fd_count != 0 ? message->fds[0] : -1;
    if ((message->payload.u64 & ~known) != 0) {
        return NULL;
    }
    return vring_at(backend, (uint32_t)message->payload.u64 & VHOST_USER_VRING_IDX_MASK);
}

/* The kick is what starts a ring. */
static uint32_t set_vring_kick(backend_type *backend, message_type *message)
{
    int fd;
    struct virtq_priv_vring *vring = notifier(backend, message, &fd);
    uint32_t index;
    uint32_t refusal;

    if (vring == NULL) {
        return VIRTQ_VHOST_USER_REFUSED_INDEX;
    }
    if (vring->device == NULL && (vring->size == 0 || !vring->has_addr)) {
        return VIRTQ_VHOST_USER_REFUSED_ORDER;
    }
    index = (uint32_t)(vring - backend->vrings);
    refusal = virtq_priv_vring_set_kick(backend, index, fd);
    if (refusal != VIRTQ_VHOST_USER_ACCEPTED) {
        return refusal;
    }
    message->fds[0] = -1;
    if (vring->device == NULL) {
        refusal = virtq_priv_vring_start(backend, index);
        if (refusal != VIRTQ_VHOST_USER_ACCEPTED) {
            (void)virtq_priv_vring_set_kick(backend, index, -1);
            return refusal;
        }
    }
    /* What was made available before nobody will kick for again. */
    virtq_priv_vring_serve(backend, index);
    return VIRTQ_VHOST_USER_ACCEPTED;
}

static uint32_t set_signal(backend_type *backend, message_type *message, int *place, int fd)
{
    const uint32_t refusal = virtq_priv_vring_judge_fd(fd);

    if (refusal != VIRTQ_VHOST_USER_ACCEPTED) {
        return refusal;
    }
    message->fds[0] = -1;
    virtq_priv_vring_replace(backend, place, fd);
    return VIRTQ_VHOST_USER_ACCEPTED;
}

static uint32_t set_vring_call(backend_type *backend, message_type *message)
{
    int fd;
    struct virtq_priv_vring *vring = notifier(backend, message, &fd);

    uint32_t refusal;

    if (vring == NULL) {
        return VIRTQ_VHOST_USER_REFUSED_INDEX;
    }
    refusal = set_signal(backend, message, &vring->call, fd);
    if (refusal == VIRTQ_VHOST_USER_ACCEPTED && backend->inflight.shm.base != NULL) {
        /* The notification that a crash may have swallowed. */
        virtq_priv_vring_signal(&vring->call);
    }
    return refusal;
}

static uint32_t set_vring_err(backend_type *backend, message_type *message)
{
    int fd;
    struct virtq_priv_vring *vring = notifier(backend, message, &fd);

    return vring == NULL ? VIRTQ_VHOST_USER_REFUSED_INDEX
                         : set_signal(backend, message, &vring->err, fd);
}

static uint32_t set_vring_enable(backend_type *backend, message_type *message)
{
    struct virtq_priv_vring *vring = vring_at(backend, message->payload.state.index);

    if (vring == NULL) {
        return VIRTQ_VHOST_USER_REFUSED_INDEX;
    }
    /* QEMU enables a network card's rings first, and accepts the feature bit then. */
    if (backend->protocol == 0 &&
        !virtq_feature_has(backend->features, VHOST_USER_F_PROTOCOL_FEATURES)) {
        return VIRTQ_VHOST_USER_REFUSED_PROTOCOL;
    }
    if (message->payload.state.num > 1) {
        return VIRTQ_VHOST_USER_REFUSED_VALUE;
    }
    __atomic_store_n(&vring->enabled, message->payload.state.num, __ATOMIC_RELEASE);
    virtq_priv_vring_serve(backend, message->payload.state.index);
    return VIRTQ_VHOST_USER_ACCEPTED;
}

static uint32_t get_protocol_features(backend_type *backend, message_type *message)
{
    return answer_number(message, backend->protocol_offered);
}

static uint32_t set_protocol_features(backend_type *backend, message_type *message)
{
    if ((message->payload.u64 & ~backend->protocol_offered) != 0) {
        return VIRTQ_VHOST_USER_REFUSED_FEATURES;
    }
    if (message->payload.u64 != backend->protocol && virtq_priv_backend_runs(backend)) {
        return VIRTQ_VHOST_USER_REFUSED_ORDER;
    }
    backend->protocol = message->payload.u64;
    return VIRTQ_VHOST_USER_ACCEPTED;
}

static uint32_t get_queue_num(backend_type *backend, message_type *message)
{
    return answer_number(message, backend->queue_count);
}

/* Whether all that is meant lies in the configuration space. */
static bool config_legal(const backend_type *backend, const struct virtq_vhost_user_config *config)
{
    return config->size != 0 && config->offset <= backend->config_size &&
           config->size <= backend->config_size - config->offset && config->flags <= 1;
}

static uint32_t get_config(backend_type *backend, message_type *message)
{
    struct virtq_vhost_user_config *config = &message->payload.config;

    if (!config_legal(backend, config)) {
        return VIRTQ_VHOST_USER_REFUSED_VALUE;
    }
    if (backend->ops.config_read == NULL ||
        backend->ops.config_read(backend->opaque, config->offset, config->data, config->size) !=
            0) {
        return VIRTQ_VHOST_USER_REFUSED_DEVICE;
    }
    return VIRTQ_VHOST_USER_ACCEPTED;
}

static uint32_t set_config(backend_type *backend, message_type *message)
{
    const struct virtq_vhost_user_config *config = &message->payload.config;

    if (!config_legal(backend, config)) {
        return VIRTQ_VHOST_USER_REFUSED_VALUE;
    }
    if (backend->ops.config_write == NULL ||
        backend->ops.config_write(backend->opaque, config->offset, config->data, config->size,
                                  config->flags) != 0) {
        return VIRTQ_VHOST_USER_REFUSED_DEVICE;
    }
    return VIRTQ_VHOST_USER_ACCEPTED;
}

static uint32_t iotlb_msg(backend_type *backend, message_type *message)
{
    const struct virtq_vhost_user_iotlb *iotlb = &message->payload.iotlb;
    uint32_t refusal;

    if (!virtq_feature_has(backend->offered, VIRTIO_F_ACCESS_PLATFORM)) {
        return VIRTQ_VHOST_USER_REFUSED_REQUEST;
    }
    refusal = virtq_priv_tlb_message(&backend->tlb, &backend->mapped, iotlb);
    /* Bursts are over (L3); what is in flight beyond them only the device knows (M1). */
    if (iotlb->type == VHOST_USER_IOTLB_INVALIDATE && refusal == VIRTQ_VHOST_USER_ACCEPTED &&
        backend->ops.withdrawn != NULL && virtq_guard_held(&backend->tlb.guard) != 0) {
        backend->ops.withdrawn(backend->opaque, iotlb->iova, virtq_priv_tlb_last(iotlb));
    }
    return refusal;
}

static uint32_t set_backend_req_fd(backend_type *backend, message_type *message)
{
    if (!virtq_priv_tlb_connect(&backend->tlb, message->fds[0])) {
        return VIRTQ_VHOST_USER_REFUSED_VALUE;
    }
    message->fds[0] = -1;
    return VIRTQ_VHOST_USER_ACCEPTED;
}

typedef uint32_t (*handler_type)(backend_type *backend, message_type *message);

static const handler_type handlers[VHOST_USER_REQUEST_COUNT] = {
    [VHOST_USER_GET_FEATURES] = get_features,
    [VHOST_USER_SET_FEATURES] = set_features,
    [VHOST_USER_SET_OWNER] = set_owner,
    [VHOST_USER_RESET_OWNER] = virtq_priv_status_reset,
    [VHOST_USER_SET_MEM_TABLE] = set_mem_table,
    [VHOST_USER_SET_LOG_BASE] = virtq_priv_records_set_log_base,
    [VHOST_USER_SET_LOG_FD] = virtq_priv_records_set_log_fd,
    [VHOST_USER_GET_INFLIGHT_FD] = virtq_priv_records_get_inflight,
    [VHOST_USER_SET_INFLIGHT_FD] = virtq_priv_records_set_inflight,
    [VHOST_USER_SET_VRING_NUM] = set_vring_num,
    [VHOST_USER_SET_VRING_ADDR] = set_vring_addr,
    [VHOST_USER_SET_VRING_BASE] = set_vring_base,
    [VHOST_USER_GET_VRING_BASE] = get_vring_base,
    [VHOST_USER_SET_VRING_KICK] = set_vring_kick,
    [VHOST_USER_SET_VRING_CALL] = set_vring_call,
    [VHOST_USER_SET_VRING_ERR] = set_vring_err,
    [VHOST_USER_GET_PROTOCOL_FEATURES] = get_protocol_features,
    [VHOST_USER_SET_PROTOCOL_FEATURES] = set_protocol_features,
    [VHOST_USER_GET_QUEUE_NUM] = get_queue_num,
    [VHOST_USER_SET_VRING_ENABLE] = set_vring_enable,
    [VHOST_USER_SET_BACKEND_REQ_FD] = set_backend_req_fd,
    [VHOST_USER_IOTLB_MSG] = iotlb_msg,
    [VHOST_USER_GET_CONFIG] = get_config,
    [VHOST_USER_SET_CONFIG] = set_config,
    [VHOST_USER_RESET_DEVICE] = virtq_priv_status_reset,
    [VHOST_USER_GET_MAX_MEM_SLOTS] = get_max_mem_slots,
    [VHOST_USER_ADD_MEM_REG] = add_mem_reg,
    [VHOST_USER_REM_MEM_REG] = rem_mem_reg,
    [VHOST_USER_SET_STATUS] = virtq_priv_status_set,
    [VHOST_USER_GET_STATUS] = virtq_priv_status_get,
};

uint32_t virtq_priv_backend_serve(struct virtq_vhost_user_backend *backend,
                                  struct virtq_vhost_user_message *message)
{
    const uint32_t refusal = virtq_vhost_user_judge(message, backend->protocol);
    const handler_type handler = message->header.request < VHOST_USER_REQUEST_COUNT
                                     ? handlers[message->header.request]
                                     : NULL;

    if ((message->header.flags & VHOST_USER_REPLY) != 0) {
        return VIRTQ_VHOST_USER_REFUSED_FLAGS;
    }
    if (refusal != VIRTQ_VHOST_USER_ACCEPTED) {
        return refusal;
    }
    return handler != NULL ? handler(backend, message) : VIRTQ_VHOST_USER_REFUSED_REQUEST;
}
