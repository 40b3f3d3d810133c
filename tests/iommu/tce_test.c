/* SPDX-License-Identifier: BSD-3-Clause */
/* TCE windows: which are legal, what of them a device reaches, which one it is to use. */
#include "support/runner.h"
#include "virtq/iommu/tce.h"

#define SECOND UINT64_C(0x0800000000000000)

static const struct virtq_tce_window low = {0, 0x80000, 1, 12};          /* 2 GiB at 0 */
static const struct virtq_tce_window high = {SECOND, 0x100000, 2, 16};   /* 64 GiB at 2^59 */
static const struct virtq_tce_window huge = {SECOND * 2, 0x1000, 3, 24}; /* 64 GiB of 16 MiB */

static int check(uint64_t first, uint64_t entries, uint32_t shift)
{
    const struct virtq_tce_window window = {first, entries, 1, shift};

    return virtq_tce_window_check(&window);
}

Test(tce, a_window_has_pages_of_4_kib_to_16_gib_and_lies_at_a_page)
{
    cr_assert_eq(check(0, 1, 12), 0);
    cr_assert_eq(check(0, 1, 34), 0);
    cr_assert_eq(check(0, 1, 11), VIRTQ_EINVAL);
    cr_assert_eq(check(0, 1, 35), VIRTQ_EINVAL);
    cr_assert_eq(check(0, 0, 12), VIRTQ_EINVAL);
    cr_assert_eq(check(0x10000, 1, 16), 0);
    cr_assert_eq(check(0x11000, 1, 16), VIRTQ_EINVAL);
}

Test(tce, l6_a_window_may_end_at_the_top_of_the_range)
{
    const struct virtq_tce_window all = {0, (uint64_t)1 << 52, 1, 12};

    cr_assert_eq(virtq_tce_window_check(&all), 0);
    cr_assert_eq(virtq_tce_window_last(&all), UINT64_MAX);
    cr_assert_eq(check(0, ((uint64_t)1 << 52) + 1, 12), VIRTQ_EINVAL);
    cr_assert_eq(check(UINT64_MAX - 0xffff, 1, 16), 0);
    cr_assert_eq(check(UINT64_MAX - 0xffff, 2, 16), VIRTQ_EINVAL);
}

Test(tce, addresses_to_hand_out_are_whole_pages_within_reach_without_page_0)
{
    virtq_addr_t first = 0;
    virtq_addr_t last = 0;

    cr_assert_eq(virtq_tce_window_range(&low, UINT64_MAX, &first, &last), 0);
    cr_assert(first == 0x1000 && last == 0x7fffffff);
    cr_assert_eq(virtq_tce_window_range(&low, 0xffffff, &first, &last), 0);
    cr_assert(first == 0x1000 && last == 0xffffff);
    cr_assert_eq(virtq_tce_window_range(&low, 0x3ffe, &first, &last), 0);
    cr_assert(first == 0x1000 && last == 0x2fff);
    cr_assert_eq(virtq_tce_window_range(&high, UINT64_MAX, &first, &last), 0);
    cr_assert(first == SECOND && last == SECOND + 0xfffffffff);
}

Test(tce, a_window_beyond_the_devices_reach_has_no_address)
{
    const struct virtq_tce_window one = {0, 1, 1, 12};
    virtq_addr_t first = 7;
    virtq_addr_t last = 7;

    cr_assert_eq(virtq_tce_window_range(&high, UINT32_MAX, &first, &last), VIRTQ_EFAULT);
    cr_assert_eq(virtq_tce_window_range(&high, SECOND + 0xfffe, &first, &last), VIRTQ_EFAULT);
    cr_assert_eq(virtq_tce_window_range(&low, 0, &first, &last), VIRTQ_EFAULT);
    cr_assert_eq(virtq_tce_window_range(&one, UINT64_MAX, &first, &last), VIRTQ_EFAULT);
    cr_assert(first == 7 && last == 7);
}

/* What is chosen of low, high and huge; `reach`: the device's width. */
static struct virtq_tce_choice choose(unsigned count, uint64_t memory_last, virtq_addr_t reach,
                                      uint32_t trusted)
{
    const struct virtq_tce_window windows[] = {low, high, huge};
    const struct virtq_tce_needs needs = {memory_last, reach, trusted, 0};
    struct virtq_tce_choice choice = {9, 9};

    cr_assert_eq(virtq_tce_choose(windows, count, &needs, &choice), 0);
    return choice;
}

