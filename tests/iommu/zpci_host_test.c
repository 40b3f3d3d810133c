/* SPDX-License-Identifier: BSD-3-Clause */
/* The host's end of zPCI: what a refresh makes visible, and that nothing else does. M1, M3, M7. */
#include "virtq/guard.h"
#include "zpci_fixture.h"

static struct zpci_stand stand;

Test(iommu_zpci_host, m7_an_entry_is_invisible_until_it_is_refreshed)
{
    zpci_open(&stand);
    zpci_start(&stand);
    zpci_page(&stand, 3, 5, 0);
    cr_assert_eq(zpci_where(&stand, 0x3000, SPACES_READ), VIRTQ_EFAULT);
    zpci_done(&stand, 0x2000, 0x1000);
    cr_assert_eq(zpci_where(&stand, 0x3000, SPACES_READ), VIRTQ_EFAULT);
    zpci_done(&stand, 0x3000, 0x1000);
    cr_assert_eq(zpci_where(&stand, 0x3000, SPACES_READ), ZPCI_DATA(5));
    cr_assert_eq(zpci_where(&stand, 0x3fff, SPACES_WRITE), ZPCI_DATA(5) + 0xfff);
    cr_assert_eq(stand.pins[ZPCI_DATA(5) / 4096], 1);
    /* Changed and removed entries likewise. */
    zpci_page(&stand, 3, 6, 0);
    cr_assert_eq(zpci_where(&stand, 0x3000, SPACES_READ), ZPCI_DATA(5));
    zpci_done(&stand, 0x3000, 0x1000);
    cr_assert_eq(zpci_where(&stand, 0x3000, SPACES_READ), ZPCI_DATA(6));
    cr_assert_eq(stand.pins[ZPCI_DATA(5) / 4096], 0);
    cr_assert_eq(stand.pins[ZPCI_DATA(6) / 4096], 1);
    zpci_page(&stand, 3, 6, 0x400);
    cr_assert_eq(zpci_where(&stand, 0x3000, SPACES_READ), ZPCI_DATA(6));
    zpci_done(&stand, 0, 0x100000);
    cr_assert_eq(zpci_where(&stand, 0x3000, SPACES_READ), VIRTQ_EFAULT);
    cr_assert_eq(stand.pinned, 0u);
    zpci_close(&stand);
}

Test(iommu_zpci_host, m3_a_protected_entry_of_any_level_is_not_written)
{
    zpci_open(&stand);
    zpci_start(&stand);
    zpci_page(&stand, 0, 0, 0x200);
    zpci_page(&stand, 256, 1, 0);
    zpci_put(&stand, ZPCI_SEGMENTS(0), 1, (ZPCI_ABSOLUTE + ZPCI_PAGES(1)) | 0x200);
    zpci_done(&stand, 0, 0x200000);
    cr_assert_eq(zpci_where(&stand, 0, SPACES_READ), ZPCI_DATA(0));
    cr_assert_eq(zpci_where(&stand, 0, SPACES_WRITE), VIRTQ_EPERM);
    cr_assert_eq(zpci_where(&stand, 0x100000, SPACES_READ), ZPCI_DATA(1));
    cr_assert_eq(zpci_where(&stand, 0x100000, SPACES_WRITE), VIRTQ_EPERM);
    zpci_page(&stand, 0, 0, 0);
    zpci_put(&stand, ZPCI_REGIONS, 0, (ZPCI_ABSOLUTE + ZPCI_SEGMENTS(0)) | 0x207);
    zpci_done(&stand, 0, 0x200000);
    cr_assert_eq(zpci_where(&stand, 0, SPACES_WRITE), VIRTQ_EPERM);
    zpci_put(&stand, ZPCI_REGIONS, 0, (ZPCI_ABSOLUTE + ZPCI_SEGMENTS(0)) | 0x7);
    zpci_done(&stand, 0, 0x200000);
    cr_assert_eq(zpci_where(&stand, 0, SPACES_WRITE), ZPCI_DATA(0));
    cr_assert_eq(zpci_where(&stand, 0x100000, SPACES_WRITE), VIRTQ_EPERM);
    zpci_close(&stand);
}

