/* SPDX-License-Identifier: BSD-3-Clause */
/* The virtio-iommu device: what a request may look like, configuration, hooks. M5, H1. */
#include "virtio_iommu_device_fixture.h"

enum { RW = VIRTIO_IOMMU_MAP_F_READ | VIRTIO_IOMMU_MAP_F_WRITE };

static const uint32_t readable[] = {0, 20, 20, 36, 28, 72};

Test(iommu_virtio_iommu_device_request, the_usual_features_hold_map_unmap_and_not_bypass)
{
    const struct virtq_virtio_iommu_device_config config = VIRTQ_VIRTIO_IOMMU_DEVICE_CONFIG_INIT;

    cr_assert((config.features & 1u << VIRTIO_IOMMU_F_MAP_UNMAP) != 0);
    cr_assert((config.features & 1u << VIRTIO_IOMMU_F_BYPASS_CONFIG) != 0);
    cr_assert((config.features & 1u << VIRTIO_IOMMU_F_BYPASS) == 0);
    cr_assert_eq(config.bypass, 0u, "bypass is never the default");
}

Test(iommu_virtio_iommu_device_request, both_bypass_features_are_not_offered)
{
    struct rig rig;

    rig_open(&rig);
    rig.config.features |= 1u << VIRTIO_IOMMU_F_BYPASS;
    cr_assert_eq(virtq_virtio_iommu_device_size(&rig.config), 0u);
    rig_close(&rig);
}

Test(iommu_virtio_iommu_device_request, a_device_has_at_least_one_page_size)
{
    struct virtq_virtio_iommu_device *iommu = NULL;
    struct rig rig;

    rig_open(&rig);
    rig.config.page_size_mask = 0;
    cr_assert_eq(virtq_virtio_iommu_device_size(&rig.config), 0u);
    cr_assert_eq(virtq_virtio_iommu_device_init(rig.own, SIZE_MAX, &rig.config, &iommu),
                 VIRTQ_EINVAL);
    cr_assert_null(iommu);
    rig_close(&rig);
}

