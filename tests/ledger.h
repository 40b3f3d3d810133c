/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief A space that keeps a ledger: device addresses are pointers moved far away, every grant is
 * noted, every call counted, and whatever is asked of it can be made to fail.
 */
#ifndef VIRTQ_TESTS_LEDGER_H
#define VIRTQ_TESTS_LEDGER_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "runner.h"
#include "virtq/space.h"

enum { LEDGER_GRANTS = 256 };

/** @brief What an address is more than its pointer. */
#define LEDGER_FAR UINT64_C(0x7a00000000000000)

/** @brief A run of addresses that the device may use. */
struct ledger_grant {
    virtq_addr_t addr;
    uint64_t len;
    uint32_t permissions;
    uint64_t mapping; /**< Which buffer's; 0: shared. */
};

/** @brief The space. Fields from `map_error` on are for tests to set. */
struct ledger {
    struct virtq_space space;
    struct virtq_space_ops ops;
    struct ledger_grant grants[LEDGER_GRANTS];
    unsigned count;
    uint64_t mappings;
    unsigned maps;
    unsigned unmaps;
    unsigned shares;
    unsigned unshares;
    unsigned windows;
    uint64_t written; /**< The sum of what unmap was told. */
    int map_error;
    int share_error;
    unsigned share_good; /**< So many more shares work before `share_error` counts. */
    bool wide;           /**< One window for everything, with both permissions. */
    virtq_addr_t hidden; /**< No window is known for the grant that begins here. */
};

/** @brief Where a pointer is for the device. */
static inline virtq_addr_t ledger_addr(const void *base)
{
    return (virtq_addr_t)(uintptr_t)base + LEDGER_FAR;
}

/** @brief The grant that begins at an address, or NULL. */
static inline const struct ledger_grant *ledger_find(const struct ledger *l, virtq_addr_t addr)
{
    for (unsigned i = 0; i < l->count; i++) {
        if (l->grants[i].addr == addr) {
            return &l->grants[i];
        }
    }
    return NULL;
}

static inline void ledger_grant(struct ledger *l, const void *base, uint64_t len,
                                uint32_t permissions, uint64_t mapping)
{
    cr_assert(l->count < LEDGER_GRANTS);
    l->grants[l->count].addr = ledger_addr(base);
    l->grants[l->count].len = len;
    l->grants[l->count].permissions = permissions;
    l->grants[l->count].mapping = mapping;
    l->count++;
}

static inline void ledger_revoke(struct ledger *l, unsigned i)
{
    l->grants[i] = l->grants[--l->count];
    virtq_space_invalidated(&l->space);
}

static inline int ledger_map(struct virtq_space *space, struct virtq_mapping *mapping)
{
    struct ledger *l = (struct ledger *)(void *)space;
    const unsigned count = (unsigned)mapping->segments_readable + mapping->segments_writable;

    if (l->map_error != VIRTQ_OK || count > mapping->capacity) {
        return l->map_error != VIRTQ_OK ? l->map_error : VIRTQ_EFULL;
    }
    l->maps++;
    l->mappings++;
    memcpy(mapping->record, &l->mappings, sizeof(l->mappings));
    for (unsigned i = 0; i < count; i++) {
        const struct virtq_segment *s = &mapping->segments[i];
        const bool readable = i < mapping->segments_readable;

        mapping->runs[i].addr = ledger_addr(s->base);
        mapping->runs[i].len = s->len;
        mapping->copied += readable ? s->len : 0;
        ledger_grant(l, s->base, s->len, readable ? VIRTQ_PERMISSION_READ : VIRTQ_PERMISSION_WRITE,
                     l->mappings);
    }
    mapping->runs_readable = mapping->segments_readable;
    mapping->runs_writable = mapping->segments_writable;
    return VIRTQ_OK;
}

static inline void ledger_unmap(struct virtq_space *space, struct virtq_mapping *mapping,
                                uint64_t written)
{
    struct ledger *l = (struct ledger *)(void *)space;
    uint64_t id;
    unsigned i = l->count;

    memcpy(&id, mapping->record, sizeof(id));
    cr_assert(id != 0 && id <= l->mappings);
    l->unmaps++;
    l->written += written;
    mapping->copied += written;
    while (i-- > 0) {
        if (l->grants[i].mapping == id) {
            ledger_revoke(l, i);
        }
    }
}

static inline int ledger_share(struct virtq_space *space, void *base, uint64_t len,
                               uint32_t permissions, virtq_addr_t *addr)
{
    struct ledger *l = (struct ledger *)(void *)space;

    if (l->share_error != VIRTQ_OK && l->share_good-- == 0) {
        return l->share_error;
    }
    l->shares++;
    ledger_grant(l, base, len, permissions, 0);
    *addr = ledger_addr(base);
    return VIRTQ_OK;
}

static inline void ledger_unshare(struct virtq_space *space, virtq_addr_t addr, uint64_t len)
{
    struct ledger *l = (struct ledger *)(void *)space;
    const struct ledger_grant *grant = ledger_find(l, addr);

    cr_assert(grant != NULL && grant->mapping == 0 && grant->len == len);
    l->unshares++;
    ledger_revoke(l, (unsigned)(grant - l->grants));
}

static inline int ledger_window(struct virtq_space *space, virtq_addr_t addr, uint32_t permission,
                                struct virtq_window *window)
{
    struct ledger *l = (struct ledger *)(void *)space;
    int error = VIRTQ_EFAULT;

    l->windows++;
    for (unsigned i = 0; i < l->count; i++) {
        const struct ledger_grant *grant = &l->grants[i];

        if (addr - grant->addr >= grant->len) {
            continue;
        }
        if (grant->addr == l->hidden) {
            return VIRTQ_EMISS;
        }
        error = VIRTQ_EPERM;
        if ((grant->permissions & permission) == permission) {
            window->first = l->wide ? LEDGER_FAR : grant->addr;
            window->last = l->wide ? UINT64_MAX : grant->addr + grant->len - 1;
            window->base = l->wide ? NULL : (unsigned char *)(uintptr_t)(grant->addr - LEDGER_FAR);
            window->permissions = grant->permissions | (l->wide ? 3u : 0u);
            return VIRTQ_OK;
        }
    }
    return error;
}

static inline void ledger_init(struct ledger *l)
{
    memset(l, 0, sizeof(*l));
    l->ops.size = sizeof(l->ops);
    l->ops.name = "ledger";
    l->ops.map = ledger_map;
    l->ops.unmap = ledger_unmap;
    l->ops.share = ledger_share;
    l->ops.unshare = ledger_unshare;
    l->ops.window = ledger_window;
    l->space.ops = &l->ops;
    l->space.record_fixed = sizeof(uint64_t);
}

#endif