Test(iommu_zpci_host, neighbours_that_continue_each_other_are_one_window)
{
    struct virtq_window window;

    zpci_open(&stand);
    zpci_start(&stand);
    for (unsigned i = 0; i < 6; i++) {
        zpci_page(&stand, 10 + i, 20 + i, i == 5 ? 0x200 : 0);
    }
    zpci_page(&stand, 16, 40, 0);
    zpci_done(&stand, 0, 0x100000);
    cr_assert_eq(stand.pin_calls, 3u, "a run is pinned at once");
    cr_assert_eq(stand.host.space.ops->window(&stand.host.space, 0xc123, SPACES_READ, &window), 0);
    cr_assert_eq(window.first, 0xa000u);
    cr_assert_eq(window.last, 0xefffu);
    cr_assert_eq(window.base, stand.memory + ZPCI_DATA(20));
    cr_assert_eq(window.permissions, (uint32_t)SPACES_BOTH);
    zpci_close(&stand);
}

Test(iommu_zpci_host, a_large_frame_is_a_megabyte_and_refreshed_page_by_page)
{
    zpci_open(&stand);
    zpci_start(&stand);
    /* Frames are aligned in the guest's memory: 0x80000000 is the first megabyte in it. */
    zpci_put(&stand, ZPCI_SEGMENTS(0), 2, 0x80000000u | 0x400);
    zpci_done(&stand, 0x210000, 0x1000);
    cr_assert_eq(zpci_where(&stand, 0x200000, SPACES_READ), VIRTQ_EFAULT);
    cr_assert_eq(zpci_where(&stand, 0x210004, SPACES_WRITE), 0x10000 + 0x10004);
    zpci_put(&stand, ZPCI_SEGMENTS(0), 2, 0x80000000u | 0x600);
    zpci_done(&stand, 0x200000, 0x100000);
    cr_assert_eq(zpci_where(&stand, 0x200000, SPACES_READ), 0x10000);
    cr_assert_eq(zpci_where(&stand, 0x2fffff, SPACES_READ), 0x10fff0 + 0xf);
    cr_assert_eq(zpci_where(&stand, 0x210004, SPACES_WRITE), VIRTQ_EPERM);
    cr_assert_eq(stand.pinned, 256u);
    zpci_put(&stand, ZPCI_SEGMENTS(0), 2, 0x20);
    zpci_done(&stand, 0, 0x400000);
    cr_assert_eq(stand.pinned, 0u);
    zpci_close(&stand);
}

