/* SPDX-License-Identifier: BSD-3-Clause */
#include "vhost_user_mapped.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

int virtq_priv_mapped_init(struct virtq_priv_mapped *mapped, bool strict)
{
    int error;

    memset(mapped, 0, sizeof(*mapped));
    mapped->strict = strict;
    error = virtq_direct_init_regions(&mapped->direct, NULL, 0);
    return error != VIRTQ_OK
               ? error
               : virtq_guard_init(&mapped->guard, &mapped->direct.space, VIRTQ_GUARD_EPOCH);
}

static void unmap(struct virtq_priv_mapped_region *regions, uint32_t count)
{
    uint32_t i;

    for (i = 0; i < count; i++) {
        (void)munmap(regions[i].mapping, regions[i].mapping_size);
    }
}

void virtq_priv_mapped_fini(struct virtq_priv_mapped *mapped)
{
    unmap(mapped->live, mapped->count);
    unmap(mapped->retired, mapped->retired_count);
    mapped->count = 0;
    mapped->retired_count = 0;
}

/* A range that is one: not empty, and its last byte has an address (L6). */
static bool legal(uint64_t first, uint64_t size)
{
    return size != 0 && size - 1 <= UINT64_MAX - first;
}

/* Whether the file has all these bytes, and, if we are strict, always will. A file that becomes
 * shorter later makes an access to it end the program. */
static uint32_t judge_file(int fd, uint64_t end, bool strict)
{
    struct stat file;
    int seals;

    if (fstat(fd, &file) != 0 || file.st_size < 0 ||
        (S_ISREG(file.st_mode) && (uint64_t)file.st_size < end)) {
        return VIRTQ_VHOST_USER_REFUSED_MEMORY;
    }
    seals = strict ? fcntl(fd, F_GET_SEALS) : F_SEAL_SHRINK;
    return seals < 0 || (seals & F_SEAL_SHRINK) == 0 ? VIRTQ_VHOST_USER_REFUSED_SEAL
                                                     : VIRTQ_VHOST_USER_ACCEPTED;
}

/* What offset and length of a mapping have to be multiples of. */
static uint64_t page_of(int fd)
{
    struct statfs filesystem;
    long page = sysconf(_SC_PAGESIZE);

    if (fstatfs(fd, &filesystem) == 0 && (uint64_t)filesystem.f_type == HUGETLBFS_MAGIC &&
        filesystem.f_bsize > page) {
        page = filesystem.f_bsize;
    }
    return page > 0 ? (uint64_t)page : 4096;
}

/* Maps one region: from the page that it begins in to the page that it ends in. */
static uint32_t map(struct virtq_priv_mapped_region *region,
                    const struct virtq_vhost_user_region *wire, int fd, bool strict)
{
    const uint64_t most = INT64_MAX;
    uint64_t page;
    uint64_t start;
    uint64_t size;
    uint32_t refusal;

    if (!legal(wire->guest_address, wire->size) || !legal(wire->user_address, wire->size) ||
        wire->mmap_offset > most || wire->size > most - wire->mmap_offset) {
        return VIRTQ_VHOST_USER_REFUSED_VALUE;
    }
    refusal = judge_file(fd, wire->mmap_offset + wire->size, strict);
    if (refusal != VIRTQ_VHOST_USER_ACCEPTED) {
        return refusal;
    }
    page = page_of(fd);
    start = wire->mmap_offset / page * page;
    size = wire->mmap_offset - start + wire->size;
    if (size > most - page) {
        return VIRTQ_VHOST_USER_REFUSED_MEMORY;
    }
    size = (size + page - 1) / page * page;
    if (size > SIZE_MAX) {
        return VIRTQ_VHOST_USER_REFUSED_MEMORY;
    }
    region->wire = *wire;
    region->mapping_size = (size_t)size;
    region->mapping = mmap(NULL, region->mapping_size, PROT_READ | PROT_WRITE,
                           MAP_SHARED | MAP_NORESERVE, fd, (off_t)start);
    if (region->mapping == MAP_FAILED) {
        return VIRTQ_VHOST_USER_REFUSED_MEMORY;
    }
    /* A guest's memory has no place in our core dumps. */
    (void)madvise(region->mapping, region->mapping_size, MADV_DONTDUMP);
    region->base = (unsigned char *)region->mapping + (wire->mmap_offset - start);
    return VIRTQ_VHOST_USER_ACCEPTED;
}

/* Puts a region where its address belongs. */
static void insert(struct virtq_priv_mapped_region *regions, uint32_t count,
                   const struct virtq_priv_mapped_region *region)
{
    uint32_t at = count;

    while (at > 0 && regions[at - 1].wire.guest_address > region->wire.guest_address) {
        regions[at] = regions[at - 1];
        at--;
    }
    regions[at] = *region;
}

/* Makes these the space's regions. The other table is free: the last change waited for all bursts
 * that could still read it (L3). */
static uint32_t publish(struct virtq_priv_mapped *mapped,
                        const struct virtq_priv_mapped_region *regions, uint32_t count)
{
    const uint32_t next = mapped->current ^ 1u;
    struct virtq_direct_table *table = &mapped->tables[next];
    uint32_t i;

    for (i = 0; i < count; i++) {
        const struct virtq_vhost_user_region *wire = &regions[i].wire;

        mapped->regions[next][i] = (struct virtq_region){
            .first = wire->guest_address,
            .last = wire->guest_address + (wire->size - 1),
            .base = regions[i].base,
            .permissions = (uint32_t)VIRTQ_PERMISSION_READ | (uint32_t)VIRTQ_PERMISSION_WRITE};
    }
    table->regions = mapped->regions[next];
    table->count = count;
    if (virtq_direct_set_regions(&mapped->direct, table) != VIRTQ_OK) {
        return VIRTQ_VHOST_USER_REFUSED_MEMORY;
    }
    mapped->current = next;
    return VIRTQ_VHOST_USER_ACCEPTED;
}