Test(iommu_virtio_iommu_device_request, a_configuration_that_makes_no_sense_is_refused)
{
    struct virtq_virtio_iommu_device *iommu = NULL;
    struct virtq_virtio_iommu_device_config good;
    struct rig rig;

    rig_open(&rig);
    good = rig.config;
    cr_assert_eq(virtq_virtio_iommu_device_init(rig.own, 64, &good, &iommu), VIRTQ_ENOMEM);
    cr_assert_eq(
        virtq_virtio_iommu_device_init((unsigned char *)rig.own + 8, SIZE_MAX, &good, &iommu),
        VIRTQ_EINVAL);
#define REFUSED(field, value)                                                  \
    do {                                                                       \
        rig.config = good;                                                     \
        rig.config.field = (value);                                            \
        cr_assert_eq(virtq_virtio_iommu_device_size(&rig.config), 0u, #field); \
    } while (0)
    REFUSED(struct_size, 0);
    REFUSED(bypass, 2);
    REFUSED(probe_size, 6);
    REFUSED(memory, NULL);
    REFUSED(endpoints, 0);
    REFUSED(mappings, 0);
    REFUSED(faults, 0);
    rig.config = good;
    rig.config.input_first = 2;
    rig.config.input_last = 1;
    cr_assert_eq(virtq_virtio_iommu_device_size(&rig.config), 0u);
    rig.config = good;
    rig.config.domain_first = 2;
    rig.config.domain_last = 1;
    cr_assert_eq(virtq_virtio_iommu_device_size(&rig.config), 0u);
#undef REFUSED
    rig_close(&rig);
}

Test(iommu_virtio_iommu_device_request, the_configuration_space_is_the_specifications)
{
    unsigned char bytes[40];
    struct rig rig;

    rig_prepare(&rig);
    rig.config.page_size_mask = 0x201000;
    rig.config.input_first = 0x1000;
    rig.config.input_last = 0xffffffffffff;
    rig.config.domain_first = 3;
    rig.config.domain_last = 0x1234;
    rig_start(&rig);
    cr_assert_eq(virtq_virtio_iommu_device_config_read(rig.iommu, 0, bytes, 40), VIRTQ_OK);
    {
        static const unsigned char expected[40] = {
            0,    0x10, 0x20, 0,    0,         0,    0,    0,    0, 0x10, 0, 0, 0, 0,
            0,    0,    0xff, 0xff, 0xff,      0xff, 0xff, 0xff, 0, 0,    3, 0, 0, 0,
            0x34, 0x12, 0,    0,    RIG_PROBE, 0,    0,    0,    0, 0,    0, 0};

        cr_assert(memcmp(bytes, expected, 40) == 0);
    }
    cr_assert_eq(virtq_virtio_iommu_device_config_read(rig.iommu, 28, bytes, 2), VIRTQ_OK);
    cr_assert(bytes[0] == 0x34 && bytes[1] == 0x12);
    cr_assert_eq(virtq_virtio_iommu_device_config_read(rig.iommu, 39, bytes, 2), VIRTQ_EINVAL);
    cr_assert_eq(virtq_virtio_iommu_device_config_read(rig.iommu, UINT32_MAX, bytes, 2),
                 VIRTQ_EINVAL);
    rig_close(&rig);
}

Test(iommu_virtio_iommu_device_request, only_bypass_can_be_written)
{
    const uint32_t one = rig_le32(1);
    struct rig rig;
    uint32_t offset;

    rig_open(&rig);
    for (offset = 0; offset < 64; offset++) {
        if (offset != 36) {
            cr_assert_eq(virtq_virtio_iommu_device_config_write(rig.iommu, offset, &one, 1),
                         VIRTQ_EINVAL);
        }
    }
    cr_assert_eq(virtq_virtio_iommu_device_config_write(rig.iommu, 36, &one, 4), VIRTQ_EINVAL);
    cr_assert_eq(virtq_virtio_iommu_device_negotiate(rig.iommu, 0), VIRTQ_OK);
    {
        const uint8_t byte = 1;

        cr_assert_eq(virtq_virtio_iommu_device_config_write(rig.iommu, 36, &byte, 1),
                     VIRTQ_ENOTSUP);
    }
    rig_close(&rig);
}

Test(iommu_virtio_iommu_device_request, what_was_not_offered_is_not_negotiated)
{
    struct rig rig;

    rig_prepare(&rig);
    rig.config.features &= ~(1ull << VIRTIO_IOMMU_F_MMIO);
    rig_start(&rig);
    cr_assert_eq(virtq_virtio_iommu_device_negotiate(rig.iommu, 1u << VIRTIO_IOMMU_F_MMIO),
                 VIRTQ_EINVAL);
    cr_assert_eq(virtq_virtio_iommu_device_negotiate(rig.iommu, 1u << VIRTIO_IOMMU_F_BYPASS),
                 VIRTQ_EINVAL);
    cr_assert_eq(virtq_virtio_iommu_device_negotiate(rig.iommu, 1ull << 32 | 4), VIRTQ_OK,
                 "others' bits are not ours");
    rig_close(&rig);
}

Test(iommu_virtio_iommu_device_request, a_request_that_succeeds_says_ok)
{
    struct rig rig;

    rig_open(&rig);
    cr_assert_eq(rig_attach(&rig, 1, RIG_ID), VIRTIO_IOMMU_S_OK);
    cr_assert_eq(rig.used, 4u);
    cr_assert_eq(rig_map(&rig, 1, 0x1000, 0x1fff, RIG_PHYS, RW), VIRTIO_IOMMU_S_OK);
    cr_assert_eq(rig_unmap(&rig, 1, 0x1000, 0x1fff), VIRTIO_IOMMU_S_OK);
    cr_assert_eq(rig_probe(&rig, RIG_ID, RIG_PROBE), VIRTIO_IOMMU_S_OK);
    cr_assert_eq(rig_detach(&rig, 1, RIG_ID), VIRTIO_IOMMU_S_OK);
    cr_assert_eq(rig_usage(&rig).requests, 5u);
    rig_close(&rig);
}

Test(iommu_virtio_iommu_device_request, an_unknown_type_is_not_written)
{
    unsigned char request[72];
    struct rig rig;
    unsigned type;

    rig_open(&rig);
    for (type = 0; type < 256; type++) {
        if (type >= VIRTIO_IOMMU_T_ATTACH && type <= VIRTIO_IOMMU_T_PROBE) {
            continue;
        }
        memset(request, 0, sizeof(request));
        request[0] = (unsigned char)type;
        cr_assert_eq(rig_send(&rig, request, sizeof(request), 4), -1);
        cr_assert_eq(rig.used, 0u);
        cr_assert_eq(rig.answer[0], 0xeeu);
    }
    cr_assert_eq(rig_usage(&rig).malformed, 251u);
    rig_close(&rig);
}

Test(iommu_virtio_iommu_device_request, reserved_bytes_of_the_head_are_ignored)
{
    struct virtio_iommu_req_attach request;
    struct rig rig;

    rig_open(&rig);
    memset(&request, 0, sizeof(request));
    request.head = (struct virtio_iommu_req_head){VIRTIO_IOMMU_T_ATTACH, {0xff, 0xff, 0xff}};
    request.endpoint = rig_le32(RIG_ID);
    cr_assert_eq(rig_send(&rig, &request, 20, 4), VIRTIO_IOMMU_S_OK);
    rig_close(&rig);
}

Test(iommu_virtio_iommu_device_request, reserved_bytes_of_the_tail_are_zero)
{
    struct rig rig;

    rig_open(&rig);
    cr_assert_eq(rig_attach(&rig, 1, RIG_ID), VIRTIO_IOMMU_S_OK);
    cr_assert(rig.answer[1] == 0 && rig.answer[2] == 0 && rig.answer[3] == 0);
    cr_assert_eq(rig_attach(&rig, 1, 99), VIRTIO_IOMMU_S_NOENT);
    cr_assert(rig.answer[1] == 0 && rig.answer[2] == 0 && rig.answer[3] == 0);
    rig_close(&rig);
}

/* Every type, every length: too short is not written, longer is no harm. */
Test(iommu_virtio_iommu_device_request, a_request_too_small_for_its_type_is_not_written)
{
    unsigned char request[128];
    struct rig rig;
    unsigned type;
    uint32_t length;

    rig_open(&rig);
    memset(request, 0, sizeof(request));
    for (type = VIRTIO_IOMMU_T_ATTACH; type <= VIRTIO_IOMMU_T_PROBE; type++) {
        request[0] = (unsigned char)type;
        for (length = 0; length < sizeof(request); length++) {
            const bool whole = length >= readable[type];

            cr_assert_eq(rig_send(&rig, request, length, RIG_PROBE + 4) >= 0, whole,
                         "type %u, %u bytes", type, length);
            cr_assert_eq(rig.used == 0, !whole);
            cr_assert_eq(rig.answer[0] == 0xee, !whole);
        }
    }
    rig_close(&rig);
}

Test(iommu_virtio_iommu_device_request, a_request_without_room_for_a_tail_is_not_carried_out)
{
    unsigned char request[72];
    struct rig rig;
    unsigned type;
    uint32_t room;

    rig_open(&rig);
    for (type = VIRTIO_IOMMU_T_ATTACH; type <= VIRTIO_IOMMU_T_PROBE; type++) {
        for (room = 0; room < 4; room++) {
            memset(request, 0, sizeof(request));
            request[0] = (unsigned char)type;
            request[8] = RIG_ID;
            cr_assert_eq(rig_send(&rig, request, sizeof(request), room), -1);
            cr_assert_eq(rig.used, 0u);
            cr_assert_eq(rig.answer[0], 0xeeu);
        }
    }
    cr_assert_eq(rig_usage(&rig).domains, 0u);
    cr_assert_eq(rig_attach(&rig, 1, RIG_ID), VIRTIO_IOMMU_S_OK);
    rig_close(&rig);
}

Test(iommu_virtio_iommu_device_request, a_bad_buffer_is_given_back_unwritten)
{
    struct virtq_chain chain;
    struct rig rig;
    uint32_t used = 7;

    rig_open(&rig);
    memset(&chain, 0, sizeof(chain));
    chain.reason = VIRTQ_REASON_ADDRESS;
    cr_assert_eq(virtq_virtio_iommu_device_handle(rig.iommu, &chain, &used), VIRTQ_OK);
    cr_assert_eq(used, 0u);
    rig_close(&rig);
}

Test(iommu_virtio_iommu_device_request, map_before_it_is_negotiated_is_unsupported)
{
    struct rig rig;

    rig_open(&rig);
    cr_assert_eq(virtq_virtio_iommu_device_negotiate(rig.iommu, 0), VIRTQ_OK);
    cr_assert_eq(rig_attach(&rig, 1, RIG_ID), VIRTIO_IOMMU_S_OK);
    cr_assert_eq(rig_map(&rig, 1, 0x1000, 0x1fff, RIG_PHYS, RW), VIRTIO_IOMMU_S_UNSUPP);
    cr_assert_eq(rig_unmap(&rig, 1, 0x1000, 0x1fff), VIRTIO_IOMMU_S_UNSUPP);
    rig_close(&rig);
}

/* What the owner of real devices answers, and what it was asked. */
struct owner {
    int error;
    unsigned attached, detached, mapped, unmapped, faults;
    struct virtq_virtio_iommu_mapping mapping;
};

static int owner_attach(void *context, uint32_t endpoint, uint32_t domain, uint32_t bypass)
{
    struct owner *owner = context;

    (void)bypass;
    owner->attached += endpoint == RIG_ID && domain == 1;
    return owner->error;
}

static void owner_detach(void *context, uint32_t endpoint, uint32_t domain)
{
    ((struct owner *)context)->detached += endpoint == RIG_ID && domain == 1;
}

static int owner_map(void *context, uint32_t domain,
                     const struct virtq_virtio_iommu_mapping *mapping)
{
    struct owner *owner = context;

    owner->mapped += domain == 1;
    owner->mapping = *mapping;
    return owner->error;
}

static int owner_unmap(void *context, uint32_t domain, virtq_addr_t first, virtq_addr_t last)
{
    struct owner *owner = context;

    owner->unmapped += domain == 1 && first == 0x1000 && last == 0x1fff;
    return owner->error;
}

static void owner_fault(void *context)
{
    ((struct owner *)context)->faults++;
}

static const struct virtq_virtio_iommu_hooks hooks = {
    .size = sizeof(struct virtq_virtio_iommu_hooks),
    .attach = owner_attach,
    .detach = owner_detach,
    .map = owner_map,
    .unmap = owner_unmap,
    .fault = owner_fault,
};

Test(iommu_virtio_iommu_device_request, every_error_of_the_owners_has_its_status)
{
    static const struct {
        int error;
        int status;
    } rows[] = {
        {VIRTQ_EBROKEN, VIRTIO_IOMMU_S_IOERR}, {VIRTQ_ENOTSUP, VIRTIO_IOMMU_S_UNSUPP},
        {VIRTQ_EBUSY, VIRTIO_IOMMU_S_DEVERR},  {VIRTQ_EINVAL, VIRTIO_IOMMU_S_INVAL},
        {VIRTQ_ETOOBIG, VIRTIO_IOMMU_S_RANGE}, {VIRTQ_EFAULT, VIRTIO_IOMMU_S_FAULT},
        {VIRTQ_ENOMEM, VIRTIO_IOMMU_S_NOMEM},  {VIRTQ_EPERM, VIRTIO_IOMMU_S_DEVERR},
        {-1000, VIRTIO_IOMMU_S_DEVERR},        {VIRTQ_OK, VIRTIO_IOMMU_S_OK},
    };
    struct owner owner;
    struct rig rig;
    unsigned i;

    memset(&owner, 0, sizeof(owner));
    rig_prepare(&rig);
    rig.config.hooks = &hooks;
    rig.config.context = &owner;
    rig_start(&rig);
    for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        owner.error = rows[i].error;
        cr_assert_eq(rig_attach(&rig, 1, RIG_ID), rows[i].status);
        cr_assert_eq(rig_usage(&rig).domains, rows[i].error == 0 ? 1u : 0u);
    }
    for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        owner.error = rows[i].error;
        cr_assert_eq(rig_map(&rig, 1, 0x1000, 0x1fff, RIG_PHYS, RW), rows[i].status);
        cr_assert_eq(rig_usage(&rig).mappings, rows[i].error == 0 ? 1u : 0u);
    }
    for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        owner.error = rows[i].error;
        cr_assert_eq(rig_unmap(&rig, 1, 0x1000, 0x1fff), rows[i].status);
        cr_assert_eq(rig_usage(&rig).mappings, rows[i].error == 0 ? 0u : 1u);
    }
    cr_assert_eq(rig_detach(&rig, 1, RIG_ID), VIRTIO_IOMMU_S_OK);
    cr_assert(owner.attached == 10 && owner.mapped == 10 && owner.unmapped == 10);
    cr_assert_eq(owner.detached, 1u);
    cr_assert(owner.mapping.first == 0x1000 && owner.mapping.phys == RIG_PHYS &&
              owner.mapping.flags == RW);
    cr_assert_null(rig_reach(&rig, 0, 0, RIG_READ));
    cr_assert_null(rig_reach(&rig, 0, 0, RIG_READ));
    cr_assert_eq(owner.faults, 1u, "told once, until they are reported");
    rig_close(&rig);
}
