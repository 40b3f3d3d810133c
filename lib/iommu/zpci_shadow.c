/* SPDX-License-Identifier: BSD-3-Clause */
/* The shadow: what the device can reach, as the guest's tables said it at the last refresh. */
#include <string.h>

#include "../space/lock.h"
#include "zpci_host.h"

/* A reader that finds the index changing again and again takes the lock in the end. */
enum { READ_TRIES = 8 };

static uint64_t *entries_of(const struct virtq_zpci_host *host, uint32_t leaf)
{
    return host->entries + (size_t)leaf * VIRTQ_ZPCI_PAGES;
}

static uint64_t load(const uint64_t *entry)
{
    return __atomic_load_n(entry, __ATOMIC_RELAXED);
}

/* Around a change of the index: a leaf that becomes another segment's must not answer for this
 * one. */
static void index_begin(struct virtq_zpci_host *host)
{
    virtq_priv_lock(&host->lock);
    __atomic_store_n(&host->sequence, host->sequence + 1, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
}

static void index_commit(struct virtq_zpci_host *host)
{
    __atomic_store_n(&host->sequence, host->sequence + 1, __ATOMIC_RELEASE);
    virtq_priv_unlock(&host->lock);
}

static uint32_t take_leaf(struct virtq_zpci_host *host, uint32_t segment)
{
    uint32_t region = segment / VIRTQ_ZPCI_TABLE_ENTRIES;
    uint32_t leaf = VIRTQ_PRIV_ZPCI_NONE;

    index_begin(host);
    if (virtq_priv_zpci_index_directory(&host->index, region) != VIRTQ_PRIV_ZPCI_NONE ||
        virtq_priv_zpci_index_open(&host->index, region) != VIRTQ_PRIV_ZPCI_NONE) {
        leaf = virtq_priv_zpci_index_add(&host->index, segment);
        virtq_priv_zpci_index_close(&host->index, region);
    }
    index_commit(host);
    return leaf;
}

static void give_leaf_back(struct virtq_zpci_host *host, uint32_t segment)
{
    index_begin(host);
    virtq_priv_zpci_index_remove(&host->index, segment);
    virtq_priv_zpci_index_close(&host->index, segment / VIRTQ_ZPCI_TABLE_ENTRIES);
    index_commit(host);
}

/* The next run of `host->moved` from `*at` on that is one run of the guest's memory too; its length
 * in pages, 0: there is none. */
static unsigned next_run(const struct virtq_zpci_host *host, unsigned count, unsigned *at)
{
    const uint64_t *moved = host->moved;
    unsigned end;

    while (*at < count && moved[*at] == 0) {
        ++*at;
    }
    if (*at == count) {
        return 0;
    }
    /* The first page of all does not follow the last: a sum that wraps ends the run. */
    for (end = *at + 1; end < count && moved[end] > moved[end - 1] &&
                        moved[end] - moved[end - 1] == VIRTQ_ZPCI_PAGE;
         end++) {
    }
    return end - *at;
}

/* Entries that say something else now go, and nothing comes in their place yet. First from the
 * shadow, then from the queues, and only then the pages are let go (L3, M1). */
static void withdraw(struct virtq_zpci_host *host, uint32_t leaf, unsigned from, unsigned count)
{
    uint64_t *entries = entries_of(host, leaf) + from;
    unsigned gone = 0;
    unsigned at = 0;
    unsigned run;
    unsigned i;

    for (i = 0; i < count; i++) {
        host->moved[i] = 0;
        if (entries[i] != 0 && entries[i] != host->fresh[i]) {
            host->moved[i] = entries[i];
            __atomic_store_n(&entries[i], 0, __ATOMIC_RELAXED);
            gone++;
        }
    }
    if (gone == 0) {
        return;
    }
    host->used[leaf] -= gone;
    host->usage.pages -= gone;
    host->usage.withdrawals++;
    virtq_space_invalidated(&host->space);
    while (host->unpin != NULL && (run = next_run(host, count, &at)) != 0) {
        host->unpin(host->context, host->moved[at] & ~VIRTQ_PRIV_ZPCI_PERMISSIONS,
                    run * VIRTQ_ZPCI_PAGE,
                    (uint32_t)(host->moved[at] & VIRTQ_PRIV_ZPCI_PERMISSIONS));
        at += run;
    }
}

/* Entries that were not there come: pinned first. A shortage leaves out what does not fit. */
static int install(struct virtq_zpci_host *host, uint32_t leaf, unsigned from, unsigned count)
{
    uint64_t *entries = entries_of(host, leaf) + from;
    int error = 0;
    unsigned at = 0;
    unsigned run;
    unsigned i;

    for (i = 0; i < count; i++) {
        host->moved[i] = entries[i] == 0 ? host->fresh[i] : 0;
    }
    while ((run = next_run(host, count, &at)) != 0) {
        const uint64_t first = host->moved[at];
        const uint64_t room = host->pages_max - host->usage.pages;

        if (run > room) {
            run = (unsigned)room;
            error = VIRTQ_ENOMEM;
        }
        if (run != 0 && host->pin != NULL) {
            int answer =
                host->pin(host->context, first & ~VIRTQ_PRIV_ZPCI_PERMISSIONS,
                          run * VIRTQ_ZPCI_PAGE, (uint32_t)(first & VIRTQ_PRIV_ZPCI_PERMISSIONS));

            if (answer != 0) {
                return answer;
            }
        }
        if (run == 0) {
            break;
        }
        for (i = at; i < at + run; i++) {
            __atomic_store_n(&entries[i], host->moved[i], __ATOMIC_RELEASE);
        }
        host->used[leaf] += run;
        host->usage.pages += run;
        at += run;
    }
    return error;
}

static bool any_fresh(const struct virtq_zpci_host *host, unsigned count)
{
    uint64_t all = 0;
    unsigned i;

    for (i = 0; i < count; i++) {
        all |= host->fresh[i];
    }
    return all != 0;
}

int virtq_priv_zpci_shadow_update(struct virtq_zpci_host *host, uint32_t segment, unsigned from,
                                  unsigned count)
{
    uint32_t leaf = virtq_priv_zpci_index_find(&host->index, segment);
    int error = 0;

    if (leaf != VIRTQ_PRIV_ZPCI_NONE) {
        withdraw(host, leaf, from, count);
    }
    if (any_fresh(host, count)) {
        if (leaf == VIRTQ_PRIV_ZPCI_NONE) {
            leaf = take_leaf(host, segment);
        }
        if (leaf == VIRTQ_PRIV_ZPCI_NONE) {
            return VIRTQ_ENOMEM;
        }
        error = install(host, leaf, from, count);
    }
    if (leaf != VIRTQ_PRIV_ZPCI_NONE && host->used[leaf] == 0) {
        give_leaf_back(host, segment);
    }
    return error;
}

void virtq_priv_zpci_shadow_drop(struct virtq_zpci_host *host, virtq_addr_t first,
                                 virtq_addr_t last)
{
    const virtq_addr_t span = VIRTQ_ZPCI_SEGMENT - 1;
    virtq_addr_t at = first;

    memset(host->fresh, 0, sizeof(host->fresh));
    while (at <= last) {
        uint32_t segment = (uint32_t)(at >> 20);
        virtq_addr_t end = (at | span) < last ? at | span : last;

        if (virtq_priv_zpci_index_directory(&host->index, segment / VIRTQ_ZPCI_TABLE_ENTRIES) ==
            VIRTQ_PRIV_ZPCI_NONE) {
            /* Nothing in all the region: where it ends. */
            at = (at | (VIRTQ_ZPCI_REGION - 1)) + 1;
            continue;
        }
        if (virtq_priv_zpci_index_find(&host->index, segment) != VIRTQ_PRIV_ZPCI_NONE) {
            (void)virtq_priv_zpci_shadow_update(host, segment,
                                                (unsigned)(at >> 12) & (VIRTQ_ZPCI_PAGES - 1),
                                                (unsigned)((end - at) >> 12) + 1);
        }
        at = end + 1;
    }
}

/* One look, which counts only if the index has not changed meanwhile. The leaf bounds it. */
static int look(const struct virtq_zpci_host *host, virtq_addr_t addr, uint32_t permission,
                struct virtq_window *window, uint64_t *absolute)
{
    const unsigned page = (unsigned)(addr >> 12) & (VIRTQ_ZPCI_PAGES - 1);
    const uint64_t *entries;
    unsigned first = page;
    unsigned last = page;
    uint64_t entry;
    uint64_t next;
    uint32_t leaf;

    leaf = virtq_priv_zpci_index_find(&host->index, (uint32_t)(addr >> 20));
    if (leaf == VIRTQ_PRIV_ZPCI_NONE) {
        return VIRTQ_EFAULT;
    }
    entries = entries_of(host, leaf);
    entry = load(&entries[page]);
    if (entry == 0) {
        return VIRTQ_EFAULT;
    }
    if ((entry & permission) != permission) {
        return VIRTQ_EPERM;
    }
    /* The first page of all does not follow the last: sums that wrap end a run. */
    for (next = entry - VIRTQ_ZPCI_PAGE;
         first > 0 && next < entry && load(&entries[first - 1]) == next; next -= VIRTQ_ZPCI_PAGE) {
        first--;
    }
    for (next = entry + VIRTQ_ZPCI_PAGE;
         last < VIRTQ_ZPCI_PAGES - 1 && next > entry && load(&entries[last + 1]) == next;
         next += VIRTQ_ZPCI_PAGE) {
        last++;
    }
    *absolute = (entry & ~VIRTQ_PRIV_ZPCI_PERMISSIONS) - (page - first) * VIRTQ_ZPCI_PAGE;
    window->first = (addr & ~(VIRTQ_ZPCI_SEGMENT - 1)) + first * VIRTQ_ZPCI_PAGE;
    window->last = window->first + (last - first + 1) * VIRTQ_ZPCI_PAGE - 1;
    window->permissions = (uint32_t)(entry & VIRTQ_PRIV_ZPCI_PERMISSIONS);
    return 0;
}

int virtq_priv_zpci_shadow_lookup(struct virtq_zpci_host *host, virtq_addr_t addr,
                                  uint32_t permission, struct virtq_window *window,
                                  uint64_t *absolute)
{
    unsigned tries;
    int error;

    if (addr > VIRTQ_ZPCI_LAST) {
        return VIRTQ_EFAULT;
    }
    for (tries = 0; tries < READ_TRIES; tries++) {
        uint32_t sequence = __atomic_load_n(&host->sequence, __ATOMIC_ACQUIRE);

        error = look(host, addr, permission, window, absolute);
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if ((sequence & 1u) == 0 &&
            __atomic_load_n(&host->sequence, __ATOMIC_RELAXED) == sequence) {
            return error;
        }
        virtq_priv_relax();
    }
    virtq_priv_lock(&host->lock);
    error = look(host, addr, permission, window, absolute);
    virtq_priv_unlock(&host->lock);
    return error;
}
