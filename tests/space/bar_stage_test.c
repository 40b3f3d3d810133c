/* SPDX-License-Identifier: BSD-3-Clause */
/* Staging in a region. M8, M9. The region traps every access that is not one of the copy's. */
#include "bar_stage_fixture.h"
#include "support/random.h"

Test(space_bar_stage, m8_a_buffer_is_two_runs_and_comes_back_as_far_as_it_was_written)
{
    unsigned char bytes[400];
    struct spaces_buffer buffer;
    struct stage s;

    for (uint64_t written = 0; written <= 120; written++) {
        (void)stage_open(&s, VIRTQ_BAR_WRITE_COMBINING, 0, 0);
        for (unsigned i = 0; i < sizeof(bytes); i++) {
            bytes[i] = (unsigned char)i;
        }
        for (unsigned i = 0; i < 4; i++) {
            spaces_segment(&buffer, i, bytes + (size_t)i * 100, 50 + 10 * (i % 2));
        }
        cr_assert_eq(spaces_map(&s.stage.space, &buffer, 2, 2, 2), 0);
        cr_assert_eq(s.done, 1u, "one fence a buffer");
        cr_assert_eq(buffer.mapping.runs_readable, 1);
        cr_assert_eq(buffer.mapping.runs_writable, 1);
        cr_assert_eq(buffer.runs[0].len, 110u);
        let(&s, PROT_READ | PROT_WRITE);
        cr_assert(memcmp(at(&s, &buffer.runs[0]), bytes, 50) == 0);
        cr_assert(memcmp(at(&s, &buffer.runs[0]) + 50, bytes + 100, 60) == 0);
        memset(at(&s, &buffer.runs[1]), 0xdd, 30); /* The device writes less than it may say. */
        let(&s, PROT_NONE);
        spaces_unmap(&s.stage.space, &buffer, written < 110 ? written : 110);
        for (unsigned i = 0; i < sizeof(bytes); i++) {
            int new = i >= 200 && i < 230 && i - 200 < written;

            cr_assert_eq(bytes[i], new ? 0xdd : (unsigned char)i, "byte %u of %u", i,
                         (unsigned)written);
        }
        stage_close(&s);
    }
}

Test(space_bar_stage, m8_low_address_bits_are_kept)
{
    static unsigned char bytes[2048] __attribute__((aligned(1024)));
    struct spaces_buffer buffer;
    struct stage s;

    for (unsigned keeps = 0; keeps < 2; keeps++) {
        const struct virtq_bar_stage_config config = stage_open(&s, VIRTQ_BAR_CACHEABLE, 0, 511);

        if (keeps != 0) {
            stage_keep(&s, &s.stage, config, 6, 2, s.kept);
        }
        for (unsigned first = 0; first < 600; first += 7) {
            spaces_segment(&buffer, 0, bytes + first, 100);
            spaces_segment(&buffer, 1, bytes + 3 * first / 2, 50);
            cr_assert_eq(spaces_map(&s.stage.space, &buffer, 1, 1, 2), 0);
            cr_assert_eq(buffer.runs[0].addr % 512, first % 512);
            cr_assert_eq(buffer.runs[1].addr % 512, 3 * first / 2 % 512);
            spaces_unmap(&s.stage.space, &buffer, 0);
        }
        cr_assert_leq(usage_of(&s.stage).misses, 6u);
        stage_close(&s);
    }
}

Test(space_bar_stage, m9_no_access_is_narrower_than_the_memory_takes)
{
    static unsigned char bytes[1024] __attribute__((aligned(64)));
    const uint32_t widths[] = {1, 2, 4, 8, 12, 14, 15};
    struct spaces_buffer buffer;

    for (unsigned i = 0; i < sizeof(widths) / sizeof(widths[0]); i++) {
        const uint32_t unit = widths[i] & (0u - widths[i]);

        for (uint32_t len = 1; len <= 40; len++) {
            for (unsigned keep = 0; keep < 2; keep++) {
                unsigned char *odd = bytes + 256 + 2;
                const int fits = len % unit == 0 && (!keep || 2 % unit == 0);
                struct stage s;

                (void)stage_open(&s, VIRTQ_BAR_DEVICE, widths[i], keep ? 7 : 0);
                spaces_segment(&buffer, 0, bytes, 64);
                spaces_segment(&buffer, 1, odd, len);
                cr_assert_eq(spaces_map(&s.stage.space, &buffer, 1, 1, 2), fits ? 0 : VIRTQ_EFAULT);
                if (fits) {
                    spaces_unmap(&s.stage.space, &buffer, len / 2);
                }
                spaces_segment(&buffer, 0, odd, len);
                cr_assert_eq(spaces_map(&s.stage.space, &buffer, 1, 0, 2), fits ? 0 : VIRTQ_EFAULT);
                if (fits) {
                    spaces_unmap(&s.stage.space, &buffer, 0);
                }
                stage_close(&s);
            }
        }
    }
}

