/* SPDX-License-Identifier: BSD-3-Clause */
/* The hypervisor's end: the guest's calls. */
#include <string.h>

#include "../space/lock.h"
#include "tce_private.h"

/* Pieces of guest memory that the page of one entry may be made of: a large page may lie over
 * several regions. What has more is refused. */
enum { PIECES_MAX = 64 };

void virtq_tce_host_init(struct virtq_tce_host *host)
{
    host->tables = NULL;
}

static struct virtq_tce_table *find(const struct virtq_tce_host *host, uint64_t liobn)
{
    struct virtq_tce_table *table = host->tables;

    /* The whole register counts: a LIOBN has 32 bits, and what is above them is no part of it. */
    while (table != NULL && table->window.liobn != liobn) {
        table = table->next;
    }
    return table;
}

int virtq_tce_host_add(struct virtq_tce_host *host, struct virtq_tce_table *table)
{
    if (find(host, table->window.liobn) != NULL) {
        return VIRTQ_EBUSY;
    }
    table->next = host->tables;
    host->tables = table;
    return 0;
}

void virtq_tce_host_remove(struct virtq_tce_host *host, struct virtq_tce_table *table)
{
    struct virtq_tce_table **at = &host->tables;

    while (*at != NULL && *at != table) {
        at = &(*at)->next;
    }
    if (*at != NULL) {
        *at = table->next;
    }
}

/* The entries of `count` pages from a bus address on. */
static bool in_window(const struct virtq_tce_table *table, uint64_t ioba, uint64_t count,
                      uint64_t *index)
{
    const struct virtq_tce_window *window = &table->window;

    if (ioba < window->first || (ioba & virtq_priv_tce_mask(window)) != 0) {
        return false;
    }
    *index = (ioba - window->first) >> window->shift;
    return *index < window->entries && count <= window->entries - *index;
}

/* Whether a run of real addresses is granted as a whole. `under` is the last answer, which often
 * covers the next question as well: a list is usually of neighbours. */
static int64_t judge_memory(const struct virtq_tce_table *table, uint64_t real, uint64_t span,
                            uint32_t permission, struct virtq_window *under)
{
    unsigned pieces;

    for (pieces = 0; pieces < PIECES_MAX; pieces++) {
        if (real < under->first || real > under->last ||
            (under->permissions & permission) != permission) {
            int error = table->memory->ops->window(table->memory, real, permission, under);

            if (error != 0) {
                return error == VIRTQ_EPERM ? VIRTQ_TCE_PERMISSION : VIRTQ_TCE_PARAMETER;
            }
        }
        if (span <= under->last - real) {
            return VIRTQ_TCE_SUCCESS;
        }
        span -= under->last - real + 1;
        real = under->last + 1;
    }
    return VIRTQ_TCE_PARAMETER;
}

static int64_t judge_entry(const struct virtq_tce_table *table, uint64_t entry,
                           struct virtq_window *under)
{
    uint64_t mask = virtq_priv_tce_mask(&table->window);

    if ((entry & VIRTQ_PRIV_TCE_BITS) == 0) {
        return VIRTQ_TCE_SUCCESS;
    }
    if ((entry & mask & ~VIRTQ_PRIV_TCE_BITS) != 0) {
        return VIRTQ_TCE_PARAMETER;
    }
    /* The page's last byte does not wrap: it is below 2^64 as its first is. */
    return judge_memory(table, entry & ~mask, mask, (uint32_t)(entry & VIRTQ_PRIV_TCE_BITS), under);
}

/* M1: what was granted is withdrawn from the queues before the guest's call returns. */
static int64_t done(struct virtq_tce_table *table, bool withdrawn)
{
    if (withdrawn) {
        virtq_space_invalidated(&table->space);
    }
    return VIRTQ_TCE_SUCCESS;
}

static int64_t stuff(struct virtq_tce_table *table, uint64_t ioba, uint64_t entry, uint64_t count)
{
    struct virtq_window under = {1, 0, NULL, 0, 0};
    bool withdrawn = false;
    int64_t status;
    uint64_t index;
    uint64_t i;

    if (!in_window(table, ioba, count, &index)) {
        return VIRTQ_TCE_PARAMETER;
    }
    status = judge_entry(table, entry, &under);
    if (status != VIRTQ_TCE_SUCCESS) {
        return status;
    }
    for (i = 0; i < count; i++) {
        withdrawn = virtq_priv_tce_store(table, index + i, entry) || withdrawn;
    }
    return done(table, withdrawn);
}

