/* SPDX-License-Identifier: BSD-3-Clause */
/* The hypervisor's end of a TCE window: the calls of a guest that is not trusted, and the table as
 * a space. */
#include "iommu/tce_fixture.h"

static struct tce_world world;

enum { PAGE = 4096, LARGE = 65536 };

Test(tce_table, a_new_table_grants_nothing)
{
    struct virtq_window window;

    tce_open(&world, TCE_BUS, TCE_SMALL);
    cr_assert_eq(tce_window(&world, TCE_BUS, SPACES_READ, &window), VIRTQ_EFAULT);
    cr_assert_eq(tce_get(&world, TCE_BUS), 0u);
    cr_assert_eq(tce_used(&world), 0u);
}

Test(tce_table, an_entry_leads_to_its_page_with_its_permissions)
{
    struct virtq_window window;

    tce_open(&world, TCE_BUS, TCE_SMALL);
    cr_assert_eq(tce_put(&world, TCE_BUS + 5 * PAGE, (TCE_REAL + 7 * PAGE) | TCE_BOTH), 0);
    cr_assert_eq(tce_get(&world, TCE_BUS + 5 * PAGE), (TCE_REAL + 7 * PAGE) | TCE_BOTH);
    cr_assert_eq(tce_window(&world, TCE_BUS + 5 * PAGE + 123, SPACES_BOTH, &window), 0);
    cr_assert_eq(window.first, TCE_BUS + 5 * PAGE);
    cr_assert_eq(window.last, TCE_BUS + 6 * PAGE - 1);
    cr_assert(window.base == tce_guest() + 7 * PAGE);
    cr_assert_eq(window.permissions, (uint32_t)SPACES_BOTH);
    cr_assert_eq(tce_window(&world, TCE_BUS + 4 * PAGE, SPACES_READ, &window), VIRTQ_EFAULT);
    cr_assert_eq(tce_window(&world, TCE_BUS + 6 * PAGE, SPACES_READ, &window), VIRTQ_EFAULT);
}

Test(tce_table, m3_what_an_entry_does_not_grant_is_refused)
{
    struct virtq_window window;

    tce_open(&world, 0, TCE_LARGE);
    cr_assert_eq(tce_put(&world, 0, TCE_REAL | VIRTQ_TCE_READ), 0);
    cr_assert_eq(tce_put(&world, LARGE, TCE_REAL | VIRTQ_TCE_WRITE), 0);
    cr_assert_eq(tce_window(&world, 9, SPACES_READ, &window), 0);
    cr_assert_eq(window.permissions, (uint32_t)SPACES_READ);
    cr_assert_eq(window.last, (virtq_addr_t)LARGE - 1);
    cr_assert_eq(tce_window(&world, 9, SPACES_WRITE, &window), VIRTQ_EPERM);
    cr_assert_eq(tce_window(&world, 9, SPACES_BOTH, &window), VIRTQ_EPERM);
    cr_assert_eq(tce_window(&world, LARGE, SPACES_READ, &window), VIRTQ_EPERM);
    cr_assert_eq(tce_window(&world, LARGE, SPACES_WRITE, &window), 0);
    cr_assert_eq(tce_window(&world, LARGE, 0, &window), VIRTQ_EINVAL);
    cr_assert_eq(tce_window(&world, LARGE, 4, &window), VIRTQ_EINVAL);
}

/* Whatever this machine's order is. */
Test(tce_table, entries_are_big_endian_in_the_table_and_in_a_list)
{
    const unsigned char bytes[8] = {0, 0, 0, 0, 0x20, 0x00, 0x30, 0x03};

    tce_open(&world, 0, TCE_SMALL);
    cr_assert_eq(tce_put(&world, 0, (TCE_REAL + 3 * PAGE) | TCE_BOTH), 0);
    cr_assert_eq(memcmp(&world.table.entries[0], bytes, 8), 0);
    memcpy(tce_guest(), bytes, 8);
    cr_assert_eq(tce_raw(&world, VIRTQ_TCE_PUT_INDIRECT, TCE_LIOBN, PAGE, TCE_REAL, 1), 0);
    cr_assert_eq(memcmp(&world.table.entries[1], bytes, 8), 0);
}

