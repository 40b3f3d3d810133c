/* SPDX-License-Identifier: BSD-3-Clause */
/* What both ends work out from the same facts. */
#include "fixture.h"

Test(restricted_pool, a_stated_range_is_read_as_it_was_written)
{
    static const struct virtq_restricted_range ranges[] = {
        {0, 0},
        {0, UINT64_MAX},
        {UINT64_MAX, UINT64_MAX},
        {UINT64_C(0x0102030405060708), UINT64_C(0x1112131415161718)}};

    for (unsigned i = 0; i < sizeof(ranges) / sizeof(*ranges); i++) {
        unsigned char bytes[1 + VIRTQ_RESTRICTED_RANGE_BYTES + 1];
        struct virtq_restricted_range range = {1, 0};

        memset(bytes, 0xa5, sizeof(bytes));
        cr_assert_eq(virtq_restricted_range_write(&ranges[i], bytes + 1), 0);
        cr_assert(bytes[0] == 0xa5 && bytes[17] == 0xa5);
        cr_assert_eq(virtq_restricted_range_read(bytes + 1, &range), 0);
        cr_assert(range.first == ranges[i].first && range.last == ranges[i].last);
    }
}

Test(restricted_pool, a_range_in_configuration_space_is_little_endian_and_first_comes_first)
{
    const struct virtq_restricted_range range = {UINT64_C(0x0807060504030201),
                                                 UINT64_C(0x100f0e0d0c0b0a09)};
    unsigned char bytes[VIRTQ_RESTRICTED_RANGE_BYTES];

    cr_assert_eq(virtq_restricted_range_write(&range, bytes), 0);
    for (unsigned i = 0; i < sizeof(bytes); i++) {
        cr_assert_eq(bytes[i], i + 1);
    }
}

Test(restricted_pool, a_range_that_ends_before_it_begins_is_nonsense)
{
    const struct virtq_restricted_range range = {2, 1};
    struct virtq_restricted_range kept = {7, 9};
    unsigned char bytes[VIRTQ_RESTRICTED_RANGE_BYTES] = {2, 0, 0, 0, 0, 0, 0, 0, 1};

    cr_assert_eq(virtq_restricted_range_read(bytes, &kept), VIRTQ_EINVAL);
    cr_assert(kept.first == 7 && kept.last == 9);
    bytes[0] = 0xee;
    cr_assert_eq(virtq_restricted_range_write(&range, bytes), VIRTQ_EINVAL);
    cr_assert_eq(bytes[0], 0xee);
}

/* Both ends of a pool of the range form; what the driver's pool is, and the device's window. */
static int clip(virtq_addr_t pool, virtq_addr_t first, virtq_addr_t last, uint8_t bits,
                struct virtq_window *driver, struct virtq_window *device)
{
    struct pool p;
    int error;

    pool_prepare(&p, VIRTQ_RESTRICTED_RANGE);
    p.driver_config.facts.device_bits = bits;
    p.driver_config.pool.first = pool;
    p.driver_config.pool.reach = (struct virtq_restricted_range){first, last};
    p.device_config.facts = p.driver_config.facts;
    p.device_config.pool.first = pool;
    p.device_config.pool.reach = p.driver_config.pool.reach;
    error = virtq_restricted_driver_init(&p.driver, &p.driver_config);
    cr_assert((error == 0) == (p.driver.space != NULL));
    if (error == 0) {
        cr_assert_eq(
            virtq_restricted_device_init(&p.device, &p.device_config, p.driver.decision.accept), 0);
        *driver = p.driver.space->linear;
        *device = p.device.space->linear;
        cr_assert_eq(driver->base - p.block.at, (ptrdiff_t)(driver->first - pool));
        cr_assert_eq(device->base - p.block.view, (ptrdiff_t)(device->first - pool));
        cr_assert_eq(virtq_restricted_driver_fini(&p.driver), 0);
    }
    free(p.books);
    block_free(&p.block);
    return error;
}

