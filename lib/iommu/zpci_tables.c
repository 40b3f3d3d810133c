/* SPDX-License-Identifier: BSD-3-Clause */
/* A guest's tables. They are only ever written: what is in them is known from private memory. */
#include <string.h>

#include "../space/lock.h"
#include "../space/region.h"
#include "virtq/inline/shm.h"
#include "zpci_guest.h"

#define PAGE_MASK (VIRTQ_ZPCI_PAGE - 1)
#define SEGMENT_MASK (VIRTQ_ZPCI_SEGMENT - 1)

/* The part of a range that lies in one segment. */
struct part {
    virtq_addr_t rest; /* where the range goes on behind it */
    unsigned char *base;
    uint32_t segment;
    unsigned from;
    unsigned count;
};

static void cut(struct part *part, const struct virtq_region *range, virtq_addr_t at)
{
    virtq_addr_t end = at | SEGMENT_MASK;

    end = end < range->last ? end : range->last;
    part->rest = end + 1;
    /* As a number: unmapped ranges have no base to count from. */
    part->base = (unsigned char *)((uintptr_t)range->base + (uintptr_t)(at - range->first));
    part->segment = (uint32_t)(at >> 20);
    part->from = (unsigned)(at >> 12) & (VIRTQ_ZPCI_PAGES - 1);
    part->count = (unsigned)((end - at) >> 12) + 1;
}

/* An entry is one store of its own width, so that nobody finds half of one. */
static void put(uint64_t *table, unsigned slot, uint64_t entry)
{
    virtq_shm_store64(&table[slot], entry, VIRTQ_INSTANCE_BIG_ENDIAN);
}

static void fill(uint64_t *table, unsigned slots, uint64_t entry)
{
    unsigned i;

    for (i = 0; i < slots; i++) {
        put(table, i, entry);
    }
}

static uint64_t segments_at(uint32_t directory)
{
    return (1 + (uint64_t)directory) * VIRTQ_ZPCI_TABLE_SIZE;
}

static uint64_t pages_at(const struct virtq_zpci_guest *guest, uint32_t leaf)
{
    return segments_at(guest->index.directories) + leaf * VIRTQ_ZPCI_PAGE_TABLE_SIZE;
}

static uint64_t *table_at(const struct virtq_zpci_guest *guest, uint64_t offset)
{
    return (uint64_t *)(void *)(guest->tables + offset);
}

static void put_segment(struct virtq_zpci_guest *guest, uint32_t segment, uint64_t entry)
{
    uint32_t region = segment / VIRTQ_ZPCI_TABLE_ENTRIES;
    uint32_t directory = virtq_priv_zpci_index_directory(&guest->index, region);

    put(table_at(guest, segments_at(directory)), segment % VIRTQ_ZPCI_TABLE_ENTRIES, entry);
}

void virtq_priv_zpci_tables_init(struct virtq_zpci_guest *guest)
{
    fill(table_at(guest, 0), VIRTQ_ZPCI_TABLE_ENTRIES, VIRTQ_ZPCI_INVALID);
}

/* Z3, partner Z4 of a machine that walks by itself: a table's entries before the one that leads to
 * it. Without it the machine finds what lay there before. */
static void publish(void)
{
    __atomic_thread_fence(__ATOMIC_RELEASE);
}

static bool open_segment_table(struct virtq_zpci_guest *guest, uint32_t region)
{
    uint32_t directory = virtq_priv_zpci_index_directory(&guest->index, region);

    if (directory != VIRTQ_PRIV_ZPCI_NONE) {
        return true;
    }
    directory = virtq_priv_zpci_index_open(&guest->index, region);
    if (directory == VIRTQ_PRIV_ZPCI_NONE) {
        return false;
    }
    fill(table_at(guest, segments_at(directory)), VIRTQ_ZPCI_TABLE_ENTRIES, VIRTQ_ZPCI_INVALID);
    publish();
    put(table_at(guest, 0), region,
        (guest->absolute + segments_at(directory)) | VIRTQ_ZPCI_TYPE_REGION | VIRTQ_ZPCI_LENGTH);
    return true;
}

