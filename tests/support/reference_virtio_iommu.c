/* SPDX-License-Identifier: BSD-3-Clause */
#include "reference_virtio_iommu.h"

#include <string.h>

/* The specification's numbers, once more: this file is not to share a mistake with a header. */
enum { ATTACH = 1, DETACH, MAP, UNMAP, PROBE };
enum { OK, IOERR, UNSUPP, DEVERR, INVAL, RANGE, NOENT, FAULT, NOMEM, NO_ANSWER = 255 };

static uint64_t get(const unsigned char *from, unsigned at, unsigned width)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < width; i++) {
        value |= (uint64_t)from[at + i] << (8 * i);
    }
    return value;
}

static void put(unsigned char *to, unsigned at, unsigned width, uint64_t value)
{
    for (unsigned i = 0; i < width; i++) {
        to[at + i] = (unsigned char)(value >> (8 * i));
    }
}

void reference_viommu_init(struct reference_viommu *device, uint64_t granule)
{
    memset(device, 0, sizeof(*device));
    device->granule = granule;
    device->input_end = UINT64_MAX;
    device->domain_end = UINT32_MAX;
    device->known_flags = 3;
    device->room = REFERENCE_VIOMMU_MAPPINGS;
    device->lie_status = REFERENCE_VIOMMU_HONEST;
    device->lie_length = REFERENCE_VIOMMU_HONEST;
    for (unsigned i = 0; i < REFERENCE_VIOMMU_ENDPOINTS; i++) {
        device->endpoints[i].domain = REFERENCE_VIOMMU_NOWHERE;
    }
}

void reference_viommu_config(const struct reference_viommu *device, uint32_t probe_size,
                             unsigned char bytes[40])
{
    memset(bytes, 0, 40);
    put(bytes, 0, 8, device->granule);
    put(bytes, 8, 8, device->input_start);
    put(bytes, 16, 8, device->input_end);
    put(bytes, 24, 4, device->domain_start);
    put(bytes, 28, 4, device->domain_end);
    put(bytes, 32, 4, probe_size);
}

/* An endpoint that is in the domain; -1: none, so the domain does not exist. */
static int member_of(const struct reference_viommu *device, uint32_t domain)
{
    for (int i = 0; i < REFERENCE_VIOMMU_ENDPOINTS; i++) {
        if (device->endpoints[i].domain == (int64_t)domain) {
            return i;
        }
    }
    return -1;
}

/* The domain ceases to exist with its last endpoint. */
static void leave(struct reference_viommu *device, uint32_t endpoint)
{
    int64_t domain = device->endpoints[endpoint].domain;

    device->endpoints[endpoint].domain = REFERENCE_VIOMMU_NOWHERE;
    if (domain == REFERENCE_VIOMMU_NOWHERE || member_of(device, (uint32_t)domain) >= 0) {
        return;
    }
    for (unsigned i = device->count; i > 0; i--) {
        if (device->mappings[i - 1].domain == (uint32_t)domain) {
            device->mappings[i - 1] = device->mappings[--device->count];
        }
    }
}

static int attach(struct reference_viommu *device, const unsigned char *request)
{
    uint32_t domain = (uint32_t)get(request, 4, 4);
    uint32_t endpoint = (uint32_t)get(request, 8, 4);
    uint32_t flags = (uint32_t)get(request, 12, 4);
    int member;

    if (get(request, 16, 4) != 0 || (flags & ~device->attach_flags) != 0) {
        return INVAL;
    }
    if (endpoint >= REFERENCE_VIOMMU_ENDPOINTS) {
        return NOENT;
    }
    if (domain < device->domain_start || domain > device->domain_end) {
        device->rule_breaks++;
        return RANGE;
    }
    member = member_of(device, domain);
    if (member >= 0 && device->endpoints[member].bypass != flags) {
        device->rule_breaks++;
        return INVAL;
    }
    if (device->endpoints[endpoint].domain != (int64_t)domain) {
        leave(device, endpoint);
    }
    device->endpoints[endpoint].domain = domain;
    device->endpoints[endpoint].bypass = flags;
    return OK;
}

static int detach(struct reference_viommu *device, const unsigned char *request)
{
    uint32_t domain = (uint32_t)get(request, 4, 4);
    uint32_t endpoint = (uint32_t)get(request, 8, 4);

    device->rule_breaks += get(request, 12, 8) != 0;
    if (endpoint >= REFERENCE_VIOMMU_ENDPOINTS) {
        return NOENT;
    }
    if (device->endpoints[endpoint].domain != (int64_t)domain) {
        return INVAL;
    }
    leave(device, endpoint);
    return OK;
}

/* What MAP and UNMAP both look at first. */
static int check_domain(struct reference_viommu *device, const unsigned char *request)
{
    uint32_t domain = (uint32_t)get(request, 4, 4);
    uint64_t start = get(request, 8, 8);
    uint64_t end = get(request, 16, 8);
    int member = member_of(device, domain);

    if (start < device->input_start || end > device->input_end || end <= start) {
        device->rule_breaks++;
        return RANGE;
    }
    if (member < 0) {
        return NOENT;
    }
    if (device->endpoints[member].bypass != 0) {
        device->rule_breaks++;
        return INVAL;
    }
    return OK;
}