Test(tce_table, refuses_a_liobn_that_no_table_has)
{
    tce_open(&world, 0, TCE_SMALL);
    cr_assert_eq(tce_raw(&world, VIRTQ_TCE_PUT, TCE_LIOBN + 1, 0, 0, 0), VIRTQ_TCE_PARAMETER);
    /* 32 bits are its name; a register has more. */
    cr_assert_eq(tce_raw(&world, VIRTQ_TCE_PUT, (uint64_t)1 << 32 | TCE_LIOBN, 0, 0, 0),
                 VIRTQ_TCE_PARAMETER);
    cr_assert_eq(tce_raw(&world, VIRTQ_TCE_STUFF, 0, 0, 0, 1), VIRTQ_TCE_PARAMETER);
    cr_assert_eq(tce_raw(&world, VIRTQ_TCE_PUT_INDIRECT, 0, 0, TCE_REAL, 1), VIRTQ_TCE_PARAMETER);
    cr_assert_eq(tce_raw(&world, VIRTQ_TCE_GET, 0, 0, 0, 0), VIRTQ_TCE_PARAMETER);
}

Test(tce_table, refuses_a_call_that_is_none)
{
    tce_open(&world, 0, TCE_SMALL);
    cr_assert_eq(tce_raw(&world, 0, TCE_LIOBN, 0, 0, 0), VIRTQ_TCE_FUNCTION);
    cr_assert_eq(tce_raw(&world, (uint64_t)1 << 32 | VIRTQ_TCE_PUT, TCE_LIOBN, 0, 0, 0),
                 VIRTQ_TCE_FUNCTION);
}

Test(tce_table, refuses_a_bus_address_that_is_not_at_a_page_of_the_window)
{
    const uint64_t size = (uint64_t)TCE_ENTRIES * LARGE;
    const uint64_t bad[] = {TCE_BUS - LARGE, TCE_BUS + size,     TCE_BUS + PAGE, TCE_BUS + 1, 0,
                            UINT64_MAX,      UINT64_MAX - 0xffff};
    const uint64_t calls[] = {VIRTQ_TCE_GET, VIRTQ_TCE_PUT, VIRTQ_TCE_STUFF,
                              VIRTQ_TCE_PUT_INDIRECT};

    tce_open(&world, TCE_BUS, TCE_LARGE);
    tce_list(tce_guest(), 0, TCE_REAL | TCE_BOTH);
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        for (unsigned call = 0; call < 4; call++) {
            cr_assert_eq(tce_raw(&world, calls[call], TCE_LIOBN, bad[i],
                                 call == 3 ? TCE_REAL : (TCE_REAL | TCE_BOTH), 1),
                         VIRTQ_TCE_PARAMETER, "call %u, address %u", call, i);
        }
    }
    cr_assert_eq(tce_used(&world), 0u);
    cr_assert_eq(tce_put(&world, TCE_BUS + size - LARGE, TCE_REAL | TCE_BOTH), 0);
}

Test(tce_table, refuses_a_count_that_leaves_the_window)
{
    const uint64_t entry = TCE_REAL | TCE_BOTH;
    const uint64_t last = (uint64_t)(TCE_ENTRIES - 1) * PAGE;

    tce_open(&world, 0, TCE_SMALL);
    tce_list(tce_guest(), 0, entry);
    tce_list(tce_guest(), 1, entry);
    cr_assert_eq(tce_raw(&world, VIRTQ_TCE_STUFF, TCE_LIOBN, last, entry, 2), VIRTQ_TCE_PARAMETER);
    cr_assert_eq(tce_raw(&world, VIRTQ_TCE_STUFF, TCE_LIOBN, 0, entry, TCE_ENTRIES + 1),
                 VIRTQ_TCE_PARAMETER);
    cr_assert_eq(tce_raw(&world, VIRTQ_TCE_STUFF, TCE_LIOBN, PAGE, entry, UINT64_MAX),
                 VIRTQ_TCE_PARAMETER);
    cr_assert_eq(tce_raw(&world, VIRTQ_TCE_PUT_INDIRECT, TCE_LIOBN, last, TCE_REAL, 2),
                 VIRTQ_TCE_PARAMETER);
    cr_assert_eq(tce_used(&world), 0u);
    cr_assert_eq(tce_raw(&world, VIRTQ_TCE_STUFF, TCE_LIOBN, 0, entry, TCE_ENTRIES), 0);
    cr_assert_eq(tce_used(&world), (unsigned)TCE_ENTRIES);
    cr_assert_eq(tce_raw(&world, VIRTQ_TCE_PUT_INDIRECT, TCE_LIOBN, last, TCE_REAL, 1), 0);
}

