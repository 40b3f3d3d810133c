/* SPDX-License-Identifier: BSD-3-Clause */
#include <poll.h>

#include "vhost_user_eventfd.h"
#include "vhost_user_frontend_private.h"
#include "virtq/feature.h"

typedef struct virtq_vhost_user_frontend frontend_type;

static uint32_t format_of(const frontend_type *frontend)
{
    return virtq_feature_has(frontend->features, VIRTIO_F_RING_PACKED)
               ? (uint32_t)VIRTQ_FORMAT_PACKED
               : (uint32_t)VIRTQ_FORMAT_SPLIT;
}

/* Where the ring is to go on; false: it can't be there. */
static bool base_of(const frontend_type *frontend, const struct virtq_vhost_user_ring *ring,
                    uint32_t *base)
{
    const struct virtq_state *state = ring->state;
    const uint32_t format = format_of(frontend);
    const uint16_t first = format == (uint32_t)VIRTQ_FORMAT_PACKED ? 0x8000 : 0;
    const struct virtq_state fresh = {
        .format = format, .size = ring->size, .available = first, .used = first};

    if (state == NULL) {
        state = &fresh;
    }
    *base = virtq_state_to_base(state);
    return state->format == format && state->size == ring->size &&
           virtq_state_validate(state) == VIRTQ_OK;
}

/* With ACCESS_PLATFORM the back-end knows device addresses; else where it lies in memory that it
 * was given, by this program's addresses. */
static struct virtq_vhost_user_addr addresses_of(const frontend_type *frontend, uint32_t index,
                                                 const struct virtq_vhost_user_ring *ring)
{
    const bool translated = virtq_feature_has(frontend->features, VIRTIO_F_ACCESS_PLATFORM) != 0;
    struct virtq_vhost_user_addr addr = {.index = index, .flags = ring->flags, .log = ring->log};

    addr.descriptor =
        translated ? ring->addresses.descriptor : (uint64_t)(uintptr_t)ring->areas.descriptor;
    addr.available = translated ? ring->addresses.driver : (uint64_t)(uintptr_t)ring->areas.driver;
    addr.used = translated ? ring->addresses.device : (uint64_t)(uintptr_t)ring->areas.device;
    return addr;
}

static int tell_fd(frontend_type *frontend, uint32_t request, uint32_t index, int fd)
{
    const uint64_t number = index;
    const struct virtq_priv_question question = {
        .request = request, .size = sizeof(number), .payload = &number, .fds = &fd, .fd_count = 1};

    return virtq_priv_frontend_tell(frontend, &question);
}

static bool enabled_apart(const frontend_type *frontend)
{
    return virtq_feature_has(frontend->features, VHOST_USER_F_PROTOCOL_FEATURES) != 0;
}

VIRTQ_API int virtq_vhost_user_frontend_start(frontend_type *frontend, uint32_t index,
                                              const struct virtq_vhost_user_ring *ring)
{
    struct virtq_vhost_user_addr addr;
    const struct virtq_priv_question place = {
        .request = VHOST_USER_SET_VRING_ADDR, .size = sizeof(addr), .payload = &addr};
    uint32_t base;
    int error;

    if (index >= frontend->queue_count || ring->struct_size != sizeof(*ring) ||
        (ring->flags & ~(uint32_t)VIRTQ_VHOST_USER_RING_LOGGED) != 0 || !frontend->greeted ||
        !base_of(frontend, ring, &base)) {
        return VIRTQ_EINVAL;
    }
    if (frontend->rings[index].size != 0) {
        return VIRTQ_EBUSY;
    }
    addr = addresses_of(frontend, index, ring);
    error = virtq_priv_frontend_set_ring(frontend, VHOST_USER_SET_VRING_NUM, index, ring->size);
    if (error == VIRTQ_OK) {
        error = virtq_priv_frontend_set_ring(frontend, VHOST_USER_SET_VRING_BASE, index, base);
    }
    if (error == VIRTQ_OK) {
        error = virtq_priv_frontend_tell(frontend, &place);
    }
    if (error == VIRTQ_OK) {
        error = tell_fd(frontend, VHOST_USER_SET_VRING_ERR, index, frontend->rings[index].err);
    }
    if (error == VIRTQ_OK) {
        error = tell_fd(frontend, VHOST_USER_SET_VRING_CALL, index, frontend->rings[index].call);
    }
    if (error == VIRTQ_OK) {
        error = tell_fd(frontend, VHOST_USER_SET_VRING_KICK, index, frontend->rings[index].kick);
    }
    if (error != VIRTQ_OK) {
        return error;
    }
    frontend->rings[index].size = ring->size;
    error =
        enabled_apart(frontend) ? virtq_vhost_user_frontend_enable(frontend, index, 1) : VIRTQ_OK;
    if (error == VIRTQ_ENOTSUP) {
        /* It runs already, without effects: so it is stopped again. */
        const int stopped = virtq_vhost_user_frontend_stop(frontend, index, NULL);

        error = stopped == VIRTQ_OK ? error : stopped;
    }
    return error;
}

