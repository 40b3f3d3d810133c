/* SPDX-License-Identifier: BSD-3-Clause */
#include "virtq/host/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "virtq/error.h"

/* An anonymous file of a kind, mapped: 0, or an enum virtq_error. */
static int make(struct virtq_host_memory *memory, uint64_t size, unsigned kind)
{
    const int seals = F_SEAL_SHRINK | F_SEAL_GROW;
    struct virtq_host_memory made = {
        .fd = memfd_create("virtq", MFD_CLOEXEC | MFD_ALLOW_SEALING | kind)};
    struct statfs pages;

    if (made.fd < 0) {
        return errno == EMFILE || errno == ENFILE || errno == ENOMEM ? VIRTQ_ENOMEM : VIRTQ_ENOTSUP;
    }
    if (fstatfs(made.fd, &pages) == 0 && pages.f_bsize > 0) {
        made.page = (uint64_t)pages.f_bsize;
        made.size = (size + made.page - 1) / made.page * made.page;
        /* Less than a huge page is not worth one. A peer that is strict asks for the seal; it also
         * keeps that peer from ending us by making the file shorter. */
        if ((kind == 0 || size >= made.page) && ftruncate(made.fd, (off_t)made.size) == 0 &&
            fcntl(made.fd, F_ADD_SEALS, seals) == 0) {
            made.base =
                mmap(NULL, (size_t)made.size, PROT_READ | PROT_WRITE, MAP_SHARED, made.fd, 0);
            if (made.base != MAP_FAILED) {
                (void)madvise(made.base, (size_t)made.size, MADV_DONTDUMP);
                *memory = made;
                return VIRTQ_OK;
            }
        }
    }
    (void)close(made.fd);
    return VIRTQ_ENOMEM;
}

VIRTQ_API int virtq_host_memory_init(struct virtq_host_memory *memory, uint64_t size,
                                     uint32_t flags)
{
    if (size == 0 || size > (uint64_t)PTRDIFF_MAX / 2 ||
        (flags & ~(uint32_t)VIRTQ_HOST_MEMORY_SMALL_PAGES) != 0) {
        return VIRTQ_EINVAL;
    }
    /* Huge pages are reserved when they are mapped, so a lack of them shows here and not later. */
    if ((flags & VIRTQ_HOST_MEMORY_SMALL_PAGES) == 0 &&
        make(memory, size, MFD_HUGETLB) == VIRTQ_OK) {
        return VIRTQ_OK;
    }
    return make(memory, size, 0);
}

VIRTQ_API void virtq_host_memory_fini(struct virtq_host_memory *memory)
{
    if (memory->base != NULL) {
        (void)munmap(memory->base, (size_t)memory->size);
        (void)close(memory->fd);
    }
    memory->base = NULL;
    memory->fd = -1;
}
