/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory types of a region, and ids in device addresses. M9. */
static void note(const void *at, unsigned width);
#define VIRTQ_SHM_TRACE(pointer, width, access) note((pointer), (width))

#include "support/guarded.h"
#include "support/runner.h"
#include "support/spaces.h"
#include "virtq/inline/shm.h"
#include "virtq/virtq.h"

enum { SIZE = 4096 };

static unsigned char memory[SIZE] __attribute__((aligned(64)));

static unsigned noted; /* Bytes. */

static void note(const void *at, unsigned width)
{
    cr_assert(width == 2 || width == 4 || width == 8, "an access of %u bytes", width);
    cr_assert_eq((uintptr_t)at % width, 0u, "an odd access");
    noted += width;
}

static struct virtq_bar_config describe(void)
{
    struct virtq_bar_config config = VIRTQ_BAR_CONFIG_INIT;

    config.base = memory;
    config.size = SIZE;
    config.permissions = SPACES_BOTH;
    return config;
}

Test(space_bar_type, m9_rings_lie_only_where_their_accesses_are_allowed)
{
    for (uint32_t widths = 1; widths < 16; widths++) {
        const int error = (widths & 14) == 14 ? 0 : VIRTQ_EFAULT;
        struct virtq_bar_config config = describe();
        struct virtq_bar bar;
        virtq_addr_t addr = 5;

        config.memory = VIRTQ_BAR_DEVICE;
        config.widths = widths;
        cr_assert_eq(virtq_bar_init_config(&bar, &config), 0);
        cr_assert_eq(virtq_space_share(&bar.space, memory, 64, SPACES_BOTH, &addr), error);
        /* A caller's own buffer may lie there all the same. */
        cr_assert_eq(virtq_bar_address(&bar, memory + 8, 64, SPACES_BOTH, &addr), 0);
        cr_assert_eq(addr, 8u);
    }
}

Test(space_bar_type, m9_a_queue_is_refused_in_device_memory_that_cannot_hold_it)
{
    for (unsigned i = 0; i < 8; i++) {
        const uint32_t widths[4] = {4, 12, 14, 15};
        struct virtq_bar_config config = describe();
        struct virtq_driver_config driver = VIRTQ_DRIVER_CONFIG_INIT;
        static unsigned char own[65536] __attribute__((aligned(64)));
        struct virtq_layout layout;
        struct virtq_driver *queue;
        struct virtq_bar bar;

        config.memory = VIRTQ_BAR_DEVICE;
        config.widths = widths[i / 2];
        cr_assert_eq(virtq_bar_init_config(&bar, &config), 0);
        driver.format = i % 2;
        driver.size = 16;
        driver.features = VIRTQ_FEATURE(VIRTIO_F_VERSION_1);
        driver.features |= i % 2 != 0 ? VIRTQ_FEATURE(VIRTIO_F_RING_PACKED) : 0;
        driver.space = &bar.space;
        cr_assert_eq(virtq_layout_init((enum virtq_format)driver.format, 16, &layout), 0);
        virtq_layout_areas(&layout, memory, &driver.areas);
        cr_assert_eq(virtq_driver_init(own, sizeof(own), &driver, &queue),
                     i < 4 ? VIRTQ_EFAULT : 0);
    }
}

Test(space_bar_type, m9_a_ring_is_zeroed_to_its_last_byte_and_no_further)
{
    for (unsigned at = 0; at < 16; at += 2) {
        for (unsigned len = 0; len <= 64; len += 2) {
            memset(memory, 0x5a, 128);
            noted = 0;
            virtq_shm_zero(memory + at, len);
            cr_assert_eq(noted, len);
            for (unsigned i = 0; i < 128; i++) {
                cr_assert_eq(memory[i], i >= at && i < at + len ? 0 : 0x5a);
            }
        }
    }
}

Test(space_bar_type, an_id_is_in_the_high_bits_of_every_address)
{
    struct virtq_bar_config config = describe();
    struct virtq_window window;
    struct spaces_buffer buffer;
    struct virtq_bar bar;
    virtq_addr_t addr;
    uint64_t first;

    config.id = 0xabc;
    config.shift = 52;
    first = (uint64_t)0xabc << 52;
    cr_assert_eq(virtq_bar_init_config(&bar, &config), 0);
    cr_assert_eq(virtq_bar_id(&bar), 0xabcu);
    cr_assert_eq(virtq_space_share(&bar.space, memory + 16, SIZE - 16, SPACES_BOTH, &addr), 0);
    cr_assert_eq(addr, first + 16);
    spaces_segment(&buffer, 0, memory + 1, SIZE - 1);
    cr_assert_eq(spaces_map(&bar.space, &buffer, 0, 1, 1), 0);
    cr_assert_eq(buffer.runs[0].addr, first + 1);
    cr_assert_eq(bar.space.ops->window(&bar.space, first + SIZE - 1, SPACES_READ, &window), 0);
    cr_assert_eq(window.first, first);
    cr_assert_eq(window.last, first + SIZE - 1);
    cr_assert_eq(window.base, memory);
    cr_assert_eq(bar.space.ops->window(&bar.space, first + SIZE, SPACES_READ, &window),
                 VIRTQ_EFAULT);
    cr_assert_eq(bar.space.ops->window(&bar.space, first - 1, SPACES_READ, &window), VIRTQ_EFAULT);
    cr_assert_eq(bar.space.ops->window(&bar.space, 0, SPACES_READ, &window), VIRTQ_EFAULT);
}

Test(space_bar_type, l6_the_last_id_ends_at_the_top)
{
    struct virtq_bar_config config = describe();
    struct virtq_bar bar;

    config.shift = 12;
    config.id = UINT32_MAX;
    cr_assert_eq(virtq_bar_init_config(&bar, &config), 0);
    config.shift = 63;
    config.id = 1;
    cr_assert_eq(virtq_bar_init_config(&bar, &config), 0);
    cr_assert_eq(bar.space.linear.first, (uint64_t)1 << 63);
    config.shift = 52;
    config.id = 0xfff;
    cr_assert_eq(virtq_bar_init_config(&bar, &config), 0);
    cr_assert_eq(bar.space.linear.last, ((uint64_t)0xfff << 52) + SIZE - 1);
}

Test(space_bar_type, refuses_illegal_configurations)
{
    const struct virtq_bar_config good = describe();
    struct virtq_bar_config config;
    struct virtq_bar bar;

    memset(&bar, 0x5a, sizeof(bar));
#define REFUSED(change)                                                   \
    do {                                                                  \
        config = good;                                                    \
        change;                                                           \
        cr_assert_eq(virtq_bar_init_config(&bar, &config), VIRTQ_EINVAL); \
    } while (0)
    REFUSED(config.struct_size = 8);
    REFUSED(config.size = 0);
    REFUSED(config.permissions = 0);
    REFUSED(config.memory = 3);
    REFUSED(config.widths = 4);
    REFUSED(config.memory = VIRTQ_BAR_DEVICE);
    REFUSED(config.memory = VIRTQ_BAR_DEVICE; config.widths = 16);
    REFUSED(config.memory = VIRTQ_BAR_WRITE_COMBINING; config.widths = 8);
    REFUSED(config.shift = 64);
    REFUSED(config.shift = 11);
    REFUSED(config.shift = 63; config.id = 2);
    REFUSED(config.shift = 52; config.id = 0x1000);
#undef REFUSED
    for (size_t i = 0; i < sizeof(bar); i++) {
        cr_assert_eq(((unsigned char *)&bar)[i], 0x5a);
    }
}
