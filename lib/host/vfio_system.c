/* SPDX-License-Identifier: BSD-3-Clause */
/* The system calls of Linux. */
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "virtq/host/vfio.h"

static int system_open(void *context, const char *path)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);

    (void)context;
    return fd < 0 ? -errno : fd;
}

static void system_close(void *context, int fd)
{
    (void)context;
    (void)close(fd);
}

static int system_ioctl(void *context, int fd, unsigned long request, uintptr_t argument)
{
    int result;

    (void)context;
    do {
        result = ioctl(fd, request, argument);
    } while (result < 0 && errno == EINTR);
    return result < 0 ? -errno : result;
}

static int64_t system_read(void *context, int fd, void *data, size_t len, uint64_t offset)
{
    ssize_t result = pread(fd, data, len, (off_t)offset);

    (void)context;
    return result < 0 ? -errno : result;
}

static int64_t system_write(void *context, int fd, const void *data, size_t len, uint64_t offset)
{
    ssize_t result = pwrite(fd, data, len, (off_t)offset);

    (void)context;
    return result < 0 ? -errno : result;
}

static int system_map(void *context, int fd, size_t len, uint64_t offset, void **base)
{
    void *mapped = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)offset);

    (void)context;
    if (mapped == MAP_FAILED) {
        return -errno;
    }
    *base = mapped;
    return 0;
}

static void system_unmap(void *context, void *base, size_t len)
{
    (void)context;
    (void)munmap(base, len);
}

#ifndef MADV_POPULATE_WRITE
#    define MADV_POPULATE_WRITE 23
#endif

static int system_populate(void *context, void *base, size_t len)
{
    (void)context;
    return madvise(base, len, MADV_POPULATE_WRITE) != 0 ? -errno : 0;
}

static const struct virtq_vfio_system system_calls = {
    sizeof(system_calls), NULL,         system_open, system_close, system_ioctl,
    system_read,          system_write, system_map,  system_unmap, system_populate};

const struct virtq_vfio_system *virtq_vfio_system_linux(void)
{
    return &system_calls;
}