VIRTQ_API int virtq_vhost_user_frontend_enable(frontend_type *frontend, uint32_t index, int enable)
{
    if (index >= frontend->queue_count || frontend->rings[index].size == 0) {
        return VIRTQ_EINVAL;
    }
    return enabled_apart(frontend)
               ? virtq_priv_frontend_set_ring(frontend, VHOST_USER_SET_VRING_ENABLE, index,
                                              enable != 0 ? 1 : 0)
               : VIRTQ_ENOTSUP;
}

/* A base as the back-end tells it, made whole; false: no ring stands there. */
static bool judge_base(uint32_t format, uint32_t size, uint32_t *base)
{
    struct virtq_state state;

    if (format == (uint32_t)VIRTQ_FORMAT_PACKED && *base >> 16 == 0) {
        *base |= *base << 16;
    }
    return virtq_state_from_base((enum virtq_format)format, size, *base, &state) == VIRTQ_OK &&
           virtq_state_validate(&state) == VIRTQ_OK;
}

VIRTQ_API int virtq_vhost_user_frontend_stop(frontend_type *frontend, uint32_t index,
                                             uint32_t *base)
{
    struct virtq_vhost_user_state state = {index, 0};
    const struct virtq_priv_question question = {
        .request = VHOST_USER_GET_VRING_BASE, .size = sizeof(state), .payload = &state};
    struct virtq_vhost_user_message *answer;
    uint32_t size;
    int error;

    if (index >= frontend->queue_count || frontend->rings[index].size == 0) {
        return VIRTQ_EINVAL;
    }
    error = virtq_priv_frontend_ask(frontend, &question, &answer);
    if (error != VIRTQ_OK) {
        return error;
    }
    state = answer->payload.state;
    size = frontend->rings[index].size;
    if (state.index != index || !judge_base(format_of(frontend), size, &state.num)) {
        return virtq_priv_frontend_end(frontend, VIRTQ_VHOST_USER_REFUSED_RING);
    }
    frontend->rings[index].size = 0;
    if (base != NULL) {
        *base = state.num;
    }
    return VIRTQ_OK;
}

VIRTQ_API void virtq_vhost_user_frontend_kick(frontend_type *frontend, uint32_t index)
{
    if (index < frontend->queue_count) {
        virtq_priv_eventfd_raise(frontend->rings[index].kick);
    }
}

VIRTQ_API int virtq_vhost_user_frontend_call_fd(const frontend_type *frontend, uint32_t index)
{
    return index < frontend->queue_count ? frontend->rings[index].call : -1;
}

VIRTQ_API int virtq_vhost_user_frontend_called(const frontend_type *frontend, uint32_t index)
{
    return index < frontend->queue_count &&
           virtq_priv_eventfd_take(frontend->rings[index].call) == 1;
}

VIRTQ_API int virtq_vhost_user_frontend_wait(frontend_type *frontend, uint32_t first,
                                             uint32_t count, uint32_t milliseconds)
{
    struct pollfd ready[VHOST_USER_VRING_IDX_MASK + 2];
    uint32_t i;
    int got;

    if (count == 0 || count > frontend->queue_count || first > frontend->queue_count - count) {
        return VIRTQ_EINVAL;
    }
    ready[count] = (struct pollfd){frontend->epoll, POLLIN, 0};
    for (i = 0; i < count; i++) {
        ready[i] = (struct pollfd){frontend->rings[first + i].call, POLLIN, 0};
    }
    got = poll(ready, count + 1,
               milliseconds == UINT32_MAX ? -1
               : milliseconds < INT32_MAX ? (int)milliseconds
                                          : INT32_MAX);
    if (got < 0) {
        return 1; /* A signal: the caller may want to look at something else, too. */
    }
    for (i = 0; i < count; i++) {
        if (ready[i].revents != 0) {
            (void)virtq_vhost_user_frontend_called(frontend, first + i);
        }
    }
    if (ready[count].revents != 0 && virtq_vhost_user_frontend_process(frontend) != VIRTQ_OK) {
        return VIRTQ_EPEER;
    }
    return got > 0;
}