Test(iommu_zpci_host, the_answers_to_a_wrong_handle_and_in_each_state)
{
    struct virtq_zpci_answer answer;

    zpci_open(&stand);
    zpci_start(&stand);
    zpci_page(&stand, 0, 0, 0);
    virtq_zpci_host_refresh(&stand.host, (uint64_t)(ZPCI_HANDLE + 1) << 32, 0, 4096, &answer);
    cr_assert_eq(answer.condition, (uint32_t)VIRTQ_ZPCI_HANDLE);
    cr_assert_eq(zpci_where(&stand, 0, SPACES_READ), VIRTQ_EFAULT);
    zpci_done(&stand, 0, 0);
    cr_assert_eq(zpci_where(&stand, 0, SPACES_READ), VIRTQ_EFAULT, "nothing was asked for");
    zpci_done(&stand, 0, 1);
    cr_assert_eq(zpci_where(&stand, 0, SPACES_READ), ZPCI_DATA(0));
    cr_assert_eq(virtq_zpci_host_set_state(&stand.host, VIRTQ_ZPCI_BLOCKED), 0);
    cr_assert_eq(zpci_where(&stand, 0, SPACES_READ), VIRTQ_EFAULT);
    zpci_done(&stand, 0, 4096);
    cr_assert_eq(virtq_zpci_host_set_state(&stand.host, VIRTQ_ZPCI_ENABLED), 0);
    cr_assert_eq(zpci_where(&stand, 0, SPACES_READ), ZPCI_DATA(0));
    cr_assert_eq(virtq_zpci_host_set_state(&stand.host, VIRTQ_ZPCI_IN_ERROR), 0);
    cr_assert_eq(stand.pinned, 0u);
    answer = zpci_refresh(&stand, 0, 4096);
    cr_assert_eq(answer.condition, (uint32_t)VIRTQ_ZPCI_ERROR);
    cr_assert_eq(answer.status, (uint32_t)VIRTQ_ZPCI_STATUS_RECOVERY);
    cr_assert_eq(virtq_zpci_host_set_state(&stand.host, VIRTQ_ZPCI_ENABLED), 0);
    zpci_done(&stand, 0, 4096);
    cr_assert_eq(virtq_zpci_host_set_state(&stand.host, VIRTQ_ZPCI_DISABLED), 0);
    cr_assert_eq(stand.pinned, 0u);
    cr_assert_eq(zpci_refresh(&stand, 0, 4096).condition, (uint32_t)VIRTQ_ZPCI_HANDLE);
    cr_assert_eq(virtq_zpci_host_set_state(&stand.host, 4), VIRTQ_EINVAL);
    cr_assert_eq(virtq_zpci_host_state(&stand.host), (uint32_t)VIRTQ_ZPCI_DISABLED);
    zpci_close(&stand);
}

Test(iommu_zpci_host, l6_ranges_are_clipped_and_those_outside_or_around_the_top_are_errors)
{
    static const struct {
        virtq_addr_t first;
        uint64_t len;
        bool legal;
    } rows[] = {{0, 0x100000, true},
                {0, VIRTQ_ZPCI_LAST + 1, true},
                {0, UINT64_MAX, true},
                {0x1ff000, UINT64_MAX - 0x1ff000, true},
                {0x1ff000, (uint64_t)0 - 0x1ff000, true},
                {0x1ff000, (uint64_t)1 - 0x1ff000, false},
                {0x1ff000, UINT64_MAX, false},
                {0, 0xff000, false},
                {0x200000, 0x1000, false},
                {VIRTQ_ZPCI_LAST + 1, 0x1000, false},
                {UINT64_MAX, 1, false},
                {UINT64_MAX, UINT64_MAX, false}};

    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct virtq_zpci_answer answer;

        zpci_open(&stand);
        stand.config.first = 0xff000;
        stand.config.last = 0x1fffff;
        zpci_start(&stand);
        zpci_page(&stand, 255, 0, 0);
        zpci_page(&stand, 511, 1, 0);
        answer = zpci_refresh(&stand, rows[i].first, rows[i].len);
        cr_assert_eq(answer.condition == (uint32_t)VIRTQ_ZPCI_DONE, rows[i].legal, "row %u", i);
        cr_assert_eq(answer.event, rows[i].legal ? 0u : (uint32_t)VIRTQ_ZPCI_EVENT_RANGE, "row %u",
                     i);
        cr_assert_eq(virtq_zpci_host_state(&stand.host),
                     (uint32_t)(rows[i].legal ? VIRTQ_ZPCI_ENABLED : VIRTQ_ZPCI_IN_ERROR), "row %u",
                     i);
        cr_assert_eq(stand.pinned,
                     rows[i].legal ? (rows[i].first == 0 && rows[i].len == 0x100000 ? 1u
                                      : rows[i].first == 0                          ? 2u
                                                                                    : 1u)
                                   : 0u,
                     "row %u", i);
        zpci_close(&stand);
    }
}

