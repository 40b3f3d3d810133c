/* SPDX-License-Identifier: BSD-3-Clause */
#include "devices.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define BUS "/sys/bus/pci/"
#define VIRTIO 0x1af4ul

struct virtq_vfio devices_vfio;
struct device devices[DEVICES_MAX];
unsigned devices_count;

void devices_check(int result, const char *what)
{
    struct virtq_vfio_failure failure;

    if (result == 0) {
        return;
    }
    virtq_vfio_failed(&devices_vfio, &failure);
    printf("guest: failed: %s: %s (%s: %s)\n", what, virtq_error_name(result),
           virtq_vfio_step_name(failure.step), strerror(failure.system_error));
    exit(EXIT_FAILURE);
}

/* Writes to a file of the kernel's, if it is there. */
static void tell(const char *path, const char *text)
{
    int file = open(path, O_WRONLY | O_CLOEXEC);

    if (file >= 0) {
        if (write(file, text, strlen(text)) < 0) {
            perror(path);
        }
        (void)close(file);
    }
}

static unsigned long number(const char *name, const char *attribute)
{
    char path[128];
    char text[32] = "";
    FILE *file;

    (void)snprintf(path, sizeof(path), BUS "devices/%s/%s", name, attribute);
    file = fopen(path, "re");
    if (file == NULL || fgets(text, sizeof(text), file) == NULL) {
        perror(path);
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return strtoul(text, NULL, 16);
}

/* The kernel's driver lets go of it, and VFIO's takes it. */
static void take(const char *name)
{
    char path[128];

    (void)snprintf(path, sizeof(path), BUS "devices/%s/driver/unbind", name);
    tell(path, name);
    (void)snprintf(path, sizeof(path), BUS "devices/%s/driver_override", name);
    tell(path, "vfio-pci");
    tell(BUS "drivers_probe", name);
}

static void find_group(const char *name, char *path, size_t size)
{
    char link[128];
    char group[256] = "";
    const char *last;

    (void)snprintf(link, sizeof(link), BUS "devices/%s/iommu_group", name);
    devices_check(readlink(link, group, sizeof(group) - 1) > 0 ? 0 : VIRTQ_ENOTSUP,
                  "the device is behind an IOMMU");
    last = strrchr(group, '/');
    (void)snprintf(path, size, "/dev/vfio/%.20s", last != NULL ? last + 1 : group);
}

/* The device's own file, for iommufd. */
static void find_file(const char *name, char *path, size_t size)
{
    char directory[128];
    const struct dirent *entry;
    DIR *found;

    (void)snprintf(directory, sizeof(directory), BUS "devices/%s/vfio-dev", name);
    found = opendir(directory);
    path[0] = '\0';
    while (found != NULL && (entry = readdir(found)) != NULL) {
        if (strncmp(entry->d_name, "vfio", 4) == 0) {
            (void)snprintf(path, size, "/dev/vfio/devices/%.20s", entry->d_name);
        }
    }
    if (found != NULL) {
        (void)closedir(found);
    }
}

static void join(struct device *device)
{
    char path[64];

    if (devices_vfio.kind == (uint32_t)VIRTQ_VFIO_IOMMUFD) {
        find_file(device->name, path, sizeof(path));
        devices_check(virtq_vfio_device_open_file(&device->vfio, &devices_vfio, path), path);
        return;
    }
    find_group(device->name, path, sizeof(path));
    devices_check(virtq_vfio_group_open(&device->group, &devices_vfio, path), path);
    devices_check(virtq_vfio_device_open(&device->vfio, &device->group, device->name),
                  device->name);
}

static void open_device(struct device *device)
{
    take(device->name);
    join(device);
    devices_check(virtq_vfio_device_reset(&device->vfio), "the device is reset");
    devices_check(virtq_vfio_device_enable(&device->vfio), "the device is enabled");
    for (unsigned bar = 0; bar < 6; bar++) {
        uint64_t size;

        if (virtq_vfio_device_map(&device->vfio, bar, &device->bars[bar], &size) != 0) {
            device->bars[bar] = NULL; /* none, or of ports */
        }
    }
    device->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    devices_check(virtq_vfio_device_interrupts(&device->vfio, &device->event, 1),
                  "the device's interrupt");
}

void devices_trust_interrupts(void)
{
    tell("/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts", "Y");
}

void devices_open(uint32_t kind)
{
    struct virtq_vfio_config config = VIRTQ_VFIO_CONFIG_INIT;
    DIR *bus = opendir(BUS "devices");
    struct dirent *entry;

    config.kind = kind;
    devices_check(virtq_vfio_open(&devices_vfio, &config), "VFIO");
    while (bus != NULL && (entry = readdir(bus)) != NULL && devices_count < DEVICES_MAX) {
        /* Its disk and its source of noise; not its IOMMU. */
        if (entry->d_name[0] != '.' && number(entry->d_name, "vendor") == VIRTIO &&
            (number(entry->d_name, "device") == 0x1042 ||
             number(entry->d_name, "device") == 0x1044)) {
            struct device *device = &devices[devices_count++];

            (void)snprintf(device->name, sizeof(device->name), "%.15s", entry->d_name);
            open_device(device);
        }
    }
    if (bus != NULL) {
        (void)closedir(bus);
    }
}
