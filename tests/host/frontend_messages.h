/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief One row for each request that the library knows: what a good message of it is, so that
 * everything that can be wrong with one is tried on all of them.
 *
 * A request that gets a rule has to get a row, and one that comes to be served has to say so here:
 * tests/host/vhost_user_messages_test.c fails otherwise.
 */
#ifndef VIRTQ_TESTS_HOST_FRONTEND_MESSAGES_H
#define VIRTQ_TESTS_HOST_FRONTEND_MESSAGES_H

#include "frontend.h"

#define MESSAGES_FEATURES (VIRTQ_FEATURE(VIRTIO_F_VERSION_1) | FRONTEND_PROTOCOL)

/* How far a connection has come; each step takes in those before it. */
enum message_stage {
    STAGE_FRESH,    /* Not a word was said. */
    STAGE_PROTOCOL, /* Protocol features are known. */
    STAGE_MEMORY,   /* Features and memory are known. */
    STAGE_RUNNING,  /* Ring 0 runs. */
    STAGE_STOPPED,  /* It does no longer. */
    STAGE_RESET,    /* The device was reset. */
    MESSAGE_STAGES
};

/* What comes along with a message. */
enum message_fds {
    FDS_NONE,
    FDS_MEMORY, /* A file to be mapped. */
    FDS_SIGNAL, /* Eventfds. */
    FDS_SOCKET,
};

struct message_row {
    uint32_t request;
    uint16_t size;     /* Of the good message. */
    uint16_t size_min; /* What other sizes are right ... */
    uint16_t size_max; /* ... up to this one. */
    uint8_t fd_count;
    uint8_t fd_max;
    uint8_t fds;      /* An enum message_fds. */
    uint8_t answered; /* Has an answer of its own. */
    uint8_t refusal;  /* Of the good message at STAGE_RUNNING; 0: accepted. */
    uint8_t undo;     /* The request that takes it back; 0: it may come twice. */
    /* What becomes of the good message at each stage: accepted, refused, or the end. */
    const char *stages;
    const char *fields; /* The bytes of each of the payload's numbers. */
};

#define NOT(reason) VIRTQ_VHOST_USER_REFUSED_##reason
#define ROW(request, size, fds, what, answered, refusal, undo, stages, fields)              \
    {                                                                                       \
        VHOST_USER_##request, (size), (size), (size), (fds), (fds), FDS_##what, (answered), \
            (refusal), VHOST_USER_##undo, (stages), (fields)                                \
    }

static const struct message_row message_rows[] = {
    ROW(GET_FEATURES, 0, 0, NONE, 1, 0, NONE, "aaaaaa", ""),
    ROW(SET_FEATURES, 8, 0, NONE, 0, 0, NONE, "aaaaaa", "8"),
    ROW(SET_OWNER, 0, 0, NONE, 0, 0, NONE, "aaaaaa", ""),
    ROW(RESET_OWNER, 0, 0, NONE, 0, 0, NONE, "aaaaaa", ""),
    ROW(SET_MEM_TABLE, 8 + 2 * 32, 2, MEMORY, 0, 0, NONE, "aaaaaa", "4488888888"),
    ROW(SET_LOG_BASE, 16, 1, MEMORY, 1, 0, NONE, "eaaaaa", "88"),
    {VHOST_USER_SET_LOG_FD, 0, 0, 8, 1, 1, FDS_SIGNAL, 0, 0, 0, "aaaaaa", ""},
    ROW(SET_VRING_NUM, 8, 0, NONE, 0, 0, NONE, "aaaaaa", "44"),
    ROW(SET_VRING_ADDR, 40, 0, NONE, 0, 0, NONE, "aaaaaa", "448888"),
    ROW(SET_VRING_BASE, 8, 0, NONE, 0, 0, NONE, "aaaaaa", "44"),
    ROW(GET_VRING_BASE, 8, 0, NONE, 1, 0, NONE, "aaaaaa", "44"),
    ROW(SET_VRING_KICK, 8, 1, SIGNAL, 0, 0, NONE, "erraar", "8"),
    ROW(SET_VRING_CALL, 8, 1, SIGNAL, 0, 0, NONE, "aaaaaa", "8"),
    ROW(SET_VRING_ERR, 8, 1, SIGNAL, 0, 0, NONE, "aaaaaa", "8"),
    ROW(GET_PROTOCOL_FEATURES, 0, 0, NONE, 1, 0, NONE, "aaaaaa", ""),
    ROW(SET_PROTOCOL_FEATURES, 8, 0, NONE, 0, 0, NONE, "aaaaaa", "8"),
    ROW(GET_QUEUE_NUM, 0, 0, NONE, 1, 0, NONE, "eaaaaa", ""),
    ROW(SET_VRING_ENABLE, 8, 0, NONE, 0, 0, NONE, "eaaaaa", "44"),
    {VHOST_USER_SET_BACKEND_REQ_FD, 0, 0, 8, 1, 1, FDS_SOCKET, 0, 0, 0, "eaaaaa", ""},
    ROW(IOTLB_MSG, 32, 0, NONE, 0, 0, NONE, "eraaaa", "88811"),
    ROW(GET_CONFIG, 12 + 4, 0, NONE, 1, 0, NONE, "eaaaaa", "4444"),
    ROW(SET_CONFIG, 12 + 4, 0, NONE, 0, 0, NONE, "eaaaaa", "4444"),
    {VHOST_USER_GET_INFLIGHT_FD, 24, 20, 24, 0, 0, FDS_NONE, 1, 0, 0, "eaaaaa", "8822"},
    {VHOST_USER_SET_INFLIGHT_FD, 24, 20, 24, 1, 1, FDS_MEMORY, 0, NOT(ORDER), 0, "eaaraa", "8822"},
    ROW(RESET_DEVICE, 0, 0, NONE, 0, 0, NONE, "eaaaaa", ""),
    ROW(VRING_KICK, 8, 0, NONE, 0, NOT(PROTOCOL), NONE, "errrrr", "44"),
    ROW(GET_MAX_MEM_SLOTS, 0, 0, NONE, 1, 0, NONE, "eaaaaa", ""),
    ROW(ADD_MEM_REG, 40, 1, MEMORY, 0, 0, REM_MEM_REG, "eaaaaa", "88888"),
    {VHOST_USER_REM_MEM_REG, 40, 40, 40, 0, 1, FDS_NONE, 0, 0, VHOST_USER_ADD_MEM_REG, "errrrr",
     "88888"},
    ROW(SET_STATUS, 8, 0, NONE, 0, 0, NONE, "eaaaaa", "8"),
    ROW(GET_STATUS, 0, 0, NONE, 1, 0, NONE, "eaaaaa", ""),
};
enum { MESSAGE_ROWS = sizeof(message_rows) / sizeof(message_rows[0]) };

