/* SPDX-License-Identifier: BSD-3-Clause */
/* The walk over the guest's tables: each word is loaded once, and what was loaded is judged. */
#include "virtq/inline/shm.h"
#include "zpci_host.h"

/* Three levels and no more, however the tables lead: an entry of one level is no entry of
 * another, and nothing is followed twice. */
struct walk {
    struct virtq_zpci_host *host;
    struct virtq_window tables; /* where the last word was */
    struct virtq_window pages;  /* where the last page was */
    uint64_t words;             /* that may still be read */
    uint32_t event;             /* an enum virtq_zpci_event */
    bool short_of;              /* something did not fit */
};

/* What an entry says about writing; it holds for all that lies below. */
static uint64_t permissions_of(uint64_t entry, uint64_t above)
{
    return (entry & VIRTQ_ZPCI_PROTECTED) != 0 ? above & VIRTQ_PERMISSION_READ : above;
}

static bool holds(const struct virtq_window *window, uint64_t first, uint64_t span)
{
    return window->permissions != 0 && first >= window->first && first <= window->last &&
           span <= window->last - first;
}

/* Whether a run of the guest's addresses lies in its memory. */
static bool find(struct walk *walk, struct virtq_window *window, uint64_t first, uint64_t span)
{
    if (holds(window, first, span)) {
        return true;
    }
    window->permissions = 0;
    return virtq_priv_zpci_memory(walk->host, first, VIRTQ_PERMISSION_READ, window) == 0 &&
           holds(window, first, span);
}

/* Where words of a table lie, which are then loaded once each; NULL: not all of them in one run of
 * the memory, which is of whole pages, or not so that a word can be loaded in one. */
static const uint64_t *words_at(struct walk *walk, uint64_t absolute, unsigned count)
{
    uintptr_t at;

    walk->words -= count;
    walk->host->usage.words += count;
    if (!find(walk, &walk->tables, absolute, count * sizeof(uint64_t) - 1)) {
        return NULL;
    }
    at = (uintptr_t)walk->tables.base + (uintptr_t)(absolute - walk->tables.first);
    return at % sizeof(uint64_t) == 0 ? (const uint64_t *)at : NULL;
}

static uint64_t load(const uint64_t *word)
{
    return virtq_shm_load64(word, VIRTQ_INSTANCE_BIG_ENDIAN);
}

/* An entry of the region or a segment table: 0, 1 for one that leads nowhere, or below 0 with the
 * event. */
static int enter(struct walk *walk, uint64_t table, uint32_t slot, uint64_t type, uint64_t *entry)
{
    const uint64_t *word = words_at(walk, table + slot * sizeof(uint64_t), 1);

    *entry = word != NULL ? load(word) : 0;
    if (*entry == 0) {
        walk->event = VIRTQ_ZPCI_EVENT_ENTRY;
        return VIRTQ_EFAULT;
    }
    if ((*entry & VIRTQ_ZPCI_INVALID) != 0) {
        return 1;
    }
    if (type == VIRTQ_ZPCI_TYPE_REGION &&
        ((*entry & VIRTQ_ZPCI_LENGTH) != VIRTQ_ZPCI_LENGTH || (*entry & VIRTQ_ZPCI_OFFSET) != 0)) {
        walk->event = VIRTQ_ZPCI_EVENT_LENGTH;
        return VIRTQ_EFAULT;
    }
    if ((*entry & VIRTQ_ZPCI_TYPE) != type) {
        walk->event = VIRTQ_ZPCI_EVENT_TYPE;
        return VIRTQ_EFAULT;
    }
    return 0;
}

/* What a page table says of `count` pages, into `fresh`. */
static int read_pages(struct walk *walk, uint64_t table, unsigned from, unsigned count,
                      uint64_t permissions)
{
    const uint64_t *words = words_at(walk, table + from * sizeof(uint64_t), count);
    uint64_t *fresh = walk->host->fresh;
    unsigned i;

    walk->event = VIRTQ_ZPCI_EVENT_ENTRY;
    if (words == NULL) {
        return VIRTQ_EFAULT;
    }
    for (i = 0; i < count; i++) {
        const uint64_t entry = load(&words[i]);
        const uint64_t page = entry & ~(VIRTQ_ZPCI_PAGE - 1);

        if (entry == 0) {
            return VIRTQ_EFAULT;
        }
        fresh[i] = 0;
        if ((entry & VIRTQ_ZPCI_PAGE_INVALID) != 0) {
            continue;
        }
        if (!find(walk, &walk->pages, page, VIRTQ_ZPCI_PAGE - 1)) {
            return VIRTQ_EFAULT;
        }
        fresh[i] = page | permissions_of(entry, permissions);
    }
    return 0;
}