Test(iommu_zpci_host, registration_refuses_what_it_cannot_walk)
{
    const uint64_t good = ZPCI_ABSOLUTE | 0x804;

    zpci_open(&stand);
    stand.config.first = 0x100000;
    stand.config.last = 0x1fffff;
    zpci_start(&stand);
    cr_assert_eq(virtq_zpci_host_register(&stand.host, 0x100000, 0x1fffff, good), VIRTQ_EBUSY);
    cr_assert_eq(virtq_zpci_host_unregister(&stand.host), 0);
    cr_assert_eq(virtq_zpci_host_register(&stand.host, 0xff000, 0x1fffff, good), VIRTQ_EINVAL);
    cr_assert_eq(virtq_zpci_host_register(&stand.host, 0x100000, 0x200000, good), VIRTQ_EINVAL);
    cr_assert_eq(virtq_zpci_host_register(&stand.host, 0x1ff000, 0x100000, good), VIRTQ_EINVAL);
    cr_assert_eq(virtq_zpci_host_register(&stand.host, 0x100000, 0x1fffff, good & ~0x800u),
                 VIRTQ_ENOTSUP);
    for (uint64_t type = 0; type < 8; type++) {
        cr_assert_eq(
            virtq_zpci_host_register(&stand.host, 0x100000, 0x1fffff, (good & ~0x1cu) | type << 2),
            type == 1 ? 0 : VIRTQ_ENOTSUP);
        cr_assert_eq(virtq_zpci_host_unregister(&stand.host), 0);
    }
    cr_assert_eq(zpci_refresh(&stand, 0x100000, 4096).event, (uint32_t)VIRTQ_ZPCI_EVENT_NO_TABLES);
    cr_assert_eq(virtq_zpci_host_state(&stand.host), (uint32_t)VIRTQ_ZPCI_IN_ERROR);
    zpci_close(&stand);
}

Test(iommu_zpci_host, a_config_that_lacks_something_is_refused)
{
    struct virtq_zpci_host_config config;
    uint64_t tables[4096];

    zpci_open(&stand);
    zpci_start(&stand);
    cr_assert_eq(virtq_zpci_host_size(0, 1), SIZE_MAX);
    cr_assert_eq(virtq_zpci_host_size(2049, 1), SIZE_MAX);
    cr_assert_eq(virtq_zpci_host_size(1, 0), SIZE_MAX);
    cr_assert_eq(virtq_zpci_host_size(1, (1u << 22) + 1), SIZE_MAX);
    for (unsigned i = 0; i < 11; i++) {
        struct virtq_zpci_host host;

        config = stand.config;
        config.regions = config.segments = 1;
        config.tables = tables;
        config.tables_size = virtq_zpci_host_size(1, 1);
        cr_assert_leq(config.tables_size, sizeof(tables));
        config.struct_size -= i == 0;
        config.memory = i == 1 ? NULL : config.memory;
        config.tables = i == 2 ? NULL : i == 3 ? (char *)tables + 4 : config.tables;
        config.tables_size -= i == 4;
        config.segments = i == 5 ? 0 : 1;
        config.pin = i == 6 ? NULL : config.pin;
        config.first = i == 7 ? 0x800 : 0;
        config.last = i == 8 ? VIRTQ_ZPCI_LAST + 4096 : i == 9 ? 0x1000 : VIRTQ_ZPCI_LAST;
        config.words_max = i == 10 ? 258 : 259;
        cr_assert_eq(virtq_zpci_host_init(&host, &config), VIRTQ_EINVAL, "row %u", i);
    }
    zpci_close(&stand);
}