Test(tce_table, a_list_has_up_to_512_entries_and_none_is_legal)
{
    tce_open(&world, 0, TCE_SMALL);
    for (unsigned i = 0; i < 512; i++) {
        tce_list(tce_guest(), i, (TCE_REAL + (uint64_t)i * PAGE) | VIRTQ_TCE_READ);
    }
    cr_assert_eq(tce_raw(&world, VIRTQ_TCE_PUT_INDIRECT, TCE_LIOBN, 0, TCE_REAL, 513),
                 VIRTQ_TCE_PARAMETER);
    cr_assert_eq(tce_raw(&world, VIRTQ_TCE_PUT_INDIRECT, TCE_LIOBN, 0, TCE_REAL, 0), 0);
    cr_assert_eq(tce_raw(&world, VIRTQ_TCE_STUFF, TCE_LIOBN, 0, 0, 0), 0);
    cr_assert_eq(tce_used(&world), 0u);
    cr_assert_eq(tce_raw(&world, VIRTQ_TCE_PUT_INDIRECT, TCE_LIOBN, PAGE, TCE_REAL, 512), 0);
    cr_assert_eq(tce_used(&world), 512u);
    cr_assert_eq(tce_get(&world, 512 * PAGE), (TCE_REAL + 511 * PAGE) | VIRTQ_TCE_READ);
}

Test(tce_table, refuses_a_list_page_that_is_not_a_page_of_guest_memory)
{
    const uint64_t bad[] = {TCE_REAL + 8,           TCE_REAL + PAGE / 2,   TCE_REAL | 3,
                            TCE_REAL - PAGE,        TCE_REAL + TCE_MEMORY, 0,
                            UINT64_MAX - (PAGE - 1)};

    tce_open(&world, 0, TCE_SMALL);
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cr_assert_eq(tce_raw(&world, VIRTQ_TCE_PUT_INDIRECT, TCE_LIOBN, 0, bad[i], 1),
                     VIRTQ_TCE_PARAMETER, "list %u", i);
    }
    /* Where memory ends in the middle of it. */
    world.region.last -= PAGE / 2;
    cr_assert_eq(
        tce_raw(&world, VIRTQ_TCE_PUT_INDIRECT, TCE_LIOBN, 0, TCE_REAL + TCE_MEMORY - PAGE, 1),
        VIRTQ_TCE_PARAMETER);
    cr_assert_eq(tce_used(&world), 0u);
}

Test(tce_table, refuses_an_entry_with_bits_between_page_and_permissions)
{
    tce_open(&world, 0, TCE_LARGE);
    for (unsigned bit = 2; bit < TCE_LARGE; bit++) {
        cr_assert_eq(tce_put(&world, 0, TCE_REAL | (uint64_t)1 << bit | VIRTQ_TCE_READ),
                     VIRTQ_TCE_PARAMETER, "bit %u", bit);
    }
    cr_assert_eq(tce_used(&world), 0u);
    tce_open(&world, 0, TCE_SMALL);
    cr_assert_eq(tce_put(&world, 0, TCE_REAL | PAGE | VIRTQ_TCE_READ), 0);
    cr_assert_eq(tce_put(&world, 0, TCE_REAL | (PAGE / 2) | VIRTQ_TCE_READ), VIRTQ_TCE_PARAMETER);
}

Test(tce_table, refuses_a_page_that_is_not_guest_memory)
{
    tce_open(&world, 0, TCE_LARGE);
    cr_assert_eq(tce_put(&world, 0, (TCE_REAL - LARGE) | VIRTQ_TCE_READ), VIRTQ_TCE_PARAMETER);
    cr_assert_eq(tce_put(&world, 0, (TCE_REAL + TCE_MEMORY) | VIRTQ_TCE_READ), VIRTQ_TCE_PARAMETER);
    cr_assert_eq(tce_put(&world, 0, UINT64_MAX & ~(uint64_t)0xfffc), VIRTQ_TCE_PARAMETER);
    cr_assert_eq(tce_put(&world, 0, (TCE_REAL + TCE_MEMORY - LARGE) | VIRTQ_TCE_READ), 0);
    /* Nor one of which only the beginning is. */
    world.region.last -= PAGE;
    cr_assert_eq(tce_put(&world, 0, (TCE_REAL + TCE_MEMORY - LARGE) | VIRTQ_TCE_READ),
                 VIRTQ_TCE_PARAMETER);
}

