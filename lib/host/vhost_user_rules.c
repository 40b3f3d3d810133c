/* SPDX-License-Identifier: BSD-3-Clause */
#include <stddef.h>

#include "virtq/host/vhost_user.h"

_Static_assert(sizeof(struct virtq_vhost_user_header) == 12, "wire");
_Static_assert(sizeof(struct virtq_vhost_user_addr) == 40, "wire");
_Static_assert(offsetof(struct virtq_vhost_user_memory, regions) == 8, "wire");
_Static_assert(sizeof(struct virtq_vhost_user_region) == 32, "wire");
_Static_assert(sizeof(struct virtq_vhost_user_slot) == 40, "wire");
_Static_assert(sizeof(struct virtq_vhost_user_iotlb) == 32, "wire");
_Static_assert(offsetof(struct virtq_vhost_user_config, data) == 12, "wire");
_Static_assert(offsetof(struct virtq_vhost_user_inflight, padding) == 20, "wire");

enum { ALWAYS = 0xff, NUMBER = 8, FEWEST = 12 };

/* What a payload's own words say about its size and descriptors. */
enum count_rule {
    FIXED,   /* Nothing: the row has it all. */
    REGIONS, /* A table: a region and an fd each. */
    BYTES,   /* Configuration: as many bytes as it says. */
    NOTIFIER /* A ring's fd, unless the number says that there is none. */
};

/* One request. Without a name it is one that this library does not know. */
struct rule {
    const char *name;
    uint16_t size_min;
    uint16_t size_max;
    uint8_t fds_min;
    uint8_t fds_max;
    uint8_t feature;  /* Without this protocol feature there is no such request. */
    uint8_t answered; /* Has an answer of its own. */
    uint8_t count;
};

#define RULE(request, size_min, size_max, fds, feature, answered, count) \
    [VHOST_USER_##request] = {#request, (size_min), (size_max), (fds),   \
                              (fds),    (feature),  (answered), (count)}
#define WITH(feature) VHOST_USER_PROTOCOL_F_##feature

static const struct rule rules[VHOST_USER_REQUEST_COUNT] = {
    RULE(GET_FEATURES, 0, 0, 0, ALWAYS, 1, FIXED),
    RULE(SET_FEATURES, NUMBER, NUMBER, 0, ALWAYS, 0, FIXED),
    RULE(SET_OWNER, 0, 0, 0, ALWAYS, 0, FIXED),
    RULE(RESET_OWNER, 0, 0, 0, ALWAYS, 0, FIXED),
    RULE(SET_MEM_TABLE, 8, sizeof(struct virtq_vhost_user_memory), 0, ALWAYS, 0, REGIONS),
    RULE(SET_LOG_BASE, 16, 16, 1, WITH(LOG_SHMFD), 1, FIXED),
    RULE(SET_LOG_FD, 0, NUMBER, 1, ALWAYS, 0, FIXED),
    RULE(SET_VRING_NUM, 8, 8, 0, ALWAYS, 0, FIXED),
    RULE(SET_VRING_ADDR, 40, 40, 0, ALWAYS, 0, FIXED),
    RULE(SET_VRING_BASE, 8, 8, 0, ALWAYS, 0, FIXED),
    RULE(GET_VRING_BASE, 8, 8, 0, ALWAYS, 1, FIXED),
    RULE(SET_VRING_KICK, NUMBER, NUMBER, 0, ALWAYS, 0, NOTIFIER),
    RULE(SET_VRING_CALL, NUMBER, NUMBER, 0, ALWAYS, 0, NOTIFIER),
    RULE(SET_VRING_ERR, NUMBER, NUMBER, 0, ALWAYS, 0, NOTIFIER),
    RULE(GET_PROTOCOL_FEATURES, 0, 0, 0, ALWAYS, 1, FIXED),
    RULE(SET_PROTOCOL_FEATURES, NUMBER, NUMBER, 0, ALWAYS, 0, FIXED),
    RULE(GET_QUEUE_NUM, 0, 0, 0, WITH(MQ), 1, FIXED),
    RULE(SET_VRING_ENABLE, 8, 8, 0, ALWAYS, 0, FIXED),
    RULE(SET_BACKEND_REQ_FD, 0, NUMBER, 1, WITH(BACKEND_REQ), 0, FIXED),
    RULE(IOTLB_MSG, 32, 32, 0, ALWAYS, 0, FIXED),
    RULE(GET_CONFIG, FEWEST, sizeof(struct virtq_vhost_user_config), 0, WITH(CONFIG), 1, BYTES),
    RULE(SET_CONFIG, FEWEST, sizeof(struct virtq_vhost_user_config), 0, WITH(CONFIG), 0, BYTES),
    RULE(GET_INFLIGHT_FD, 20, 24, 0, WITH(INFLIGHT_SHMFD), 1, FIXED),
    RULE(SET_INFLIGHT_FD, 20, 24, 1, WITH(INFLIGHT_SHMFD), 0, FIXED),
    RULE(RESET_DEVICE, 0, 0, 0, WITH(RESET_DEVICE), 0, FIXED),
    RULE(VRING_KICK, 8, 8, 0, WITH(INBAND_NOTIFICATIONS), 0, FIXED),
    RULE(GET_MAX_MEM_SLOTS, 0, 0, 0, WITH(CONFIGURE_MEM_SLOTS), 1, FIXED),
    RULE(ADD_MEM_REG, 40, 40, 1, WITH(CONFIGURE_MEM_SLOTS), 0, FIXED),
    /* Some front-ends send the region's fd along here too; it is closed. */
    [VHOST_USER_REM_MEM_REG] = {"REM_MEM_REG", 40, 40, 0, 1, WITH(CONFIGURE_MEM_SLOTS), 0, FIXED},
    RULE(SET_STATUS, NUMBER, NUMBER, 0, WITH(STATUS), 0, FIXED),
    RULE(GET_STATUS, 0, 0, 0, WITH(STATUS), 1, FIXED),
};