Test(iommu_zpci_host, a_shortage_says_so_leaves_nothing_old_and_is_gone_after_a_global_refresh)
{
    zpci_open(&stand);
    stand.config.pages_max = 3;
    zpci_start(&stand);
    zpci_page(&stand, 0, 0, 0);
    zpci_page(&stand, 1, 1, 0);
    zpci_page(&stand, 300, 2, 0);
    zpci_done(&stand, 0, 0x400000);
    /* Pages 0 and 1 go without a refresh of their own; 2 and 3 come. */
    zpci_page(&stand, 0, 0, 0x400);
    zpci_page(&stand, 1, 0, 0x400);
    zpci_page(&stand, 2, 7, 0);
    zpci_page(&stand, 3, 8, 0);
    zpci_page(&stand, 300, 9, 0);
    for (unsigned i = 0; i < 2; i++) {
        struct virtq_zpci_answer answer = zpci_refresh(&stand, 0x2000, 0x2000);

        cr_assert_eq(answer.condition, (uint32_t)VIRTQ_ZPCI_ERROR);
        cr_assert_eq(answer.status, (uint32_t)VIRTQ_ZPCI_STATUS_RESOURCES);
        cr_assert_eq(answer.event, (uint32_t)VIRTQ_ZPCI_EVENT_NONE);
    }
    cr_assert_eq(zpci_where(&stand, 0x3000, SPACES_READ), VIRTQ_EFAULT);
    zpci_done(&stand, 0, VIRTQ_ZPCI_LAST + 1);
    cr_assert_eq(zpci_where(&stand, 0x2000, SPACES_READ), ZPCI_DATA(7));
    cr_assert_eq(zpci_where(&stand, 0x3000, SPACES_READ), ZPCI_DATA(8));
    cr_assert_eq(zpci_where(&stand, 300 * 4096, SPACES_READ), ZPCI_DATA(9));
    zpci_close(&stand);
}

Test(iommu_zpci_host, segments_and_regions_that_the_shadow_has_no_room_for_are_a_shortage)
{
    zpci_open(&stand);
    stand.config.regions = 1;
    stand.config.segments = 2;
    zpci_lead(&stand, 2, 4);
    zpci_start(&stand);
    zpci_page(&stand, 0, 0, 0);
    zpci_page(&stand, 256, 1, 0);
    zpci_done(&stand, 0, 0x400000);
    zpci_page(&stand, 512, 2, 0);
    cr_assert_eq(zpci_refresh(&stand, 0x200000, 4096).status,
                 (uint32_t)VIRTQ_ZPCI_STATUS_RESOURCES);
    zpci_page(&stand, 0, 0, 0x400);
    zpci_done(&stand, 0, 0x400000);
    cr_assert_eq(zpci_where(&stand, 0x200000, SPACES_READ), ZPCI_DATA(2),
                 "what the walk has emptied serves what comes after");
    zpci_put(&stand, ZPCI_REGIONS, 0, 0x20);
    zpci_put(&stand, ZPCI_SEGMENTS(1), 0, ZPCI_ABSOLUTE + ZPCI_PAGES(0));
    zpci_page(&stand, 0, 0, 0);
    cr_assert_eq(zpci_refresh(&stand, 0x80000000, 4096).status,
                 (uint32_t)VIRTQ_ZPCI_STATUS_RESOURCES);
    zpci_done(&stand, 0, VIRTQ_ZPCI_LAST + 1);
    cr_assert_eq(zpci_where(&stand, 0x80000fff, SPACES_READ), ZPCI_DATA(0) + 0xfff);
    cr_assert_eq(stand.pinned, 1u);
    zpci_close(&stand);
}

Test(iommu_zpci_host, a_pin_that_fails_is_a_shortage_or_an_error_of_the_entry)
{
    struct virtq_zpci_answer answer;

    zpci_open(&stand);
    zpci_start(&stand);
    zpci_page(&stand, 1, 1, 0);
    stand.pin_error = VIRTQ_ENOMEM;
    answer = zpci_refresh(&stand, 0, 0x2000);
    cr_assert_eq(answer.status, (uint32_t)VIRTQ_ZPCI_STATUS_RESOURCES);
    cr_assert_eq(zpci_where(&stand, 0x1000, SPACES_READ), VIRTQ_EFAULT);
    zpci_done(&stand, 0, 0x2000);
    zpci_page(&stand, 257, 2, 0);
    stand.pin_error = VIRTQ_EFAULT;
    answer = zpci_refresh(&stand, 0, 0x200000);
    cr_assert_eq(answer.status, (uint32_t)VIRTQ_ZPCI_STATUS_IN_ERROR);
    cr_assert_eq(answer.event, (uint32_t)VIRTQ_ZPCI_EVENT_ENTRY);
    cr_assert_eq(answer.addr, 0x100000u);
    zpci_close(&stand);
}

