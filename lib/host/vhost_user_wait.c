/* SPDX-License-Identifier: BSD-3-Clause */
/* Rings that wait for a translation, and how they go on. A burst in which anything was missing,
 * whichever call it was, is followed by another one when the front-end has said something new. */
#include <unistd.h>

#include "vhost_user_backend_private.h"

void virtq_priv_vring_began(struct virtq_vhost_user_backend *backend, uint32_t index)
{
    struct virtq_priv_vring *vring = &backend->vrings[index];

    if (!vring->translated) {
        return;
    }
    /* Before any look at the table: W1, see virtq_priv_vring_ended(). */
    __atomic_store_n(&vring->seen, __atomic_load_n(&backend->tlb.updates, __ATOMIC_ACQUIRE),
                     __ATOMIC_RELAXED);
    vring->missed = __atomic_load_n(&backend->tlb.missed, __ATOMIC_RELAXED);
    if (vring->owes) {
        /* What was pushed may not have been published, and what was published not been told: there
         * may be nothing more to pop that would bring it about. */
        vring->owes = false;
        (void)virtq_vhost_user_vring_publish(backend, index);
        (void)virtq_vhost_user_vring_notify(backend, index);
    }
}

static void wake(const struct virtq_vhost_user_backend *backend)
{
    const uint64_t one = 1;
    ssize_t put = write(backend->tlb.wake, &one, sizeof(one));

    (void)put;
}

void virtq_priv_vring_ended(struct virtq_vhost_user_backend *backend, uint32_t index)
{
    struct virtq_priv_vring *vring = &backend->vrings[index];

    /* That another ring may have missed meanwhile costs a look in vain. */
    if (!vring->translated ||
        __atomic_load_n(&backend->tlb.missed, __ATOMIC_RELAXED) == vring->missed) {
        return;
    }
    vring->owes = true;
    /* W1: says that it waits, then whoever is woken looks at the updates. An update counts itself
     * first, and then looks for who waits. So one of the two sees the other. */
    __atomic_store_n(&vring->waits, 1u, __ATOMIC_SEQ_CST);
    if (!vring->inside) {
        wake(backend);
    }
}

/* A thread that waits for the ring's kicks itself gets one, unless it can be told otherwise. */
static void poke(struct virtq_vhost_user_backend *backend, uint32_t index)
{
    if (backend->ops.serve != NULL || backend->ops.wake != NULL) {
        virtq_priv_vring_serve(backend, index);
    } else {
        virtq_priv_vring_signal(&backend->vrings[index].kick);
    }
}

static void start_again(struct virtq_vhost_user_backend *backend, uint32_t index)
{
    const uint32_t refusal = virtq_priv_vring_start(backend, index);

    if (refusal == VIRTQ_VHOST_USER_ACCEPTED) {
        virtq_priv_vring_serve(backend, index);
        return;
    }
    /* It was accepted when the kick came; so it is told as a ring that breaks is. */
    backend->refusal = refusal;
    if (backend->ops.refused != NULL) {
        backend->ops.refused(backend->opaque, VHOST_USER_SET_VRING_KICK, refusal);
    }
    virtq_vhost_user_vring_error(backend, index);
}

void virtq_priv_backend_retry(struct virtq_vhost_user_backend *backend)
{
    uint32_t i;

    for (i = 0; i < backend->queue_count; i++) {
        struct virtq_priv_vring *vring = &backend->vrings[i];
        const uint64_t updates = __atomic_load_n(&backend->tlb.updates, __ATOMIC_RELAXED);

        if (__atomic_load_n(&vring->waits, __ATOMIC_SEQ_CST) == 0 ||
            __atomic_load_n(&vring->seen, __ATOMIC_RELAXED) == updates) {
            continue;
        }
        __atomic_store_n(&vring->waits, 0u, __ATOMIC_RELAXED);
        if (vring->starting) {
            start_again(backend, i);
        } else if (vring->device != NULL) {
            poke(backend, i);
        }
    }
}