Test(tce_table, accepts_a_page_that_lies_over_several_regions_of_memory)
{
    struct virtq_region regions[16];
    struct virtq_window window;

    tce_open(&world, 0, TCE_LARGE);
    for (unsigned i = 0; i < 16; i++) {
        regions[i].first = TCE_REAL + (uint64_t)i * PAGE;
        regions[i].last = regions[i].first + PAGE - 1;
        regions[i].base = tce_guest() + (size_t)(2 * i + 1) * PAGE;
        regions[i].permissions = SPACES_BOTH;
    }
    cr_assert_eq(virtq_direct_init_regions(&world.memory, regions, 16), 0);
    cr_assert_eq(tce_put(&world, LARGE, TCE_REAL | TCE_BOTH), 0);
    /* A piece at a time, and never beyond it. */
    cr_assert_eq(tce_window(&world, LARGE + 5 * PAGE + 17, SPACES_WRITE, &window), 0);
    cr_assert_eq(window.first, (virtq_addr_t)LARGE + 5 * PAGE);
    cr_assert_eq(window.last, (virtq_addr_t)LARGE + 6 * PAGE - 1);
    cr_assert(window.base == tce_guest() + 11 * PAGE);
    cr_assert_eq(tce_put(&world, LARGE, (TCE_REAL + LARGE) | TCE_BOTH), VIRTQ_TCE_PARAMETER);
}

Test(tce_table, memory_that_may_not_be_written_is_not_granted_for_writing)
{
    tce_open(&world, 0, TCE_SMALL);
    world.region.permissions = SPACES_READ;
    cr_assert_eq(tce_put(&world, 0, TCE_REAL | VIRTQ_TCE_WRITE), VIRTQ_TCE_PERMISSION);
    cr_assert_eq(tce_put(&world, 0, TCE_REAL | TCE_BOTH), VIRTQ_TCE_PERMISSION);
    cr_assert_eq(tce_put(&world, 0, TCE_REAL | VIRTQ_TCE_READ), 0);
}

Test(tce_table, accepts_any_entry_that_grants_nothing)
{
    struct virtq_window window;

    tce_open(&world, 0, TCE_LARGE);
    cr_assert_eq(tce_put(&world, 0, UINT64_MAX & ~(uint64_t)3), 0);
    cr_assert_eq(tce_get(&world, 0), UINT64_MAX & ~(uint64_t)3);
    cr_assert_eq(tce_window(&world, 0, SPACES_READ, &window), VIRTQ_EFAULT);
    cr_assert_eq(tce_raw(&world, VIRTQ_TCE_STUFF, TCE_LIOBN, 0, 0xdead0000, 8), 0);
    cr_assert_eq(tce_window(&world, 7 * LARGE, SPACES_READ, &window), VIRTQ_EFAULT);
}

Test(tce_table, a_list_is_put_as_a_whole_or_not_at_all)
{
    tce_open(&world, 0, TCE_SMALL);
    for (unsigned i = 0; i < 8; i++) {
        tce_list(tce_guest(), i, (TCE_REAL + (uint64_t)i * PAGE) | TCE_BOTH);
    }
    tce_list(tce_guest(), 7, TCE_REAL | TCE_BOTH | 4);
    cr_assert_eq(tce_raw(&world, VIRTQ_TCE_PUT_INDIRECT, TCE_LIOBN, 0, TCE_REAL, 8),
                 VIRTQ_TCE_PARAMETER);
    cr_assert_eq(tce_used(&world), 0u);
    cr_assert_eq(tce_raw(&world, VIRTQ_TCE_PUT_INDIRECT, TCE_LIOBN, 0, TCE_REAL, 7), 0);
    cr_assert_eq(tce_used(&world), 7u);
}

/* ---- A guest that changes its list while it is judged ---- */

/* Guest memory that, whenever it is asked about a page, makes all entries of the list say something
 * else: the moment between judging and using. */
struct liar {
    struct virtq_space space;
    struct virtq_space *real;
    unsigned questions;
};

static int liar_window(struct virtq_space *space, virtq_addr_t addr, uint32_t permission,
                       struct virtq_window *window)
{
    struct liar *liar = (struct liar *)space;
    int error = liar->real->ops->window(liar->real, addr, permission, window);

    if (liar->questions++ != 0) {
        for (unsigned i = 0; i < 512; i++) {
            tce_list(tce_guest(), i, 0x666000 | TCE_BOTH);
        }
        /* A page at a time, so that each entry is a question. */
        if (error == 0) {
            window->base += (addr & ~(virtq_addr_t)(PAGE - 1)) - window->first;
            window->first = addr & ~(virtq_addr_t)(PAGE - 1);
            window->last = window->first + PAGE - 1;
        }
    }
    return error;
}