static bool open_page_table(struct virtq_zpci_guest *guest, uint32_t segment)
{
    uint32_t leaf = virtq_priv_zpci_index_add(&guest->index, segment);

    if (leaf == VIRTQ_PRIV_ZPCI_NONE) {
        return false;
    }
    memset(&guest->leaves[leaf], 0, sizeof(guest->leaves[leaf]));
    fill(table_at(guest, pages_at(guest, leaf)), VIRTQ_ZPCI_PAGES, VIRTQ_ZPCI_PAGE_INVALID);
    publish();
    put_segment(guest, segment, guest->absolute + pages_at(guest, leaf));
    return true;
}

/* The region of the guest's memory that a page lies in; NULL if it lies in none. The last one
 * asked for is the likeliest. */
static const struct virtq_region *region_of(const struct virtq_zpci_guest *guest,
                                            const unsigned char *page,
                                            const struct virtq_region *likely)
{
    uint32_t i;

    for (i = 0; i <= guest->memory_count; i++) {
        const struct virtq_region *region = i == 0 ? likely : &guest->memory[i - 1];
        uint64_t span = region->last - region->first;
        uint64_t offset = (uintptr_t)page - (uintptr_t)region->base;

        if ((uintptr_t)page >= (uintptr_t)region->base && span >= PAGE_MASK &&
            offset <= span - PAGE_MASK && ((region->first + offset) & PAGE_MASK) == 0) {
            return region;
        }
    }
    return NULL;
}

static uint64_t absolute_of(const struct virtq_region *region, const unsigned char *page)
{
    return region->first + ((uintptr_t)page - (uintptr_t)region->base);
}

/* How many pages from one on lie in its region; they are contiguous in absolute addresses. */
static unsigned pages_in(const struct virtq_region *region, const unsigned char *page,
                         unsigned most)
{
    uint64_t left = region->last - absolute_of(region, page);
    uint64_t pages = (left >> 12) + ((left & PAGE_MASK) == PAGE_MASK);

    return pages < most ? (unsigned)pages : most;
}

/* Whether a part can be a large frame: a whole segment, and memory that is aligned to one and lies
 * in one region. */
static bool is_frame(const struct virtq_zpci_guest *guest, const struct part *part,
                     uint64_t *absolute)
{
    const struct virtq_region *region;

    if ((guest->flags & VIRTQ_ZPCI_LARGE_FRAMES) == 0 || part->count != VIRTQ_ZPCI_PAGES) {
        return false;
    }
    region = region_of(guest, part->base, guest->memory);
    if (region == NULL) {
        return false;
    }
    *absolute = absolute_of(region, part->base);
    return (*absolute & SEGMENT_MASK) == 0 && SEGMENT_MASK <= region->last - *absolute;
}

/* The bits of a part in one word of a leaf. */
static uint64_t bits_of(const struct part *part, unsigned word)
{
    unsigned low = word * 64;
    unsigned first = part->from > low ? part->from : low;
    unsigned end = part->from + part->count < low + 64 ? part->from + part->count : low + 64;

    if (first >= end) {
        return 0;
    }
    return (UINT64_MAX >> (64 - (end - first))) << (first - low);
}

static int prepare_part(struct virtq_zpci_guest *guest, const struct part *part)
{
    const struct virtq_region *region = guest->memory;
    uint64_t absolute;
    uint32_t leaf;
    unsigned i;

    for (i = 0; i < part->count;) {
        const unsigned char *page = part->base + i * VIRTQ_ZPCI_PAGE;

        region = region_of(guest, page, region);
        if (region == NULL) {
            return VIRTQ_EFAULT;
        }
        i += pages_in(region, page, part->count - i);
    }
    if (!open_segment_table(guest, part->segment / VIRTQ_ZPCI_TABLE_ENTRIES)) {
        return VIRTQ_ENOMEM;
    }
    leaf = virtq_priv_zpci_index_find(&guest->index, part->segment);
    if (leaf == VIRTQ_PRIV_ZPCI_LARGE) {
        return VIRTQ_EINVAL;
    }
    if (leaf == VIRTQ_PRIV_ZPCI_NONE) {
        return is_frame(guest, part, &absolute) || open_page_table(guest, part->segment)
                   ? 0
                   : VIRTQ_ENOMEM;
    }
    if (guest->leaves[leaf].reclaiming != 0) {
        return VIRTQ_ENOMEM;
    }
    for (i = 0; i < 4; i++) {
        if ((guest->leaves[leaf].valid[i] & bits_of(part, i)) != 0) {
            return VIRTQ_EINVAL;
        }
    }
    return 0;
}

