/* SPDX-License-Identifier: BSD-3-Clause */
/* A fifth space, and that it judges what it is said to judge: the traffic suite relies on it. */
#include "support/fake_space.h"
#include "support/spaces.h"
#include "support/world_traffic.h"

enum { GRANULE = FAKE_SPACE_GRANULE, GRANULES = 64 };

static unsigned char memory[4 * GRANULE] __attribute__((aligned(4096)));
static struct fake_granule granules[GRANULES];

/* Resolves what `addr` misses. */
static void know(struct fake_space *fake, virtq_addr_t addr, uint32_t permission)
{
    const struct virtq_miss miss = {addr, 1, permission, 0};

    cr_assert_eq(fake_space_resolve(fake, &miss), 0);
}

Test(spec_fifth_space, a_segment_across_a_page_becomes_two_runs_that_go_backwards)
{
    struct fake_space fake;
    struct spaces_buffer buffer = {0};
    unsigned char bytes[100];

    fake_space_init(&fake, granules, GRANULES);
    memset(memory, 7, sizeof(memory));
    spaces_segment(&buffer, 0, memory + GRANULE - 40, 100);
    cr_assert_eq(spaces_map(&fake.space, &buffer, 1, 0, 4), 0);
    cr_assert_eq(buffer.mapping.runs_readable, 2);
    cr_assert_eq(buffer.runs[0].len, 40u);
    cr_assert_eq(buffer.runs[1].len, 60u);
    cr_assert_lt(buffer.runs[1].addr, buffer.runs[0].addr);
    /* L6: the first granule handed out is the last there is. */
    cr_assert_eq(buffer.runs[0].addr + (buffer.runs[0].len - 1), UINT64_MAX);
    cr_assert_eq(spaces_copy(&fake.space, buffer.runs[0].addr, bytes, 40, SPACES_READ),
                 VIRTQ_EMISS);
    know(&fake, buffer.runs[0].addr, SPACES_READ);
    cr_assert_eq(spaces_copy(&fake.space, buffer.runs[0].addr, bytes, 40, SPACES_READ), 0);
    cr_assert_eq(bytes[39], 7);
    cr_assert_null(fake_space_judge(&fake, false));
    cr_assert_not_null(fake_space_judge(&fake, true));
    spaces_unmap(&fake.space, &buffer, 0);
    cr_assert_null(fake_space_judge(&fake, true));
}

Test(spec_fifth_space, a_window_is_exactly_the_bytes_that_were_granted)
{
    struct fake_space fake;
    struct spaces_buffer buffer = {0};
    struct virtq_window window;

    fake_space_init(&fake, granules, GRANULES);
    spaces_segment(&buffer, 0, memory + 10, 20);
    cr_assert_eq(spaces_map(&fake.space, &buffer, 0, 1, 4), 0);
    know(&fake, buffer.runs[0].addr + 3, SPACES_WRITE);
    cr_assert_eq(
        fake.space.ops->window(&fake.space, buffer.runs[0].addr + 3, SPACES_WRITE, &window), 0);
    cr_assert_eq(window.first, buffer.runs[0].addr);
    cr_assert_eq(window.last, buffer.runs[0].addr + 19);
    cr_assert(window.base == memory + 10);
    cr_assert_eq(window.permissions, (uint32_t)SPACES_WRITE);
    cr_assert_null(fake_space_judge(&fake, false));
    cr_assert_eq(
        fake.space.ops->window(&fake.space, buffer.runs[0].addr + 20, SPACES_WRITE, &window),
        VIRTQ_EFAULT);
    cr_assert_not_null(fake_space_judge(&fake, false));
    spaces_unmap(&fake.space, &buffer, 20);
}

Test(spec_fifth_space, no_window_outlives_its_unmapping)
{
    struct fake_space fake;
    struct spaces_buffer buffer = {0};
    struct virtq_window window;
    uint64_t generation;
    virtq_addr_t addr;

    fake_space_init(&fake, granules, GRANULES);
    spaces_segment(&buffer, 0, memory, 1);
    cr_assert_eq(spaces_map(&fake.space, &buffer, 1, 0, 4), 0);
    addr = buffer.runs[0].addr;
    know(&fake, addr, SPACES_READ);
    generation = fake.space.generation;
    spaces_unmap(&fake.space, &buffer, 0);
    cr_assert_gt(fake.space.generation, generation);
    /* The same address again, for other memory: what was known of it is not. */
    spaces_segment(&buffer, 0, memory + GRANULE, 1);
    cr_assert_eq(spaces_map(&fake.space, &buffer, 1, 0, 4), 0);
    cr_assert_eq(buffer.runs[0].addr, addr);
    cr_assert_eq(fake.space.ops->window(&fake.space, addr, SPACES_READ, &window), VIRTQ_EMISS);
    spaces_unmap(&fake.space, &buffer, 0);
    cr_assert_null(fake_space_judge(&fake, true));
    cr_assert_eq(fake.space.ops->window(&fake.space, addr, SPACES_READ, &window), VIRTQ_EFAULT);
    cr_assert_not_null(fake_space_judge(&fake, false));
}