/* What the refresh of an unpinning finds: M1. */
static struct virtq_guard_user user;
static bool left;

static void unpin_late(void *context, uint64_t absolute, uint64_t len, uint32_t permissions)
{
    (void)context;
    (void)absolute;
    (void)len;
    (void)permissions;
    cr_assert_eq(zpci_where(&stand, 0x3000, SPACES_READ), VIRTQ_EFAULT);
    cr_assert_eq(stand.host.space.generation, 1u, "queues have been told");
    left = true;
}

Test(iommu_zpci_host, m1_queues_have_forgotten_a_page_before_it_is_unpinned)
{
    static struct virtq_guard guard;

    zpci_open(&stand);
    stand.config.unpin = unpin_late;
    zpci_start(&stand);
    cr_assert_eq(virtq_guard_init(&guard, &stand.host.space, VIRTQ_GUARD_EPOCH), 0);
    cr_assert_eq(virtq_guard_join(&guard, &user), 0);
    zpci_page(&stand, 3, 5, 0);
    zpci_done(&stand, 0x3000, 0x1000);
    cr_assert_eq(stand.host.space.generation, 0u, "what is new disturbs nobody");
    virtq_guard_enter(&user);
    cr_assert_eq(zpci_where(&stand, 0x3000, SPACES_READ), ZPCI_DATA(5));
    virtq_guard_leave(&user, 1, 0);
    zpci_page(&stand, 3, 5, 0x400);
    zpci_done(&stand, 0x3000, 0x1000);
    cr_assert(left);
    cr_assert_eq(virtq_guard_held(&guard), 1u, "a buffer that was popped before is reported");
    virtq_guard_part(&user);
    cr_assert_eq(virtq_guard_fini(&guard), 0);
    stand.pinned = 0;
    zpci_close(&stand);
}

Test(iommu_zpci_host, what_the_memory_below_withdraws_queues_forget)
{
    struct virtq_direct_table none = {0};

    zpci_open(&stand);
    zpci_start(&stand);
    zpci_page(&stand, 3, 5, 0);
    zpci_done(&stand, 0x3000, 0x1000);
    cr_assert_eq(virtq_direct_set_regions(&stand.direct, &none), 0);
    cr_assert_eq(stand.host.space.generation, 1u);
    cr_assert_eq(zpci_where(&stand, 0x3000, SPACES_READ), VIRTQ_EFAULT);
    zpci_close(&stand);
}

/* A pin that refreshes, as another processor of the guest would meanwhile. */
static struct virtq_zpci_answer meanwhile;

static int pin_and_refresh(void *context, uint64_t absolute, uint64_t len, uint32_t permissions)
{
    meanwhile = zpci_refresh(context, 0, 4096);
    cr_assert_eq(virtq_zpci_host_unregister(&stand.host), VIRTQ_EBUSY);
    cr_assert_eq(virtq_zpci_host_set_state(&stand.host, VIRTQ_ZPCI_DISABLED), VIRTQ_EBUSY);
    return zpci_pin(context, absolute, len, permissions);
}

Test(iommu_zpci_host, a_second_refresh_at_once_is_busy_and_does_nothing)
{
    zpci_open(&stand);
    stand.config.pin = pin_and_refresh;
    zpci_start(&stand);
    zpci_page(&stand, 3, 5, 0);
    zpci_done(&stand, 0, 0x100000);
    cr_assert_eq(meanwhile.condition, (uint32_t)VIRTQ_ZPCI_BUSY);
    zpci_close(&stand);
}