Test(restricted_pool, what_is_used_is_what_lies_in_the_stated_range)
{
    static const struct {
        virtq_addr_t pool, first, last, used_first, used_last;
    } cases[] = {
        /* All of it; from both sides; one granule; not a whole one; above and below. */
        {POOL_FIRST, 0, UINT64_MAX, POOL_FIRST, POOL_FIRST + POOL_SIZE - 1},
        {POOL_FIRST, POOL_FIRST + 1, POOL_FIRST + 1000, POOL_FIRST + 64, POOL_FIRST + 959},
        {POOL_FIRST, POOL_FIRST + 64, POOL_FIRST + 127, POOL_FIRST + 64, POOL_FIRST + 127},
        {POOL_FIRST, POOL_FIRST + 64, POOL_FIRST + 126, 1, 0},
        {POOL_FIRST, POOL_FIRST + 65, POOL_FIRST + 190, 1, 0},
        {POOL_FIRST, 0, POOL_FIRST - 1, 1, 0},
        {POOL_FIRST, POOL_FIRST + POOL_SIZE, UINT64_MAX, 1, 0},
        {POOL_FIRST, 0, POOL_FIRST + 62, 1, 0},
        /* Both ends of the address space: L6. */
        {0, 0, 62, 1, 0},
        {0, 0, 63, 0, 63},
        {UINT64_MAX - (POOL_SIZE - 1), UINT64_MAX - 63, UINT64_MAX, UINT64_MAX - 63, UINT64_MAX},
        {UINT64_MAX - (POOL_SIZE - 1), UINT64_MAX - 62, UINT64_MAX, 1, 0}};

    for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct virtq_window driver = {0};
        struct virtq_window device = {0};
        int error = clip(cases[i].pool, cases[i].first, cases[i].last, 64, &driver, &device);

        if (cases[i].used_first > cases[i].used_last) {
            cr_assert_eq(error, VIRTQ_EFAULT, "case %u", i);
            continue;
        }
        cr_assert_eq(error, 0, "case %u", i);
        cr_assert_eq(driver.first, cases[i].used_first, "case %u", i);
        cr_assert_eq(driver.last, cases[i].used_last, "case %u", i);
        /* The device does not know the driver's granule: its window may be a few bytes more, and
         * never beyond what it states. */
        cr_assert(device.first <= driver.first && device.last >= driver.last, "case %u", i);
        cr_assert(device.first >= cases[i].first && device.last <= cases[i].last, "case %u", i);
    }
}

Test(restricted_pool, no_address_is_wider_than_the_device_can_say)
{
    struct virtq_window driver = {0};
    struct virtq_window device = {0};
    const virtq_addr_t middle = (UINT64_C(1) << 32) - POOL_SIZE / 2;

    cr_assert_eq(clip(middle, 0, UINT64_MAX, 32, &driver, &device), 0);
    cr_assert(driver.first == middle && driver.last == UINT32_MAX);
    cr_assert(device.first == middle && device.last == UINT32_MAX);
    cr_assert_eq(clip(UINT64_C(1) << 32, 0, UINT64_MAX, 32, &driver, &device), VIRTQ_EFAULT);
    cr_assert_eq(clip(UINT64_C(1) << 32, 0, UINT64_MAX, 33, &driver, &device), 0);
}

Test(restricted_pool, offsets_of_a_region_have_to_fit_the_width_too)
{
    struct pool p;

    pool_prepare(&p, VIRTQ_RESTRICTED_DEVICE);
    p.driver_config.facts.device_bits = 17; /* The pool has 2^17 bytes. */
    cr_assert_eq(virtq_restricted_driver_init(&p.driver, &p.driver_config), 0);
    p.driver_config.facts.device_bits = 16;
    cr_assert_eq(virtq_restricted_driver_init(&p.driver, &p.driver_config), VIRTQ_EFAULT);
    p.driver_config.facts.device_bits = 34;
    p.driver_config.pool.id = 3;
    p.driver_config.pool.shift = 32;
    cr_assert_eq(virtq_restricted_driver_init(&p.driver, &p.driver_config), 0);
    p.driver_config.facts.device_bits = 33;
    cr_assert_eq(virtq_restricted_driver_init(&p.driver, &p.driver_config), VIRTQ_EFAULT);
    free(p.books);
    block_free(&p.block);
}

/* One fact after another that cannot be. */
static void spoil(struct virtq_restricted_config *config, unsigned how)
{
    struct virtq_restricted_pool *pool = &config->pool;

    switch (how) {
    case 0:
        config->struct_size -= 1;
        break;
    case 1:
        pool->form = POOL_FORMS;
        break;
    case 2:
        pool->base = NULL;
        break;
    case 3:
        pool->size = 0;
        break;
    case 4:
        pool->first = UINT64_MAX - (POOL_SIZE - 2);
        break;
    case 5:
        pool->base = (void *)(UINTPTR_MAX - 4095);
        break;
    case 6:
        config->flags = 2;
        break;
    case 7:
        pool->id = 1;
        break;
    case 8:
        pool->shift = 12;
        break;
    case 9:
        pool->memory = VIRTQ_BAR_WRITE_COMBINING;
        break;
    case 10:
        pool->widths = 15;
        break;
    default:
        pool->reach.first = pool->reach.last + 1;
        break;
    }
}

Test(restricted_pool, facts_that_cannot_be_are_refused_on_both_ends)
{
    for (unsigned how = 0; how < 12; how++) {
        struct pool p;

        pool_prepare(&p, VIRTQ_RESTRICTED_RANGE);
        spoil(&p.driver_config, how);
        spoil(&p.device_config, how);
        p.driver.space = (struct virtq_space *)(void *)&p;
        p.device.space = p.driver.space;
        cr_assert_eq(virtq_restricted_driver_init(&p.driver, &p.driver_config), VIRTQ_EINVAL,
                     "fact %u", how);
        cr_assert_null(p.driver.space);
        cr_assert_eq(virtq_restricted_device_init(&p.device, &p.device_config,
                                                  POOL_VERSION | POOL_RESTRICTED),
                     VIRTQ_EINVAL, "fact %u", how);
        cr_assert_null(p.device.space);
        free(p.books);
        block_free(&p.block);
    }
}