uint32_t virtq_priv_mapped_set(struct virtq_priv_mapped *mapped,
                               const struct virtq_vhost_user_region *regions, const int *fds,
                               uint32_t count)
{
    struct virtq_priv_mapped_region fresh[VIRTQ_VHOST_USER_TABLE_MAX];
    uint32_t refusal = VIRTQ_VHOST_USER_ACCEPTED;
    uint32_t done = 0;

    memset(fresh, 0, sizeof(fresh));
    virtq_priv_mapped_reclaim(mapped);
    if (count > VIRTQ_VHOST_USER_TABLE_MAX ||
        mapped->retired_count + mapped->count > VIRTQ_PRIV_RETIRED_MAX) {
        return VIRTQ_VHOST_USER_REFUSED_MEMORY;
    }
    while (done < count && refusal == VIRTQ_VHOST_USER_ACCEPTED) {
        struct virtq_priv_mapped_region region;

        refusal = map(&region, &regions[done], fds[done], mapped->strict);
        if (refusal == VIRTQ_VHOST_USER_ACCEPTED) {
            insert(fresh, done, &region);
            done++;
        }
    }
    if (refusal == VIRTQ_VHOST_USER_ACCEPTED) {
        refusal = publish(mapped, fresh, count);
    }
    if (refusal != VIRTQ_VHOST_USER_ACCEPTED) {
        unmap(fresh, done);
        return refusal;
    }
    memcpy(mapped->retired + mapped->retired_count, mapped->live,
           mapped->count * sizeof(mapped->live[0]));
    mapped->retired_count += mapped->count;
    memcpy(mapped->live, fresh, count * sizeof(fresh[0]));
    mapped->count = count;
    virtq_priv_mapped_reclaim(mapped);
    return VIRTQ_VHOST_USER_ACCEPTED;
}

uint32_t virtq_priv_mapped_add(struct virtq_priv_mapped *mapped,
                               const struct virtq_vhost_user_region *region, int fd)
{
    struct virtq_priv_mapped_region next[VIRTQ_VHOST_USER_SLOTS_MAX];
    struct virtq_priv_mapped_region fresh;
    uint32_t refusal;

    if (mapped->count == VIRTQ_VHOST_USER_SLOTS_MAX) {
        return VIRTQ_VHOST_USER_REFUSED_MEMORY;
    }
    refusal = map(&fresh, region, fd, mapped->strict);
    if (refusal != VIRTQ_VHOST_USER_ACCEPTED) {
        return refusal;
    }
    memcpy(next, mapped->live, mapped->count * sizeof(next[0]));
    insert(next, mapped->count, &fresh);
    refusal = publish(mapped, next, mapped->count + 1);
    if (refusal != VIRTQ_VHOST_USER_ACCEPTED) {
        unmap(&fresh, 1);
        return refusal;
    }
    mapped->count++;
    memcpy(mapped->live, next, mapped->count * sizeof(next[0]));
    return VIRTQ_VHOST_USER_ACCEPTED;
}

uint32_t virtq_priv_mapped_remove(struct virtq_priv_mapped *mapped,
                                  const struct virtq_vhost_user_region *region)
{
    struct virtq_priv_mapped_region next[VIRTQ_VHOST_USER_SLOTS_MAX];
    uint32_t at = 0;
    uint32_t refusal;

    while (at < mapped->count && (mapped->live[at].wire.guest_address != region->guest_address ||
                                  mapped->live[at].wire.user_address != region->user_address ||
                                  mapped->live[at].wire.size != region->size)) {
        at++;
    }
    virtq_priv_mapped_reclaim(mapped);
    if (at == mapped->count) {
        return VIRTQ_VHOST_USER_REFUSED_VALUE;
    }
    if (mapped->retired_count == VIRTQ_PRIV_RETIRED_MAX) {
        return VIRTQ_VHOST_USER_REFUSED_MEMORY;
    }
    memcpy(next, mapped->live, at * sizeof(next[0]));
    memcpy(next + at, mapped->live + at + 1, (mapped->count - at - 1) * sizeof(next[0]));
    refusal = publish(mapped, next, mapped->count - 1);
    if (refusal != VIRTQ_VHOST_USER_ACCEPTED) {
        return refusal;
    }
    mapped->retired[mapped->retired_count++] = mapped->live[at];
    mapped->count--;
    memcpy(mapped->live, next, mapped->count * sizeof(next[0]));
    virtq_priv_mapped_reclaim(mapped);
    return VIRTQ_VHOST_USER_ACCEPTED;
}

void virtq_priv_mapped_reclaim(struct virtq_priv_mapped *mapped)
{
    /* Buffers in flight may lie there. The space no longer gives it to anybody. */
    if (mapped->retired_count != 0 && virtq_guard_held(&mapped->guard) == 0) {
        unmap(mapped->retired, mapped->retired_count);
        mapped->retired_count = 0;
    }
}

bool virtq_priv_mapped_find(const struct virtq_priv_mapped *mapped, uint64_t user_address,
                            virtq_addr_t *addr)
{
    uint32_t i;

    for (i = 0; i < mapped->count; i++) {
        const struct virtq_vhost_user_region *wire = &mapped->live[i].wire;

        if (user_address >= wire->user_address && user_address - wire->user_address < wire->size) {
            *addr = wire->guest_address + (user_address - wire->user_address);
            return true;
        }
    }
    return false;
}