Test(space_bar_stage, a_full_region_is_a_shortage)
{
    static unsigned char bytes[8 * 65536];
    struct spaces_buffer buffers[PAGES];
    struct spaces_buffer more;
    struct stage s;
    void *ring;

    (void)stage_open(&s, VIRTQ_BAR_CACHEABLE, 0, 0);
    cr_assert_eq(virtq_bar_alloc(&s.bar, 64, 0, &ring), 0);
    spaces_segment(&more, 0, bytes, s.size + 1);
    cr_assert_eq(spaces_map(&s.stage.space, &more, 1, 0, 1), VIRTQ_ETOOBIG);
    for (unsigned i = 0; i < PAGES; i++) {
        spaces_segment(&buffers[i], 0, bytes, guarded_page());
        cr_assert_eq(spaces_map(&s.stage.space, &buffers[i], 0, 1, 1),
                     i < PAGES - 1 ? 0 : VIRTQ_ENOMEM);
    }
    spaces_segment(&more, 0, bytes, 1);
    cr_assert_eq(spaces_map(&s.stage.space, &more, 1, 0, 0), VIRTQ_EFULL);
    cr_assert_eq(spaces_map(&s.stage.space, &more, 0, 0, 1), VIRTQ_EINVAL);
    for (unsigned i = 0; i < PAGES - 1; i++) {
        spaces_unmap(&s.stage.space, &buffers[i], 0);
    }
    cr_assert_eq(virtq_bar_free(&s.bar, ring), 0);
    stage_close(&s);
}

Test(space_bar_stage, rings_have_to_lie_in_the_region)
{
    static unsigned char outside[64];
    struct virtq_window window;
    virtq_addr_t addr;
    struct stage s;

    (void)stage_open(&s, VIRTQ_BAR_DEVICE, 4, 0);
    cr_assert_eq(virtq_space_share(&s.stage.space, s.base, 64, SPACES_BOTH, &addr), VIRTQ_EFAULT,
                 "not with accesses of 4 bytes only");
    stage_close(&s);
    (void)stage_open(&s, VIRTQ_BAR_DEVICE, 14, 0);
    cr_assert_eq(virtq_space_share(&s.stage.space, s.base + 64, 64, SPACES_BOTH, &addr), 0);
    cr_assert_eq(addr, ((uint64_t)ID << SHIFT) + 64);
    virtq_space_unshare(&s.stage.space, addr, 64);
    cr_assert_eq(virtq_space_share(&s.stage.space, outside, 64, SPACES_BOTH, &addr), VIRTQ_EFAULT);
    cr_assert_eq(s.stage.space.ops->window(&s.stage.space, addr, SPACES_BOTH, &window), 0);
    cr_assert_eq(window.last, ((uint64_t)ID << SHIFT) + s.size - 1);
    cr_assert_eq(s.stage.space.ops->window(&s.stage.space, 0, SPACES_BOTH, &window), VIRTQ_EFAULT);
    stage_close(&s);
}

Test(space_bar_stage, refuses_illegal_configurations)
{
    struct virtq_bar_stage_config config;
    struct virtq_bar_stage stage;
    struct virtq_bar bare;
    struct stage s;

    config = stage_open(&s, VIRTQ_BAR_CACHEABLE, 0, 0);
    config.low_mask = 6;
    cr_assert_eq(virtq_bar_stage_init(&stage, &config), VIRTQ_EINVAL);
    config.low_mask = 7;
    config.struct_size = 8;
    cr_assert_eq(virtq_bar_stage_init(&stage, &config), VIRTQ_EINVAL);
    config.struct_size = sizeof(config);
    config.bar = NULL;
    cr_assert_eq(virtq_bar_stage_init(&stage, &config), VIRTQ_EINVAL);
    config.bar = &bare;
    cr_assert_eq(virtq_bar_init(&bare, s.base, s.size, SPACES_BOTH, 0), 0);
    cr_assert_eq(virtq_bar_stage_init(&stage, &config), VIRTQ_ENOTSUP);
    cr_assert_eq(virtq_bar_init(&bare, s.base, s.size, SPACES_READ, 0), 0);
    cr_assert_eq(virtq_bar_stage_init(&stage, &config), VIRTQ_EINVAL);
    config.bar = &s.bar;
    config.copy.to_shared = NULL;
    cr_assert_eq(virtq_bar_stage_init(&stage, &config), 0, "memcpy is good for cacheable memory");
    s.bar.memory = VIRTQ_BAR_WRITE_COMBINING;
    cr_assert_eq(virtq_bar_stage_init(&stage, &config), VIRTQ_EINVAL, "and for no other");
    config.copy.to_shared = copy_in;
    config.copy.from_shared = NULL;
    cr_assert_eq(virtq_bar_stage_init(&stage, &config), VIRTQ_EINVAL);
    config.copy.from_shared = copy_out;
    config.depth = 2;
    config.memory = s.kept;
    config.memory_size = virtq_bar_stage_private_size(&config) - 1;
    cr_assert_eq(virtq_bar_stage_init(&stage, &config), VIRTQ_ENOMEM);
    config.memory_size++;
    cr_assert_eq(virtq_bar_stage_init(&stage, &config), 0);
    config.memory = (unsigned char *)s.kept + 4;
    cr_assert_eq(virtq_bar_stage_init(&stage, &config), VIRTQ_EINVAL);
    config.memory = NULL;
    cr_assert_eq(virtq_bar_stage_init(&stage, &config), VIRTQ_EINVAL);
    config.memory = s.kept;
    config.classes = 0;
    cr_assert_eq(virtq_bar_stage_init(&stage, &config), VIRTQ_EINVAL);
    config.classes = VIRTQ_SLOTS_CLASSES_MAX + 1;
    cr_assert_eq(virtq_bar_stage_init(&stage, &config), VIRTQ_EINVAL);
    config.classes = 1;
    config.depth = 65537;
    cr_assert_eq(virtq_bar_stage_init(&stage, &config), VIRTQ_EINVAL);
    stage_close(&s);
}