static int map(struct reference_viommu *device, const unsigned char *request)
{
    struct reference_viommu_mapping new = {
        .domain = (uint32_t)get(request, 4, 4),
        .start = get(request, 8, 8),
        .end = get(request, 16, 8),
        .phys = get(request, 24, 8),
        .flags = (uint32_t)get(request, 32, 4),
    };
    int status = check_domain(device, request);

    if (status != OK) {
        return status;
    }
    if ((new.flags & ~device->known_flags) != 0) {
        device->rule_breaks++;
        return INVAL;
    }
    if (new.start % device->granule != 0 || new.phys % device->granule != 0 ||
        (new.end + 1) % device->granule != 0) {
        device->rule_breaks++;
        return RANGE;
    }
    for (unsigned i = 0; i < device->count; i++) {
        const struct reference_viommu_mapping *old = &device->mappings[i];

        if (old->domain == new.domain && old->start <= new.end &&new.start <= old->end) {
            return INVAL;
        }
    }
    if (device->count >= device->room) {
        return NOMEM;
    }
    device->mappings[device->count++] = new;
    return OK;
}

static int unmap(struct reference_viommu *device, const unsigned char *request)
{
    uint32_t domain = (uint32_t)get(request, 4, 4);
    uint64_t start = get(request, 8, 8);
    uint64_t end = get(request, 16, 8);
    int status = check_domain(device, request);

    device->rule_breaks += get(request, 24, 4) != 0;
    if (status != OK) {
        return status;
    }
    for (unsigned i = 0; i < device->count; i++) {
        const struct reference_viommu_mapping *old = &device->mappings[i];

        if (old->domain == domain && old->start <= end && start <= old->end &&
            (old->start < start || old->end > end)) {
            device->rule_breaks++;
            return RANGE;
        }
    }
    for (unsigned i = device->count; i > 0; i--) {
        const struct reference_viommu_mapping *old = &device->mappings[i - 1];

        if (old->domain == domain && old->start >= start && old->end <= end) {
            device->mappings[i - 1] = device->mappings[--device->count];
        }
    }
    return OK;
}

static int probe(struct reference_viommu *device, const unsigned char *request,
                 unsigned char *properties, size_t size)
{
    for (unsigned i = 8; i < 72; i++) {
        device->rule_breaks += request[i] != 0;
    }
    if (get(request, 4, 4) >= REFERENCE_VIOMMU_ENDPOINTS) {
        return NOENT;
    }
    if (size < device->properties_size) {
        return INVAL;
    }
    memset(properties, 0, size);
    if (device->properties_size > 0) {
        memcpy(properties, device->properties, device->properties_size);
    }
    return OK;
}

/* What a request of this type is long, without the tail. */
static size_t readable_size_of(unsigned type)
{
    static const size_t sizes[REFERENCE_VIOMMU_TYPES] = {0, 20, 20, 36, 28, 72};

    return type < REFERENCE_VIOMMU_TYPES ? sizes[type] : 0;
}

static int act(struct reference_viommu *device, unsigned type, const unsigned char *request,
               unsigned char *writable, size_t writable_size)
{
    switch (type) {
    case ATTACH:
        return attach(device, request);
    case DETACH:
        return detach(device, request);
    case MAP:
        return map(device, request);
    case UNMAP:
        return unmap(device, request);
    default:
        return probe(device, request, writable, writable_size - 4);
    }
}

static int lies_now(const struct reference_viommu *device, unsigned type)
{
    unsigned number = device->requests[type];

    return device->lie_type == (int)type && number >= device->lie_from &&
           number - device->lie_from < device->lies;
}

uint32_t reference_viommu_request(struct reference_viommu *device, const unsigned char *readable,
                                  size_t readable_size, unsigned char *writable,
                                  size_t writable_size)
{
    unsigned type = readable_size >= 4 ? readable[0] : 0;
    uint32_t length = (uint32_t)writable_size;
    int lies;
    int status;

    if (readable_size_of(type) == 0 || readable_size != readable_size_of(type) ||
        writable_size < 4 || (type != PROBE && writable_size != 4)) {
        device->requests[0]++;
        return 0;
    }
    device->rule_breaks += get(readable, 1, 3) != 0;
    lies = lies_now(device, type);
    device->requests[type]++;
    status = NO_ANSWER;
    if (!lies || device->lie_acts) {
        status = act(device, type, readable, writable, writable_size);
    }
    if (lies && device->lie_status != REFERENCE_VIOMMU_HONEST) {
        status = device->lie_status;
    }
    if (lies && device->lie_length != REFERENCE_VIOMMU_HONEST) {
        length = (uint32_t)device->lie_length;
    }
    if (status != NO_ANSWER) {
        put(writable, (unsigned)writable_size - 4, 4,
            (uint64_t)(uint32_t)status | (uint64_t)device->tail_reserved << 8);
    }
    return length;
}

int reference_viommu_translate(const struct reference_viommu *device, uint32_t endpoint,
                               uint64_t address, uint32_t flags, uint64_t *phys)
{
    int64_t domain = device->endpoints[endpoint].domain;

    for (unsigned i = 0; i < device->count; i++) {
        const struct reference_viommu_mapping *mapping = &device->mappings[i];

        if ((int64_t)mapping->domain == domain && mapping->start <= address &&
            address <= mapping->end && (mapping->flags & flags) == flags) {
            *phys = mapping->phys + (address - mapping->start);
            return 1;
        }
    }
    return 0;
}