/* Copies a list out of guest memory, each entry by one load: what is judged is what is used,
 * however the guest changes the page meanwhile. */
static int64_t copy_list(struct virtq_tce_table *table, uint64_t real, uint64_t count)
{
    struct virtq_window under;
    const uint64_t *page;
    uint64_t i;

    if ((real & (VIRTQ_TCE_LIST_SIZE - 1)) != 0 ||
        table->memory->ops->window(table->memory, real, VIRTQ_PERMISSION_READ, &under) != 0 ||
        under.last - real < VIRTQ_TCE_LIST_SIZE - 1) {
        return VIRTQ_TCE_PARAMETER;
    }
    page = (const uint64_t *)(const void *)(under.base + (real - under.first));
    if (((uintptr_t)page & 7) != 0) {
        return VIRTQ_TCE_PARAMETER;
    }
    for (i = 0; i < count; i++) {
        table->list[i] = virtq_shm_load64(&page[i], VIRTQ_INSTANCE_BIG_ENDIAN);
    }
    return VIRTQ_TCE_SUCCESS;
}

/* All of them are judged before the first is stored. */
static int64_t store_list(struct virtq_tce_table *table, uint64_t index, uint64_t count,
                          bool *withdrawn)
{
    struct virtq_window under = {1, 0, NULL, 0, 0};
    int64_t status = VIRTQ_TCE_SUCCESS;
    uint64_t i;

    for (i = 0; i < count && status == VIRTQ_TCE_SUCCESS; i++) {
        status = judge_entry(table, table->list[i], &under);
    }
    for (i = 0; i < count && status == VIRTQ_TCE_SUCCESS; i++) {
        *withdrawn = virtq_priv_tce_store(table, index + i, table->list[i]) || *withdrawn;
    }
    return status;
}

static int64_t put_indirect(struct virtq_tce_table *table, uint64_t ioba, uint64_t list,
                            uint64_t count)
{
    bool withdrawn = false;
    int64_t status;
    uint64_t index;

    if (count > VIRTQ_TCE_LIST_MAX || !in_window(table, ioba, count, &index)) {
        return VIRTQ_TCE_PARAMETER;
    }
    virtq_priv_lock(&table->lock);
    status = copy_list(table, list, count);
    if (status == VIRTQ_TCE_SUCCESS) {
        status = store_list(table, index, count, &withdrawn);
    }
    virtq_priv_unlock(&table->lock);
    return status == VIRTQ_TCE_SUCCESS ? done(table, withdrawn) : status;
}

static int64_t get(const struct virtq_tce_table *table, uint64_t ioba, uint64_t *result)
{
    uint64_t index;

    if (!in_window(table, ioba, 1, &index)) {
        return VIRTQ_TCE_PARAMETER;
    }
    *result = virtq_priv_tce_load(table, index);
    return VIRTQ_TCE_SUCCESS;
}

int64_t virtq_tce_host_call(void *host, uint64_t call, const uint64_t *arguments, uint64_t *result)
{
    struct virtq_tce_table *table;

    if (call != VIRTQ_TCE_GET && call != VIRTQ_TCE_PUT && call != VIRTQ_TCE_STUFF &&
        call != VIRTQ_TCE_PUT_INDIRECT) {
        return VIRTQ_TCE_FUNCTION;
    }
    table = find(host, arguments[0]);
    if (table == NULL) {
        return VIRTQ_TCE_PARAMETER;
    }
    switch (call) {
    case VIRTQ_TCE_GET:
        return get(table, arguments[1], result);
    case VIRTQ_TCE_PUT:
        return stuff(table, arguments[1], arguments[2], 1);
    case VIRTQ_TCE_STUFF:
        return stuff(table, arguments[1], arguments[2], arguments[3]);
    default:
        return put_indirect(table, arguments[1], arguments[2], arguments[3]);
    }
}