Test(spec_fifth_space, a_permission_is_a_promise_too)
{
    struct fake_space fake;
    struct spaces_buffer buffer = {0};
    struct virtq_window window;

    fake_space_init(&fake, granules, GRANULES);
    spaces_segment(&buffer, 0, memory, 1);
    cr_assert_eq(spaces_map(&fake.space, &buffer, 1, 0, 4), 0);
    cr_assert_eq(fake.space.ops->window(&fake.space, buffer.runs[0].addr, SPACES_WRITE, &window),
                 VIRTQ_EPERM);
    cr_assert_not_null(fake_space_judge(&fake, false));
    spaces_unmap(&fake.space, &buffer, 0);
}

Test(spec_fifth_space, every_broken_promise_of_a_driver_is_seen)
{
    struct fake_space fake;
    struct spaces_buffer buffer = {0};

    for (unsigned which = 0; which < 4; which++) {
        fake_space_init(&fake, granules, GRANULES);
        spaces_segment(&buffer, 0, memory, which == 0 ? 0 : 5);
        cr_assert_eq(spaces_map(&fake.space, &buffer, which == 3, which != 3, 4), 0);
        cr_assert_eq(fake_space_judge(&fake, false) != NULL, which == 0);
        spaces_unmap(&fake.space, &buffer, which == 1 ? 6 : which == 3);
        cr_assert_eq(fake_space_judge(&fake, true) != NULL, which != 2);
    }
    fake_space_init(&fake, granules, GRANULES);
    spaces_segment(&buffer, 0, memory, 5);
    cr_assert_eq(spaces_map(&fake.space, &buffer, 0, 1, 4), 0);
    spaces_unmap(&fake.space, &buffer, 5);
    cr_assert_null(fake_space_judge(&fake, true));
    spaces_unmap(&fake.space, &buffer, 5);
    cr_assert_not_null(fake_space_judge(&fake, true));
}

Test(spec_fifth_space, all_or_nothing)
{
    struct fake_space fake;
    struct spaces_buffer buffer = {0};

    fake_space_init(&fake, granules, 3);
    for (unsigned i = 0; i < 4; i++) {
        spaces_segment(&buffer, i, memory + i * GRANULE, 8);
    }
    cr_assert_eq(spaces_map(&fake.space, &buffer, 2, 2, 3), VIRTQ_EFULL);
    cr_assert_eq(spaces_map(&fake.space, &buffer, 2, 2, 4), VIRTQ_ENOMEM);
    cr_assert_null(fake_space_judge(&fake, true));
    cr_assert_eq(spaces_map(&fake.space, &buffer, 1, 2, 3), 0);
    spaces_unmap(&fake.space, &buffer, 16);
    cr_assert_null(fake_space_judge(&fake, true));
}

Test(spec_fifth_space, what_is_shared_is_contiguous_for_the_device_in_many_windows)
{
    struct fake_space fake;
    struct virtq_window window;
    virtq_addr_t addr;
    void *base;

    fake_space_init(&fake, granules, GRANULES);
    cr_assert_eq(virtq_space_share(&fake.space, memory + 16, 2 * GRANULE, SPACES_READ, &addr), 0);
    for (uint64_t at = 0; at < 2 * (uint64_t)GRANULE; at += 16) {
        if (fake.space.ops->window(&fake.space, addr + at, SPACES_READ, &window) == VIRTQ_EMISS) {
            know(&fake, addr + at, SPACES_READ);
        }
        cr_assert_gt(virtq_space_translate(&fake.space, addr + at, 1, SPACES_READ, &base), 0);
        cr_assert(base == memory + 16 + at);
    }
    cr_assert_eq(fake.misses, 3u);
    virtq_space_unshare(&fake.space, addr, 2 * GRANULE);
    cr_assert_null(fake_space_judge(&fake, true));
}

Test(spec_fifth_space, only_so_many_windows_are_known_at_a_time)
{
    struct fake_space fake;
    static struct spaces_buffer buffers[FAKE_SPACE_KNOWN + 1];
    uint64_t generation = 0;

    fake_space_init(&fake, granules, GRANULES);
    for (unsigned i = 0; i <= (unsigned)FAKE_SPACE_KNOWN; i++) {
        spaces_segment(&buffers[i], 0, memory + i, 1);
        cr_assert_eq(spaces_map(&fake.space, &buffers[i], 1, 0, 4), 0);
        generation = fake.space.generation;
        know(&fake, buffers[i].runs[0].addr, SPACES_READ);
    }
    cr_assert_eq(fake.space.generation, generation + 1);
    cr_assert_eq(fake.known, 1u);
    for (unsigned i = 0; i <= (unsigned)FAKE_SPACE_KNOWN; i++) {
        spaces_unmap(&fake.space, &buffers[i], 0);
    }
    cr_assert_null(fake_space_judge(&fake, true));
}

/* The library is given nothing but a struct virtq_space, and both of its ends work on it. */
Test(spec_fifth_space, both_ends_of_the_library_run_on_it)
{
    for (unsigned packed = 0; packed < 2; packed++) {
        struct world_config config = {.space = &world_fake,
                                      .size = 64,
                                      .packed = packed != 0,
                                      .event_idx = true,
                                      .indirect = true};
        struct world_tally tally = {0};
        const char *trouble = world_traffic(&config, 3000, &tally);

        cr_assert(trouble == NULL, "%s", trouble);
        cr_assert_gt(tally.misses, tally.buffers);
    }
}