static const char *const refusals[] = {
    "accepted",
    "wrong version",
    "wrong flags",
    "too long for any message",
    "unknown request",
    "wrong payload size",
    "wrong number of descriptors",
    "protocol feature not negotiated",
    "feature not offered",
    "not at this time",
    "no such ring",
    "value out of range",
    "memory cannot be mapped",
    "memory can shrink",
    "refused by the device",
    "connection ended in a message",
    "ring cannot be started",
    "no answer in time",
    "memory became shorter",
    "ring outside of the memory given",
};

static const struct rule *rule_of(uint32_t request)
{
    const struct rule *rule = request < VHOST_USER_REQUEST_COUNT ? &rules[request] : NULL;

    return rule != NULL && rule->name != NULL ? rule : NULL;
}

/* What the payload counts must be what came. */
static uint32_t judge_counts(const struct rule *rule,
                             const struct virtq_vhost_user_message *message)
{
    const union virtq_vhost_user_payload *payload = &message->payload;
    const uint32_t size = message->header.size;
    uint32_t fds = message->fd_count;

    switch (rule->count) {
    case REGIONS:
        if (payload->memory.count > VIRTQ_VHOST_USER_TABLE_MAX ||
            size != 8 + payload->memory.count * sizeof(struct virtq_vhost_user_region)) {
            return VIRTQ_VHOST_USER_REFUSED_SIZE;
        }
        fds -= payload->memory.count;
        break;
    case BYTES:
        if (payload->config.size > VIRTQ_VHOST_USER_CONFIG_MAX ||
            size != FEWEST + payload->config.size) {
            return VIRTQ_VHOST_USER_REFUSED_SIZE;
        }
        break;
    case NOTIFIER:
        fds -= (payload->u64 & VHOST_USER_VRING_NOFD_MASK) != 0 ? 0 : 1;
        break;
    default:
        break;
    }
    return fds < rule->fds_min || fds > rule->fds_max ? VIRTQ_VHOST_USER_REFUSED_FDS
                                                      : VIRTQ_VHOST_USER_ACCEPTED;
}

VIRTQ_API uint32_t virtq_vhost_user_judge(const struct virtq_vhost_user_message *message,
                                          uint64_t protocol)
{
    const struct rule *rule = rule_of(message->header.request);

    if (rule == NULL) {
        return VIRTQ_VHOST_USER_REFUSED_REQUEST;
    }
    if (rule->feature != ALWAYS && (protocol >> rule->feature & 1u) == 0) {
        return VIRTQ_VHOST_USER_REFUSED_PROTOCOL;
    }
    if (message->header.size < rule->size_min || message->header.size > rule->size_max) {
        return VIRTQ_VHOST_USER_REFUSED_SIZE;
    }
    return judge_counts(rule, message);
}

VIRTQ_API int virtq_vhost_user_answered(uint32_t request, uint64_t protocol)
{
    const struct rule *rule = rule_of(request);

    return rule != NULL && rule->answered != 0 &&
           (rule->feature == ALWAYS || (protocol >> rule->feature & 1u) != 0);
}

VIRTQ_API const char *virtq_vhost_user_request_name(uint32_t request)
{
    const struct rule *rule = rule_of(request);

    return rule != NULL ? rule->name : "?";
}

VIRTQ_API const char *virtq_vhost_user_refusal_name(uint32_t refusal)
{
    return refusal < sizeof(refusals) / sizeof(refusals[0]) ? refusals[refusal] : "?";
}
