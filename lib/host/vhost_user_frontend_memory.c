/* SPDX-License-Identifier: BSD-3-Clause */
/* What the back-end is given: memory, a log, records of buffers in flight. */
#include <stddef.h>
#include <sys/stat.h>

#include "vhost_user_frontend_private.h"
#include "virtq/feature.h"

typedef struct virtq_vhost_user_frontend frontend_type;

static bool has(const frontend_type *frontend, unsigned feature)
{
    return virtq_feature_has(frontend->protocol, feature) != 0;
}

/* A share as it is sent. Its user address is where it lies here: rings and translations are told
 * by it. The last byte of each range has an address (L6). */
static bool to_region(const struct virtq_vhost_user_share *share,
                      struct virtq_vhost_user_region *region)
{
    *region = (struct virtq_vhost_user_region){share->address, share->size,
                                               (uint64_t)(uintptr_t)share->base, share->offset};
    return share->size != 0 && share->fd >= 0 && share->size - 1 <= UINT64_MAX - share->address &&
           share->size - 1 <= UINTPTR_MAX - (uintptr_t)share->base &&
           share->size - 1 <= UINT64_MAX - share->offset;
}

VIRTQ_API int virtq_vhost_user_frontend_set_memory(frontend_type *frontend,
                                                   const struct virtq_vhost_user_share *shares,
                                                   unsigned count)
{
    struct virtq_vhost_user_memory memory = {.count = count};
    int fds[VIRTQ_VHOST_USER_TABLE_MAX];
    struct virtq_priv_question question = {
        .request = VHOST_USER_SET_MEM_TABLE, .payload = &memory, .fds = fds, .fd_count = count};
    unsigned i;
    int error;

    if (count == 0 || count > VIRTQ_VHOST_USER_TABLE_MAX) {
        return VIRTQ_EINVAL;
    }
    for (i = 0; i < count; i++) {
        if (!to_region(&shares[i], &memory.regions[i])) {
            return VIRTQ_EINVAL;
        }
        fds[i] = shares[i].fd;
    }
    question.size = (uint32_t)(offsetof(struct virtq_vhost_user_memory, regions) +
                               count * sizeof(struct virtq_vhost_user_region));
    error = virtq_priv_frontend_tell(frontend, &question);
    if (error == VIRTQ_OK) {
        frontend->slots = count;
    }
    return error;
}

static int tell_slot(frontend_type *frontend, uint32_t request,
                     const struct virtq_vhost_user_share *share, uint32_t fd_count)
{
    struct virtq_vhost_user_slot slot = {0};
    const struct virtq_priv_question question = {.request = request,
                                                 .size = sizeof(slot),
                                                 .payload = &slot,
                                                 .fds = &share->fd,
                                                 .fd_count = fd_count};

    if (!to_region(share, &slot.region)) {
        return VIRTQ_EINVAL;
    }
    return has(frontend, VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS)
               ? virtq_priv_frontend_tell(frontend, &question)
               : VIRTQ_ENOTSUP;
}

VIRTQ_API int virtq_vhost_user_frontend_add_memory(frontend_type *frontend,
                                                   const struct virtq_vhost_user_share *share)
{
    int error;

    if (has(frontend, VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS) &&
        frontend->slots >= frontend->slots_max) {
        return VIRTQ_ENOMEM;
    }
    error = tell_slot(frontend, VHOST_USER_ADD_MEM_REG, share, 1);
    if (error == VIRTQ_OK) {
        frontend->slots++;
    }
    return error;
}

VIRTQ_API int virtq_vhost_user_frontend_remove_memory(frontend_type *frontend,
                                                      const struct virtq_vhost_user_share *share)
{
    int error = tell_slot(frontend, VHOST_USER_REM_MEM_REG, share, 0);

    if (error == VIRTQ_OK && frontend->slots != 0) {
        frontend->slots--;
    }
    return error;
}

VIRTQ_API int virtq_vhost_user_frontend_set_log(frontend_type *frontend, int fd, uint64_t size,
                                                uint64_t offset)
{
    const struct virtq_vhost_user_log log = {size, offset};
    const struct virtq_priv_question question = {.request = VHOST_USER_SET_LOG_BASE,
                                                 .size = sizeof(log),
                                                 .payload = &log,
                                                 .fds = &fd,
                                                 .fd_count = 1};
    struct virtq_vhost_user_message *answer;
    int error;

    if (fd < 0 || size == 0 || size - 1 > UINT64_MAX - offset) {
        return VIRTQ_EINVAL;
    }
    if (!has(frontend, VHOST_USER_PROTOCOL_F_LOG_SHMFD)) {
        return VIRTQ_ENOTSUP;
    }
    error = virtq_priv_frontend_ask(frontend, &question, &answer);
    if (error == VIRTQ_OK && answer->header.size == 8 && answer->payload.u64 != 0) {
        frontend->refusal = VIRTQ_VHOST_USER_REFUSED_DEVICE;
        error = VIRTQ_ENOTSUP;
    }
    return error;
}

/* Whether a file has all that is said to be there. */
static bool in_file(int fd, const struct virtq_vhost_user_inflight *inflight)
{
    struct stat file;

    return inflight->mmap_size != 0 && fstat(fd, &file) == 0 && file.st_size > 0 &&
           inflight->mmap_offset <= (uint64_t)file.st_size &&
           inflight->mmap_size <= (uint64_t)file.st_size - inflight->mmap_offset;
}

VIRTQ_API int virtq_vhost_user_frontend_get_inflight(frontend_type *frontend, uint16_t queue_count,
                                                     uint16_t queue_size,
                                                     struct virtq_vhost_user_inflight *inflight,
                                                     int *fd)
{
    const struct virtq_vhost_user_inflight wanted = {.queue_count = queue_count,
                                                     .queue_size = queue_size};
    const struct virtq_priv_question question = {
        .request = VHOST_USER_GET_INFLIGHT_FD, .size = sizeof(wanted), .payload = &wanted};
    struct virtq_vhost_user_message *answer;
    int error;

    if (!has(frontend, VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD)) {
        return VIRTQ_ENOTSUP;
    }
    error = virtq_priv_frontend_ask(frontend, &question, &answer);
    if (error != VIRTQ_OK) {
        return error;
    }
    if (answer->fd_count == 0 && answer->payload.inflight.mmap_size == 0) {
        frontend->refusal = VIRTQ_VHOST_USER_REFUSED_DEVICE;
        return VIRTQ_ENOTSUP;
    }
    if (answer->fd_count != 1 || answer->payload.inflight.queue_count != queue_count ||
        answer->payload.inflight.queue_size != queue_size ||
        !in_file(answer->fds[0], &answer->payload.inflight)) {
        return virtq_priv_frontend_end(frontend, VIRTQ_VHOST_USER_REFUSED_VALUE);
    }
    *inflight = answer->payload.inflight;
    *fd = answer->fds[0];
    answer->fds[0] = -1;
    return VIRTQ_OK;
}

VIRTQ_API int virtq_vhost_user_frontend_set_inflight(
    frontend_type *frontend, const struct virtq_vhost_user_inflight *inflight, int fd)
{
    const struct virtq_priv_question question = {.request = VHOST_USER_SET_INFLIGHT_FD,
                                                 .size = sizeof(*inflight),
                                                 .payload = inflight,
                                                 .fds = &fd,
                                                 .fd_count = 1};

    return has(frontend, VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD)
               ? virtq_priv_frontend_tell(frontend, &question)
               : VIRTQ_ENOTSUP;
}
