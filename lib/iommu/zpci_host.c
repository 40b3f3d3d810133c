/* SPDX-License-Identifier: BSD-3-Clause */
#include "zpci_host.h"

#include <string.h>

#include "../space/lock.h"
#include "../space/region.h"

/* No table begins here: it could not be aligned. */
#define NO_TABLES UINT64_MAX
#define PAGE_MASK (VIRTQ_ZPCI_PAGE - 1)

static int window_of(struct virtq_space *space, virtq_addr_t addr, uint32_t permission,
                     struct virtq_window *window);

static const struct virtq_space_ops host_ops = {
    .size = sizeof(struct virtq_space_ops),
    .name = "zpci",
    .window = window_of,
};

int virtq_priv_zpci_memory(struct virtq_zpci_host *host, uint64_t absolute, uint32_t permission,
                           struct virtq_window *window)
{
    struct virtq_window answer = {0};
    int error = host->memory->ops->window(host->memory, absolute, permission, &answer);

    if (error == 0 && (absolute < answer.first || absolute > answer.last)) {
        error = VIRTQ_EFAULT;
    }
    if (error == 0) {
        *window = answer;
    }
    return error;
}

/* The shadow says where in the guest's memory, and the space below where that is. */
static int window_of(struct virtq_space *space, virtq_addr_t addr, uint32_t permission,
                     struct virtq_window *window)
{
    struct virtq_zpci_host *host = (struct virtq_zpci_host *)space;
    struct virtq_window pages = {0};
    struct virtq_window below;
    uint64_t absolute = 0;
    uint64_t before;
    uint64_t after;
    int error;

    if (!virtq_priv_permissions_legal(permission)) {
        return VIRTQ_EINVAL;
    }
    if (virtq_zpci_host_state(host) != (uint32_t)VIRTQ_ZPCI_ENABLED) {
        return VIRTQ_EFAULT;
    }
    error = virtq_priv_zpci_shadow_lookup(host, addr, permission, &pages, &absolute);
    if (error != 0) {
        return error;
    }
    absolute += addr - pages.first;
    error = virtq_priv_zpci_memory(host, absolute, permission, &below);
    if (error != 0) {
        return error;
    }
    before = addr - pages.first;
    after = pages.last - addr;
    before = before < absolute - below.first ? before : absolute - below.first;
    after = after < below.last - absolute ? after : below.last - absolute;
    window->first = addr - before;
    window->last = addr + after;
    /* As a number: the base of a window of all memory is no object to count in. */
    window->base =
        (unsigned char *)((uintptr_t)below.base + (uintptr_t)(absolute - before - below.first));
    window->permissions = pages.permissions & below.permissions;
    window->reserved_ = 0;
    return 0;
}

/* The guest's memory has withdrawn something: so have we. */
static void memory_moved(struct virtq_space_listener *listener, int wait)
{
    unsigned char *at = (unsigned char *)listener;
    struct virtq_zpci_host *host =
        (struct virtq_zpci_host *)(void *)(at - offsetof(struct virtq_zpci_host, listener));

    if (wait != 0) {
        virtq_space_invalidated(&host->space);
    } else {
        virtq_space_moved(&host->space);
    }
}

static size_t entries_size(uint32_t segments)
{
    return (size_t)segments * VIRTQ_ZPCI_PAGES * sizeof(uint64_t);
}

size_t virtq_zpci_host_size(uint32_t regions, uint32_t segments)
{
    size_t index = virtq_priv_zpci_index_size(regions, segments);

    return index == SIZE_MAX
               ? SIZE_MAX
               : index + entries_size(segments) + (((size_t)segments * 4 + 7) & ~(size_t)7);
}

static bool config_legal(const struct virtq_zpci_host_config *config)
{
    return config->struct_size >= sizeof(*config) && config->memory != NULL &&
           config->memory->ops->size >= offsetof(struct virtq_space_ops, batch) &&
           config->memory->ops->window != NULL && config->tables != NULL &&
           (uintptr_t)config->tables % 8 == 0 &&
           config->tables_size >= virtq_zpci_host_size(config->regions, config->segments) &&
           config->pages_max != 0 && config->words_max > VIRTQ_ZPCI_PAGES + 2 &&
           (config->pin == NULL) == (config->unpin == NULL) && config->first <= config->last &&
           config->last <= VIRTQ_ZPCI_LAST && (config->first & PAGE_MASK) == 0 &&
           (config->last & PAGE_MASK) == PAGE_MASK;
}