/* Random buffers, some at once, and a device that writes what it likes and says any length: the
 * driver gets back bytes of that buffer's slot or its own old ones, the device no other buffer's
 * readable bytes in a writable part. */
static void lie(int keeps)
{
    enum { LIVE = 6, LONGEST = 700 };
    const unsigned rounds = getenv("VIRTQ_TEST_HURRIED") != NULL ? 200 : 20000;
    static unsigned char memory[LIVE][4][LONGEST];
    static struct spaces_buffer buffers[LIVE];
    unsigned counts[LIVE][2] = {{0, 0}};
    uint64_t random = 0x62617273;
    struct virtq_bar_stage_config config;
    struct stage s;

    config = stage_open(&s, VIRTQ_BAR_CACHEABLE, 0, 63);
    config.copy = (struct virtq_copy){NULL, NULL, NULL, NULL, NULL};
    cr_assert_eq(virtq_bar_stage_init(&s.stage, &config), 0);
    if (keeps) {
        stage_keep(&s, &s.stage, config, 5, 2, s.kept);
    }
    let(&s, PROT_READ | PROT_WRITE);
    for (unsigned round = 0; round < rounds; round++) {
        unsigned slot = (unsigned)random_below(&random, LIVE);
        unsigned *count = counts[slot];
        struct spaces_buffer *buffer = &buffers[slot];
        const unsigned char own = (unsigned char)(16 * (slot + 1));

        if (count[0] + count[1] == 0) {
            unsigned readable = (unsigned)random_below(&random, 3);
            unsigned writable = (unsigned)random_below(&random, 3);

            for (unsigned i = 0; i < readable + writable; i++) {
                spaces_segment(buffer, i, memory[slot][i] + random_below(&random, 64),
                               1 + random_below(&random, LONGEST - 64));
                memset(memory[slot][i], own + (i < readable), LONGEST);
            }
            if (readable + writable != 0 &&
                spaces_map(&s.stage.space, buffer, readable, writable, 2) == 0) {
                count[0] = readable;
                count[1] = writable;
            }
        } else {
            uint64_t writable = 0;

            for (unsigned i = 0;
                 i < (unsigned)buffer->mapping.runs_readable + buffer->mapping.runs_writable; i++) {
                const struct virtq_run *run = &buffer->runs[i];
                unsigned char *bytes = at(&s, run);
                unsigned char sent = (unsigned char)(own + (i < buffer->mapping.runs_readable));

                for (uint32_t k = 0; k < run->len; k++) {
                    cr_assert_eq(bytes[k], sent, "the device sees another byte");
                }
                if (i >= buffer->mapping.runs_readable) {
                    memset(bytes, own + 2, random_below(&random, run->len + 1));
                    writable = run->len;
                }
            }
            spaces_unmap(&s.stage.space, buffer, random_below(&random, writable + 1));
            for (unsigned i = 0; i < count[0] + count[1]; i++) {
                for (unsigned k = 0; k < (unsigned)LONGEST; k++) {
                    unsigned char it = memory[slot][i][k];

                    cr_assert(it == own + (i < count[0]) || (i >= count[0] && it == own + 2),
                              "the driver sees another byte");
                }
            }
            count[0] = count[1] = 0;
        }
    }
    for (unsigned i = 0; i < LIVE; i++) {
        if (counts[i][0] + counts[i][1] != 0) {
            spaces_unmap(&s.stage.space, &buffers[i], 0);
        }
    }
    stage_close(&s);
}

Test(space_bar_stage, m8_no_byte_of_another_buffer_is_ever_seen)
{
    lie(0);
}

Test(space_bar_stage, m8_no_byte_of_another_buffer_is_ever_seen_in_a_slot_that_was_kept)
{
    lie(1);
}