#undef NOT
#undef ROW

/* A region that is not there yet: the second half of the first one, elsewhere. */
static inline struct virtq_vhost_user_region message_region(void)
{
    struct virtq_vhost_user_region region = frontend_region(0);

    region.size /= 2;
    region.guest_address = UINT64_C(1) << 40;
    region.user_address = UINT64_C(1) << 46;
    region.mmap_offset += region.size;
    return region;
}

/* Its payload: about ring 0 if the ring may run then, else about ring 1. */
static inline void message_payload(struct frontend *f, const struct message_row *row,
                                   union virtq_vhost_user_payload *payload)
{
    memset(payload, 0, sizeof(*payload));
    switch (row->request) {
    case VHOST_USER_SET_FEATURES:
        payload->u64 = MESSAGES_FEATURES;
        break;
    case VHOST_USER_SET_PROTOCOL_FEATURES:
        payload->u64 = frontend_ask(f, VHOST_USER_GET_PROTOCOL_FEATURES);
        break;
    case VHOST_USER_SET_MEM_TABLE:
        payload->memory.count = 2;
        payload->memory.regions[0] = frontend_region(0);
        payload->memory.regions[1] = frontend_region(1);
        break;
    case VHOST_USER_ADD_MEM_REG:
    case VHOST_USER_REM_MEM_REG:
        payload->slot.region = message_region();
        break;
    case VHOST_USER_SET_VRING_NUM:
    case VHOST_USER_SET_VRING_BASE:
    case VHOST_USER_GET_VRING_BASE:
        payload->state.index = 1;
        payload->state.num = row->request == VHOST_USER_SET_VRING_NUM ? 8 : 0;
        break;
    case VHOST_USER_SET_VRING_ADDR:
        payload->addr = frontend_addr(f, 1);
        break;
    case VHOST_USER_SET_VRING_ENABLE:
        payload->state.num = 1;
        break;
    case VHOST_USER_GET_CONFIG:
    case VHOST_USER_SET_CONFIG:
        payload->config.offset = 8;
        payload->config.size = 4;
        break;
    case VHOST_USER_SET_LOG_BASE:
        payload->log.size = FRONTEND_REGION;
        break;
    case VHOST_USER_IOTLB_MSG:
        payload->iotlb.iova = UINT64_C(1) << 40;
        payload->iotlb.size = 0x1000;
        payload->iotlb.user_address = frontend_user[0];
        payload->iotlb.permissions = 3;
        payload->iotlb.type = 2;
        break;
    case VHOST_USER_GET_INFLIGHT_FD:
    case VHOST_USER_SET_INFLIGHT_FD:
        payload->inflight.mmap_size = FRONTEND_REGION;
        payload->inflight.queue_count = FRONTEND_RINGS;
        payload->inflight.queue_size = 8;
        break;
    case VHOST_USER_SET_STATUS:
        payload->u64 = 4;
        break;
    default:
        break;
    }
}

/* Its descriptors: room for as many as there can be, all good. */
static inline void message_descriptors(struct frontend *f, const struct message_row *row, int *fds)
{
    for (unsigned i = 0; i < VIRTQ_VHOST_USER_FDS_MAX; i++) {
        fds[i] = row->fds == FDS_SIGNAL ? f->call[0] : row->fds == FDS_SOCKET ? f->socket : f->file;
    }
    if (row->request == VHOST_USER_SET_VRING_KICK) {
        fds[0] = f->kick[0];
    }
}

/* Brings a connection of which nothing is known yet to a stage. */
static inline void message_reach(struct frontend *f, unsigned stage)
{
    if (stage >= STAGE_PROTOCOL) {
        uint64_t protocol = frontend_ask(f, VHOST_USER_GET_PROTOCOL_FEATURES);

        frontend_put(f, VHOST_USER_SET_PROTOCOL_FEATURES, 0, &protocol, sizeof(protocol), NULL, 0);
        cr_assert_eq(frontend_run(f), 0);
    }
    if (stage >= STAGE_MEMORY) {
        frontend_greet(f, MESSAGES_FEATURES);
    }
    if (stage >= STAGE_RUNNING) {
        frontend_start(f, 0, MESSAGES_FEATURES, 8);
        frontend_traffic(f, 0, 4);
    }
    if (stage >= STAGE_STOPPED) {
        (void)frontend_stop(f, 0);
    }
    if (stage >= STAGE_RESET) {
        cr_assert_eq(frontend_try(f, VHOST_USER_RESET_DEVICE, NULL, 0, NULL, 0), 0);
    }
}

#endif
