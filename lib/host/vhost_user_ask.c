/* SPDX-License-Identifier: BSD-3-Clause */
/* The back-end's own requests: misses go out, and what became of them comes back. Nothing waits. */
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "vhost_user_tlb.h"

static void watch(struct virtq_priv_tlb *tlb, uint32_t events)
{
    struct epoll_event event = {.events = events, .data = {.fd = VIRTQ_PRIV_TLB_CHANNEL}};

    if (events != tlb->events) {
        tlb->events = events;
        (void)epoll_ctl(tlb->epoll, EPOLL_CTL_MOD, tlb->watched, &event);
    }
}

/* The channel is over. What was waited for is not what the channel has closed: the front-end may
 * have kept the socket, and the system would report it for ever. */
static void hang_up(struct virtq_priv_tlb *tlb)
{
    struct epoll_event event = {.events = 0};

    if (tlb->watched >= 0) {
        (void)epoll_ctl(tlb->epoll, EPOLL_CTL_DEL, tlb->watched, &event);
        (void)close(tlb->watched);
    }
    tlb->watched = -1;
    virtq_vhost_user_channel_fini(&tlb->channel);
}

/* A new channel knows nothing of what the old one was asked. What rings wait for they note again.
 */
bool virtq_priv_tlb_connect(struct virtq_priv_tlb *tlb, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data = {.fd = VIRTQ_PRIV_TLB_CHANNEL}};
    const int watched = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    uint32_t i;

    if (watched < 0 || epoll_ctl(tlb->epoll, EPOLL_CTL_ADD, watched, &event) != 0) {
        if (watched >= 0) {
            (void)close(watched);
        }
        return false;
    }
    hang_up(tlb);
    virtq_vhost_user_channel_init(&tlb->channel, fd);
    tlb->watched = watched;
    tlb->events = EPOLLIN;
    for (i = 0; i < tlb->asked_count; i++) {
        virtq_iotlb_forget_miss(&tlb->iotlb, &virtq_priv_tlb_asked(tlb, i)->miss);
    }
    tlb->asked_count = 0;
    (void)__atomic_add_fetch(&tlb->updates, 1u, __ATOMIC_SEQ_CST);
    return true;
}

/* Results come in the order of the requests. Anything else ends the channel: whoever waits for a
 * translation then, waits. */
static bool result(struct virtq_priv_tlb *tlb, const struct virtq_vhost_user_message *message)
{
    struct virtq_priv_asked *asked = virtq_priv_tlb_asked(tlb, 0);

    if (message->header.request != (uint32_t)VHOST_USER_BACKEND_IOTLB_MSG ||
        (message->header.flags & (uint32_t)VHOST_USER_REPLY) == 0 ||
        message->header.size != sizeof(message->payload.u64) || message->fd_count != 0 ||
        tlb->asked_count == 0) {
        return false;
    }
    tlb->asked_first = (tlb->asked_first + 1) % VIRTQ_PRIV_MISSES_MAX;
    tlb->asked_count--;
    if (message->payload.u64 != 0) {
        virtq_priv_tlb_refuse(tlb, asked, VIRTQ_EFAULT);
    }
    return true;
}

void virtq_priv_tlb_receive(struct virtq_priv_tlb *tlb)
{
    struct virtq_vhost_user_message *message;
    uint32_t i;

    for (i = 0; i < VIRTQ_PRIV_MISSES_MAX; i++) {
        const int got = virtq_vhost_user_channel_receive(&tlb->channel, &message);

        if (got == 0) {
            return;
        }
        if (got < 0 || !result(tlb, message)) {
            hang_up(tlb);
            return;
        }
    }
}

static int send_message(struct virtq_priv_tlb *tlb, const struct virtq_miss *miss, uint8_t type,
                        uint32_t flags)
{
    const struct virtq_vhost_user_header header = {VHOST_USER_BACKEND_IOTLB_MSG,
                                                   (uint32_t)VHOST_USER_VERSION | flags,
                                                   sizeof(struct virtq_vhost_user_iotlb)};
    struct virtq_vhost_user_iotlb wire;

    memset(&wire, 0, sizeof(wire));
    wire.iova = miss->addr;
    wire.size = miss->len;
    wire.permissions = (uint8_t)miss->permissions;
    wire.type = type;
    return virtq_vhost_user_channel_send(&tlb->channel, &header, &wire, NULL, 0);
}

static int ask(struct virtq_priv_tlb *tlb, const struct virtq_miss *miss, bool replies)
{
    if (replies) {
        *virtq_priv_tlb_asked(tlb, tlb->asked_count) = (struct virtq_priv_asked){*miss, false};
        tlb->asked_count++;
    }
    return send_message(tlb, miss, VHOST_USER_IOTLB_MISS, replies ? VHOST_USER_NEED_REPLY : 0u);
}

/* News for its log: where it does not read, it does without. */
void virtq_priv_tlb_tell(struct virtq_priv_tlb *tlb, const struct virtq_miss *miss)
{
    (void)!send_message(tlb, miss, VHOST_USER_IOTLB_ACCESS_FAIL, 0);
}

void virtq_priv_tlb_ask(struct virtq_priv_tlb *tlb, bool replies)
{
    int flushed = virtq_vhost_user_channel_flush(&tlb->channel);
    struct virtq_miss miss;

    while (flushed == 1 && tlb->asked_count < VIRTQ_PRIV_MISSES_MAX &&
           virtq_iotlb_next_miss(&tlb->iotlb, &miss) == 1) {
        flushed = ask(tlb, &miss, replies) == VIRTQ_OK
                      ? virtq_vhost_user_channel_flush(&tlb->channel)
                      : VIRTQ_EPEER;
    }
    if (flushed >= 0) {
        watch(tlb, flushed == 1 ? EPOLLIN : EPOLLIN | EPOLLOUT);
    } else {
        hang_up(tlb);
    }
}