int virtq_priv_zpci_tables_prepare(struct virtq_zpci_guest *guest, const struct virtq_region *range)
{
    virtq_addr_t at = range->first;
    int error = 0;

    if (!virtq_priv_region_legal(range) || range->first < guest->first ||
        range->last > guest->last ||
        ((range->first | (range->last + 1) | (uintptr_t)range->base) & PAGE_MASK) != 0) {
        return VIRTQ_EINVAL;
    }
    while (error == 0 && at <= range->last) {
        struct part part;

        cut(&part, range, at);
        error = prepare_part(guest, &part);
        at = part.rest;
    }
    return error;
}

/* The part was prepared, so there is a region for each of its pages. */
static void enter_pages(struct virtq_zpci_guest *guest, const struct part *part, uint32_t leaf,
                        uint64_t flags)
{
    uint64_t *table = table_at(guest, pages_at(guest, leaf)) + part->from;
    const struct virtq_region *region = guest->memory;
    unsigned at = 0;

    while (at < part->count) {
        const unsigned char *page = part->base + at * VIRTQ_ZPCI_PAGE;
        uint64_t entry;
        unsigned end;

        region = region_of(guest, page, region);
        if (region == NULL) {
            return;
        }
        entry = absolute_of(region, page) | flags;
        for (end = at + pages_in(region, page, part->count - at); at < end; at++) {
            put(table, at, entry);
            entry += VIRTQ_ZPCI_PAGE;
        }
    }
}

static void enter_part(struct virtq_zpci_guest *guest, const struct part *part, uint64_t flags)
{
    uint32_t leaf = virtq_priv_zpci_index_find(&guest->index, part->segment);
    uint64_t absolute = 0;
    unsigned i;

    if (leaf == VIRTQ_PRIV_ZPCI_LARGE) {
        /* A list that names a range twice. */
        return;
    }
    if (leaf == VIRTQ_PRIV_ZPCI_NONE) {
        (void)is_frame(guest, part, &absolute);
        virtq_priv_zpci_index_add_large(&guest->index, part->segment);
        put_segment(guest, part->segment, absolute | flags | VIRTQ_ZPCI_LARGE);
        return;
    }
    enter_pages(guest, part, leaf, flags);
    for (i = 0; i < 4; i++) {
        guest->leaves[leaf].valid[i] |= bits_of(part, i);
    }
}

void virtq_priv_zpci_tables_enter(struct virtq_zpci_guest *guest, const struct virtq_region *range)
{
    const uint64_t flags =
        (range->permissions & VIRTQ_PERMISSION_WRITE) != 0 ? 0 : VIRTQ_ZPCI_PROTECTED;
    virtq_addr_t at = range->first;

    while (at <= range->last) {
        struct part part;

        cut(&part, range, at);
        enter_part(guest, &part, flags);
        virtq_priv_zpci_count(&guest->usage.pages, part.count);
        at = part.rest;
    }
}

static bool holds_part(const struct virtq_zpci_guest *guest, const struct part *part)
{
    uint32_t leaf = virtq_priv_zpci_index_find(&guest->index, part->segment);
    unsigned i;

    if (leaf == VIRTQ_PRIV_ZPCI_LARGE) {
        return part->count == VIRTQ_ZPCI_PAGES;
    }
    if (leaf == VIRTQ_PRIV_ZPCI_NONE) {
        return false;
    }
    for (i = 0; i < 4; i++) {
        if ((~guest->leaves[leaf].valid[i] & bits_of(part, i)) != 0) {
            return false;
        }
    }
    return true;
}