Test(tce_table, a_list_that_changes_while_it_is_judged_is_used_as_it_was_read)
{
    static const struct virtq_space_ops ops = {
        .size = sizeof(ops), .name = "liar", .window = liar_window};
    struct liar liar = {.space = {.ops = &ops}};

    tce_open(&world, 0, TCE_SMALL);
    liar.real = &world.memory.space;
    world.table.memory = &liar.space;
    for (unsigned i = 0; i < 512; i++) {
        tce_list(tce_guest(), i, (TCE_REAL + (uint64_t)i * PAGE) | VIRTQ_TCE_READ);
    }
    cr_assert_eq(tce_raw(&world, VIRTQ_TCE_PUT_INDIRECT, TCE_LIOBN, 0, TCE_REAL, 512), 0);
    cr_assert_eq(liar.questions, 513u, "the list page, and each page");
    for (unsigned i = 0; i < 512; i++) {
        cr_assert_eq(tce_get(&world, (uint64_t)i * PAGE),
                     (TCE_REAL + (uint64_t)i * PAGE) | VIRTQ_TCE_READ);
    }
}

/* ---- Making one ---- */

Test(tce_table, is_as_large_as_its_window_asks)
{
    struct virtq_tce_window window = {0, 512, 1, 12};

    cr_assert_eq(virtq_tce_table_size(&window), 512u * 8 + 4096);
    window.shift = 3;
    cr_assert_eq(virtq_tce_table_size(&window), SIZE_MAX);
    window = (struct virtq_tce_window){0, (uint64_t)1 << 52, 1, 12};
    cr_assert_eq(virtq_tce_table_size(&window), ((size_t)1 << 55) + 4096);
}

Test(tce_table, is_not_made_of_a_wrong_configuration)
{
    struct virtq_tce_table_config good = VIRTQ_TCE_TABLE_CONFIG_INIT;
    struct virtq_tce_table_config config;
    struct virtq_tce_table table;

    tce_open(&world, 0, TCE_SMALL);
    memset(&table, 0x55, sizeof(table));
    good.window = world.table.window;
    good.memory = &world.memory.space;
    good.entries = world.entries;
    good.entries_size = sizeof(world.entries);
    config = good;
    config.entries_size--;
    cr_assert_eq(virtq_tce_table_init(&table, &config), VIRTQ_ENOMEM);
    config = good;
    config.entries = (unsigned char *)world.entries + 4;
    cr_assert_eq(virtq_tce_table_init(&table, &config), VIRTQ_EINVAL);
    config = good;
    config.entries = NULL;
    cr_assert_eq(virtq_tce_table_init(&table, &config), VIRTQ_EINVAL);
    config = good;
    config.memory = NULL;
    cr_assert_eq(virtq_tce_table_init(&table, &config), VIRTQ_EINVAL);
    config = good;
    config.window.entries = 0;
    cr_assert_eq(virtq_tce_table_init(&table, &config), VIRTQ_EINVAL);
    config = good;
    config.struct_size = 8;
    cr_assert_eq(virtq_tce_table_init(&table, &config), VIRTQ_EINVAL);
    for (size_t i = 0; i < sizeof(table); i++) {
        cr_assert_eq(((unsigned char *)&table)[i], 0x55);
    }
}

Test(tce_table, a_host_has_each_liobn_once)
{
    static uint64_t entries[TCE_ENTRIES + VIRTQ_TCE_LIST_MAX];
    struct virtq_tce_table_config config = VIRTQ_TCE_TABLE_CONFIG_INIT;
    struct virtq_tce_table second;

    tce_open(&world, 0, TCE_SMALL);
    config.window = world.table.window;
    config.window.first = TCE_BUS;
    config.memory = &world.memory.space;
    config.entries = entries;
    config.entries_size = sizeof(entries);
    cr_assert_eq(virtq_tce_table_init(&second, &config), 0);
    cr_assert_eq(virtq_tce_host_add(&world.host, &second), VIRTQ_EBUSY);
    second.window.liobn++;
    cr_assert_eq(virtq_tce_host_add(&world.host, &second), 0);
    cr_assert_eq(tce_raw(&world, VIRTQ_TCE_PUT, TCE_LIOBN + 1, TCE_BUS, TCE_REAL | 1, 0), 0);
    cr_assert_eq(tce_put(&world, TCE_BUS, TCE_REAL | 1), VIRTQ_TCE_PARAMETER);
    virtq_tce_host_remove(&world.host, &world.table);
    virtq_tce_host_remove(&world.host, &world.table);
    cr_assert_eq(tce_put(&world, 0, TCE_REAL | 1), VIRTQ_TCE_PARAMETER);
    cr_assert_eq(tce_raw(&world, VIRTQ_TCE_PUT, TCE_LIOBN + 1, TCE_BUS, 0, 0), 0);
    virtq_tce_table_fini(&second);
}