/* A large frame, as the pages that it is made of. */
static int read_frame(struct walk *walk, uint64_t frame, unsigned from, unsigned count,
                      uint64_t permissions)
{
    uint64_t page = frame + from * VIRTQ_ZPCI_PAGE;
    unsigned i;

    for (i = 0; i < count; i++, page += VIRTQ_ZPCI_PAGE) {
        if (!find(walk, &walk->pages, page, VIRTQ_ZPCI_PAGE - 1)) {
            walk->event = VIRTQ_ZPCI_EVENT_ENTRY;
            return VIRTQ_EFAULT;
        }
        walk->host->fresh[i] = page | permissions;
    }
    return 0;
}

/* [at, last] lies in one segment. */
static int walk_segment(struct walk *walk, uint64_t table, virtq_addr_t at, virtq_addr_t last,
                        uint64_t permissions)
{
    uint32_t segment = (uint32_t)(at >> 20);
    unsigned from = (unsigned)(at >> 12) & (VIRTQ_ZPCI_PAGES - 1);
    unsigned count = (unsigned)((last - at) >> 12) + 1;
    uint64_t entry = 0;
    int error =
        enter(walk, table, segment % VIRTQ_ZPCI_TABLE_ENTRIES, VIRTQ_ZPCI_TYPE_SEGMENT, &entry);

    if (error == 1 &&
        virtq_priv_zpci_index_find(&walk->host->index, segment) != VIRTQ_PRIV_ZPCI_NONE) {
        virtq_priv_zpci_shadow_drop(walk->host, at, last);
    }
    if (error == 1) {
        return 0;
    }
    if (error != 0) {
        return error;
    }
    permissions = permissions_of(entry, permissions);
    if ((entry & VIRTQ_ZPCI_LARGE) != 0) {
        error = read_frame(walk, entry & ~(VIRTQ_ZPCI_SEGMENT - 1), from, count, permissions);
    } else {
        error =
            read_pages(walk, entry & ~(VIRTQ_ZPCI_PAGE_TABLE_SIZE - 1), from, count, permissions);
    }
    if (error == 0) {
        error = virtq_priv_zpci_shadow_update(walk->host, segment, from, count);
        if (error == VIRTQ_ENOMEM) {
            /* Further on something may still be removed, so the walk goes on. */
            walk->short_of = true;
            error = 0;
        } else if (error != 0) {
            walk->event = VIRTQ_ZPCI_EVENT_ENTRY;
        }
    }
    return error;
}

/* [*at, last] lies in one region. `*at` follows, for whoever reports where it went wrong. */
static int walk_region(struct walk *walk, virtq_addr_t *at, virtq_addr_t last)
{
    uint64_t entry = 0;
    int error =
        enter(walk, walk->host->origin, (uint32_t)(*at >> 31), VIRTQ_ZPCI_TYPE_REGION, &entry);

    if (error == 1) {
        virtq_priv_zpci_shadow_drop(walk->host, *at, last);
        *at = last + 1;
        return 0;
    }
    while (error == 0 && *at <= last && walk->words > VIRTQ_ZPCI_PAGES) {
        virtq_addr_t end = *at | (VIRTQ_ZPCI_SEGMENT - 1);

        end = end < last ? end : last;
        error = walk_segment(walk, entry & ~(VIRTQ_ZPCI_TABLE_SIZE - 1), *at, end,
                             permissions_of(entry, VIRTQ_PRIV_ZPCI_PERMISSIONS));
        if (error == 0) {
            *at = end + 1;
        }
    }
    return error;
}

void virtq_priv_zpci_walk(struct virtq_zpci_host *host, virtq_addr_t first, virtq_addr_t last,
                          struct virtq_zpci_answer *answer)
{
    struct walk walk = {.host = host, .words = host->words_max};
    virtq_addr_t at = first;
    int error = 0;

    while (error == 0 && at <= last && walk.words > VIRTQ_ZPCI_PAGES) {
        virtq_addr_t end = at | (VIRTQ_ZPCI_REGION - 1);

        error = walk_region(&walk, &at, end < last ? end : last);
    }
    if (error != 0) {
        answer->condition = VIRTQ_ZPCI_ERROR;
        answer->status = VIRTQ_ZPCI_STATUS_IN_ERROR;
        answer->event = walk.event;
        answer->addr = at;
        return;
    }
    if (at <= last) {
        /* More tables than are worth the host's while: what was not looked at may be old, so it
         * goes. */
        virtq_priv_zpci_shadow_drop(host, at, last);
        walk.short_of = true;
    }
    if (walk.short_of) {
        answer->condition = VIRTQ_ZPCI_ERROR;
        answer->status = VIRTQ_ZPCI_STATUS_RESOURCES;
    }
}