bool virtq_priv_zpci_tables_hold(const struct virtq_zpci_guest *guest,
                                 const struct virtq_region *range)
{
    virtq_addr_t at = range->first;
    bool held = range->first <= range->last && range->first >= guest->first &&
                range->last <= guest->last && ((range->first | (range->last + 1)) & PAGE_MASK) == 0;

    while (held && at <= range->last) {
        struct part part;

        cut(&part, range, at);
        held = holds_part(guest, &part);
        at = part.rest;
    }
    return held;
}

static void erase_part(struct virtq_zpci_guest *guest, const struct part *part)
{
    uint32_t leaf = virtq_priv_zpci_index_find(&guest->index, part->segment);
    unsigned i;

    if (leaf == VIRTQ_PRIV_ZPCI_LARGE) {
        put_segment(guest, part->segment, VIRTQ_ZPCI_INVALID);
        virtq_priv_zpci_index_remove(&guest->index, part->segment);
        return;
    }
    fill(table_at(guest, pages_at(guest, leaf)) + part->from, part->count, VIRTQ_ZPCI_PAGE_INVALID);
    for (i = 0; i < 4; i++) {
        guest->leaves[leaf].valid[i] &= ~bits_of(part, i);
    }
}

void virtq_priv_zpci_tables_erase(struct virtq_zpci_guest *guest, const struct virtq_region *range)
{
    virtq_addr_t at = range->first;

    while (at <= range->last) {
        struct part part;

        cut(&part, range, at);
        erase_part(guest, &part);
        virtq_priv_zpci_count(&guest->usage.pages, 0 - (uint64_t)part.count);
        at = part.rest;
    }
}

/* Whether a leaf is some segment's: the index itself says so, for the word that names the owner
 * names the next free one otherwise. */
static bool is_used(const struct virtq_zpci_guest *guest, uint32_t leaf)
{
    uint32_t owner = guest->index.owners[leaf];

    return owner < VIRTQ_PRIV_ZPCI_SEGMENTS &&
           virtq_priv_zpci_index_find(&guest->index, owner) == leaf;
}

static unsigned take_out_empty(struct virtq_zpci_guest *guest)
{
    unsigned count = 0;
    uint32_t i;

    for (i = 0; i < guest->index.leaves; i++) {
        struct virtq_zpci_leaf *leaf = &guest->leaves[i];

        if ((leaf->valid[0] | leaf->valid[1] | leaf->valid[2] | leaf->valid[3]) == 0 &&
            is_used(guest, i)) {
            leaf->reclaiming = 1;
            put_segment(guest, guest->index.owners[i], VIRTQ_ZPCI_INVALID);
            count++;
        }
    }
    return count;
}

static void give_back(struct virtq_zpci_guest *guest, bool refreshed)
{
    uint32_t i;

    for (i = 0; i < guest->index.leaves; i++) {
        if (guest->leaves[i].reclaiming == 0) {
            continue;
        }
        guest->leaves[i].reclaiming = 0;
        if (refreshed) {
            virtq_priv_zpci_index_remove(&guest->index, guest->index.owners[i]);
        } else {
            /* It may be known still where it was, so there it stays. */
            put_segment(guest, guest->index.owners[i], guest->absolute + pages_at(guest, i));
        }
    }
}

int virtq_priv_zpci_tables_reclaim(struct virtq_zpci_guest *guest)
{
    unsigned count = 0;
    int error = VIRTQ_ENOMEM;

    virtq_priv_lock(&guest->lock);
    if (guest->reclaiming == 0) {
        count = take_out_empty(guest);
        guest->reclaiming = count != 0;
    }
    virtq_priv_unlock(&guest->lock);
    if (count == 0) {
        return error;
    }
    virtq_priv_zpci_count(&guest->usage.reclaims, 1);
    error = virtq_zpci_guest_refresh_all(guest);
    virtq_priv_lock(&guest->lock);
    give_back(guest, error == 0);
    guest->reclaiming = 0;
    virtq_priv_unlock(&guest->lock);
    return error;
}