int virtq_zpci_host_init(struct virtq_zpci_host *host, const struct virtq_zpci_host_config *config)
{
    unsigned char *at = config->tables;

    if (!config_legal(config)) {
        return VIRTQ_EINVAL;
    }
    memset(host, 0, sizeof(*host));
    host->space.ops = &host_ops;
    host->space.driver_kind = VIRTQ_SPACE_CALLED;
    host->space.device_kind = VIRTQ_SPACE_CALLED;
    host->memory = config->memory;
    host->entries = (uint64_t *)(void *)at;
    memset(at, 0, entries_size(config->segments));
    at += entries_size(config->segments);
    host->used = (uint32_t *)(void *)at;
    memset(at, 0, (size_t)config->segments * sizeof(*host->used));
    at += ((size_t)config->segments * sizeof(*host->used) + 7) & ~(size_t)7;
    virtq_priv_zpci_index_init(&host->index, config->regions, config->segments, at);
    host->pages_max = config->pages_max;
    host->words_max = config->words_max;
    host->first = config->first;
    host->last = config->last;
    host->origin = NO_TABLES;
    host->context = config->context;
    host->pin = config->pin;
    host->unpin = config->unpin;
    host->handle = config->handle;
    host->state = VIRTQ_ZPCI_ENABLED;
    host->listener.moved = memory_moved;
    host->listener.next = config->memory->listeners;
    config->memory->listeners = &host->listener;
    return 0;
}

void virtq_zpci_host_destroy(struct virtq_zpci_host *host)
{
    struct virtq_space_listener **at = &host->memory->listeners;

    virtq_priv_zpci_shadow_drop(host, 0, VIRTQ_ZPCI_LAST);
    while (*at != NULL && *at != &host->listener) {
        at = &(*at)->next;
    }
    if (*at != NULL) {
        *at = host->listener.next;
    }
}

/* Hooks and guards may take long, so nobody waits for another's refresh: the architecture has an
 * answer for that. */
static bool enter(struct virtq_zpci_host *host)
{
    return __atomic_exchange_n(&host->busy, 1u, __ATOMIC_ACQUIRE) == 0;
}

static void leave(struct virtq_zpci_host *host)
{
    __atomic_store_n(&host->busy, 0u, __ATOMIC_RELEASE);
}

int virtq_zpci_host_register(struct virtq_zpci_host *host, virtq_addr_t base, virtq_addr_t limit,
                             uint64_t anchor)
{
    const uint64_t kind = VIRTQ_ZPCI_ANCHOR_ENABLED | VIRTQ_ZPCI_ANCHOR_REGION;
    int error = 0;

    if (!enter(host)) {
        return VIRTQ_EBUSY;
    }
    base &= ~PAGE_MASK;
    limit |= PAGE_MASK;
    if (host->origin != NO_TABLES) {
        error = VIRTQ_EBUSY;
    } else if (base > limit || base < host->first || limit > host->last) {
        error = VIRTQ_EINVAL;
    } else if ((anchor & PAGE_MASK) != kind) {
        error = VIRTQ_ENOTSUP;
    } else {
        host->base = base;
        host->limit = limit;
        host->origin = anchor & ~PAGE_MASK;
    }
    leave(host);
    return error;
}

int virtq_zpci_host_unregister(struct virtq_zpci_host *host)
{
    if (!enter(host)) {
        return VIRTQ_EBUSY;
    }
    host->origin = NO_TABLES;
    virtq_priv_zpci_shadow_drop(host, 0, VIRTQ_ZPCI_LAST);
    leave(host);
    return 0;
}