Test(tce, a_device_of_64_bits_gets_all_of_memory_in_the_second_window)
{
    struct virtq_tce_choice choice = choose(2, 0xfffffffff, UINT64_MAX, 1);

    cr_assert(choice.window == 1 && choice.all == 1);
    /* Larger pages take fewer calls. */
    choice = choose(3, 0xfffffffff, UINT64_MAX, 1);
    cr_assert(choice.window == 2 && choice.all == 1);
}

Test(tce, a_device_of_32_bits_gets_buffers_mapped_in_the_window_at_0)
{
    struct virtq_tce_choice choice = choose(3, 0xfffffffff, UINT32_MAX, 1);

    cr_assert(choice.window == 0 && choice.all == 0);
    /* Nor is there room for all of memory where its upper end is out of reach. */
    choice = choose(2, 0xfffffffff, SECOND + 0x0ffffffff, 1);
    cr_assert(choice.window == 1 && choice.all == 0);
}

Test(tce, memory_that_fits_the_window_at_0_is_mapped_there_for_a_device_of_32_bits)
{
    struct virtq_tce_choice choice = choose(1, 0x7fffffff, UINT32_MAX, 1);

    cr_assert(choice.window == 0 && choice.all == 1);
    choice = choose(1, 0x80000000, UINT32_MAX, 1);
    cr_assert(choice.window == 0 && choice.all == 0);
    choice = choose(1, 0x7fffffff, 0x7ffffffe, 1);
    cr_assert(choice.window == 0 && choice.all == 0);
}

Test(tce, a_device_that_is_not_trusted_never_gets_all_of_memory)
{
    struct virtq_tce_choice choice = choose(2, 0xffff, UINT64_MAX, 0);

    cr_assert(choice.window == 1 && choice.all == 0);
}

Test(tce, a_device_that_reaches_no_window_is_refused)
{
    const struct virtq_tce_window broken = {1, 1, 1, 12};
    const struct virtq_tce_needs needs = {0xfffff, UINT32_MAX, 1, 0};
    struct virtq_tce_choice choice = {9, 9};

    cr_assert_eq(virtq_tce_choose(&high, 1, &needs, &choice), VIRTQ_EFAULT);
    cr_assert_eq(virtq_tce_choose(&broken, 1, &needs, &choice), VIRTQ_EINVAL);
    cr_assert_eq(virtq_tce_choose(&high, 0, &needs, &choice), VIRTQ_EINVAL);
    cr_assert_eq(virtq_tce_choose(NULL, 1, &needs, &choice), VIRTQ_EINVAL);
    cr_assert(choice.window == 9 && choice.all == 9);
}

Test(tce, each_status_is_an_error_of_its_class)
{
    static const struct {
        int64_t status;
        int error;
    } rows[] = {{0, 0},
                {1, VIRTQ_ENOMEM},
                {9900, VIRTQ_ENOMEM},
                {9905, VIRTQ_ENOMEM},
                {9906, VIRTQ_EFAULT},
                {9899, VIRTQ_EFAULT},
                {-9, VIRTQ_ENOMEM},
                {-16, VIRTQ_ENOMEM},
                {-44, VIRTQ_ENOMEM},
                {-3, VIRTQ_EPERM},
                {-10, VIRTQ_EPERM},
                {-11, VIRTQ_EPERM},
                {-4, VIRTQ_EINVAL},
                {-2, VIRTQ_ENOTSUP},
                {-1, VIRTQ_EFAULT},
                {INT64_MIN, VIRTQ_EFAULT},
                {(int64_t)1 << 32, VIRTQ_EFAULT}};

    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        cr_assert_eq(virtq_tce_error(rows[i].status), rows[i].error, "row %u", i);
    }
}

/* The platform reference's numbers. */
Test(tce, the_numbers_are_those_of_the_platform_reference)
{
    cr_assert_eq(VIRTQ_TCE_GET, 0x1c);
    cr_assert_eq(VIRTQ_TCE_PUT, 0x20);
    cr_assert_eq(VIRTQ_TCE_STUFF, 0x138);
    cr_assert_eq(VIRTQ_TCE_PUT_INDIRECT, 0x13c);
    cr_assert_eq(VIRTQ_TCE_READ, 1);
    cr_assert_eq(VIRTQ_TCE_WRITE, 2);
    cr_assert_eq(VIRTQ_TCE_LIST_MAX, 512u);
    cr_assert_eq(VIRTQ_TCE_LIST_SIZE, 512u * 8u);
}
