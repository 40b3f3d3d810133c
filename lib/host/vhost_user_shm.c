/* SPDX-License-Identifier: BSD-3-Clause */
#include "vhost_user_shm.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "virtq/host/vhost_user.h"

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

uint32_t virtq_priv_shm_map(struct virtq_priv_shm *shm, struct virtq_priv_fault *fault, int fd,
                            uint64_t offset, uint64_t size, bool strict)
{
    const uint64_t most = INT64_MAX;
    const uint64_t page = page_of(fd);
    const uint64_t start = offset / page * page;
    uint64_t whole = offset - start;
    void *mapping;
    uint32_t refusal;

    if (size == 0 || offset > most || size > most - offset) {
        return VIRTQ_VHOST_USER_REFUSED_VALUE;
    }
    refusal = judge_file(fd, offset + size, strict);
    if (refusal != VIRTQ_VHOST_USER_ACCEPTED) {
        return refusal;
    }
    whole += size;
    if (whole > most - page) {
        return VIRTQ_VHOST_USER_REFUSED_MEMORY;
    }
    whole = (whole + page - 1) / page * page;
    if (whole > SIZE_MAX) {
        return VIRTQ_VHOST_USER_REFUSED_MEMORY;
    }
    mapping = mmap(NULL, (size_t)whole, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd,
                   (off_t)start);
    if (mapping == MAP_FAILED) {
        return VIRTQ_VHOST_USER_REFUSED_MEMORY;
    }
    if (!virtq_priv_fault_add(fault, mapping, (size_t)whole, (size_t)page)) {
        (void)munmap(mapping, (size_t)whole);
        return VIRTQ_VHOST_USER_REFUSED_MEMORY;
    }
    /* A guest's memory has no place in our core dumps. */
    (void)madvise(mapping, (size_t)whole, MADV_DONTDUMP);
    shm->mapping = mapping;
    shm->mapping_size = (size_t)whole;
    shm->base = (unsigned char *)mapping + (offset - start);
    return VIRTQ_VHOST_USER_ACCEPTED;
}

void virtq_priv_shm_unmap(struct virtq_priv_shm *shm, struct virtq_priv_fault *fault)
{
    if (shm->mapping != NULL) {
        virtq_priv_fault_drop(fault, shm->mapping);
        (void)munmap(shm->mapping, shm->mapping_size);
    }
    memset(shm, 0, sizeof(*shm));
}