/* The state first: a device that asks while the shadow is emptied finds nothing new. */
static void set_state(struct virtq_zpci_host *host, uint32_t state)
{
    __atomic_store_n(&host->state, state, __ATOMIC_RELEASE);
    if (state == (uint32_t)VIRTQ_ZPCI_DISABLED) {
        host->origin = NO_TABLES;
    }
    if (state == (uint32_t)VIRTQ_ZPCI_DISABLED || state == (uint32_t)VIRTQ_ZPCI_IN_ERROR) {
        virtq_priv_zpci_shadow_drop(host, 0, VIRTQ_ZPCI_LAST);
    }
    if (state == (uint32_t)VIRTQ_ZPCI_BLOCKED) {
        virtq_space_invalidated(&host->space);
    }
}

int virtq_zpci_host_set_state(struct virtq_zpci_host *host, uint32_t state)
{
    if (state > (uint32_t)VIRTQ_ZPCI_IN_ERROR) {
        return VIRTQ_EINVAL;
    }
    if (!enter(host)) {
        return VIRTQ_EBUSY;
    }
    set_state(host, state);
    leave(host);
    return 0;
}

uint32_t virtq_zpci_host_state(const struct virtq_zpci_host *host)
{
    return __atomic_load_n(&host->state, __ATOMIC_ACQUIRE);
}

/* The range as whole pages of what is registered: 0, or the event. */
static uint32_t range_of(const struct virtq_zpci_host *host, virtq_addr_t *first,
                         virtq_addr_t *last)
{
    if (host->origin == NO_TABLES) {
        return VIRTQ_ZPCI_EVENT_NO_TABLES;
    }
    if (*first > *last || *last < host->base || *first > host->limit) {
        return VIRTQ_ZPCI_EVENT_RANGE;
    }
    *first = *first < host->base ? host->base : *first & ~PAGE_MASK;
    *last = *last > host->limit ? host->limit : *last | PAGE_MASK;
    return VIRTQ_ZPCI_EVENT_NONE;
}

static void refresh(struct virtq_zpci_host *host, virtq_addr_t first, uint64_t len,
                    struct virtq_zpci_answer *answer)
{
    virtq_addr_t last = first + (len - 1);
    uint32_t event = range_of(host, &first, &last);

    host->usage.refreshes++;
    if (event == VIRTQ_ZPCI_EVENT_NONE) {
        /* Z2, partner Z1 of the guest's end: the call before the tables that it is about. */
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        virtq_priv_zpci_walk(host, first, last, answer);
    } else {
        answer->condition = VIRTQ_ZPCI_ERROR;
        answer->status = VIRTQ_ZPCI_STATUS_IN_ERROR;
        answer->event = event;
        answer->addr = first;
    }
    host->usage.shortages += answer->status == (uint32_t)VIRTQ_ZPCI_STATUS_RESOURCES;
    if (answer->event != (uint32_t)VIRTQ_ZPCI_EVENT_NONE) {
        host->usage.errors++;
        set_state(host, VIRTQ_ZPCI_IN_ERROR);
    }
}

void virtq_zpci_host_refresh(struct virtq_zpci_host *host, uint64_t function, virtq_addr_t first,
                             uint64_t len, struct virtq_zpci_answer *answer)
{
    uint32_t state;

    memset(answer, 0, sizeof(*answer));
    if ((uint32_t)(function >> 32) != host->handle) {
        answer->condition = VIRTQ_ZPCI_HANDLE;
        return;
    }
    if (!enter(host)) {
        answer->condition = VIRTQ_ZPCI_BUSY;
        return;
    }
    state = virtq_zpci_host_state(host);
    if (state == (uint32_t)VIRTQ_ZPCI_DISABLED) {
        answer->condition = VIRTQ_ZPCI_HANDLE;
    } else if (state == (uint32_t)VIRTQ_ZPCI_IN_ERROR) {
        answer->condition = VIRTQ_ZPCI_ERROR;
        answer->status = VIRTQ_ZPCI_STATUS_RECOVERY;
    } else if (len != 0) {
        refresh(host, first, len, answer);
    }
    leave(host);
}

void virtq_zpci_host_read_usage(const struct virtq_zpci_host *host,
                                struct virtq_zpci_host_usage *usage)
{
    *usage = host->usage;
}
