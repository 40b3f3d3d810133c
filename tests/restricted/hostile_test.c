/* SPDX-License-Identifier: BSD-3-Clause */
/* A driver that lies about addresses, and a device in another process that has all memory but the
 * pool under lock: whatever it is told, it lives, and says what was wrong. */
#include "processes.h"

/* Addresses and lengths that are not, or not wholly, in the pool. */
struct outside {
    virtq_addr_t addr;
    uint32_t len;
};

static unsigned outsides(const struct pool *p, struct outside *list)
{
    const virtq_addr_t first = pool_first(p);
    const virtq_addr_t last = pool_last(p);
    const struct outside all[] = {{first - 1, 16},
                                  {first - 16, 32},
                                  {first - POOL_PAGE, POOL_PAGE},
                                  {first - ARENA_SIDE, 64},
                                  {last - 14, 16},
                                  {last, 16},
                                  {last + 1, 16},
                                  {last + POOL_PAGE, 4096},
                                  {last + ARENA_SIDE - 64, 64},
                                  {first, 1u << 20},
                                  {first, UINT32_MAX - 15},
                                  {UINT64_MAX, 16},
                                  {UINT64_MAX - 15, 16},
                                  {0 - (virtq_addr_t)16, 32},
                                  {first + (UINT64_C(1) << 32), 16},
                                  {first + (UINT64_C(1) << 63), 16},
                                  {(virtq_addr_t)(uintptr_t)p->block.at, 16},
                                  {(virtq_addr_t)(uintptr_t)p->block.view, 16}};

    memcpy(list, all, sizeof(all));
    return sizeof(all) / sizeof(*all);
}

/* A buffer of one segment at an address that the driver may not know; whatever the space says. */
static void offer(struct program *program, struct outside outside, bool writable)
{
    const struct virtq_segment segment = {.addr = outside.addr, .len = outside.len};
    const struct virtq_buffer buffer = {.segments = &segment,
                                        .readable = !writable,
                                        .writable = writable,
                                        .flags = VIRTQ_BUFFER_PREMAPPED};

    cr_assert_eq(program->calls->add(&program->driver, &buffer), 1);
    cr_assert_eq(program->calls->publish(&program->driver), 1u);
}

/* Makes the descriptor just offered one of an indirect table; older ones of that address, too,
 * which are nobody's any more. */
static void make_table(struct program *program, virtq_addr_t addr)
{
    const bool packed = program->config.format == (uint32_t)VIRTQ_FORMAT_PACKED;
    unsigned char *ring = program->config.areas.descriptor;
    unsigned found = 0;

    for (unsigned i = 0; i < ENDS_SIZE; i++) {
        unsigned char *at = ring + (size_t)i * 16;
        uint64_t value = 0;

        for (unsigned j = 0; j < 8; j++) {
            value |= (uint64_t)at[j] << (8 * j);
        }
        if (value == addr) {
            at[packed ? 14 : 12] |= VIRTQ_DESC_F_INDIRECT;
            found++;
        }
    }
    cr_assert_neq(found, 0u);
}

/* One lie, and what the device says. */
static void lie(struct processes *s, struct outside outside, unsigned how)
{
    struct program *program = s->program;
    struct virtq_completion done;
    struct message answer;

    offer(program, outside, how == 1);
    if (how == 2) {
        make_table(program, outside.addr);
    }
    answer = processes_order(s, (struct message){.order = ORDER_NOTIFY});
    cr_assert_eq(answer.answer, 1, "%llx", (unsigned long long)outside.addr);
    cr_assert_eq(answer.bad, 1u, "%llx", (unsigned long long)outside.addr);
    if (how == 2 && outside.len > 6 * 16) {
        cr_assert(answer.reason == (uint32_t)VIRTQ_REASON_TABLE_LENGTH ||
                  answer.reason == (uint32_t)VIRTQ_REASON_ADDRESS);
    } else {
        cr_assert_eq(answer.reason, (uint32_t)VIRTQ_REASON_ADDRESS, "%llx: %u",
                     (unsigned long long)outside.addr, (unsigned)answer.reason);
    }
    cr_assert_eq(program->calls->poll(&program->driver, &done), 1);
    cr_assert_eq(done.len, 0u);
}

/* And a good buffer behind it, so that the queue is seen to go on. */
static void tell_the_truth(struct processes *s)
{
    struct program *program = s->program;
    struct ends_flight *flight = &program->flights[0];
    struct virtq_buffer buffer;
    struct virtq_completion done;
    uint64_t random = 1;

    ends_make(&random, flight, NULL);
    buffer = ends_buffer(flight);
    cr_assert_eq(program->calls->add(&program->driver, &buffer), 1);
    cr_assert_eq(program->calls->publish(&program->driver), 1u);
    cr_assert_eq(processes_order(s, (struct message){.order = ORDER_NOTIFY}).bad, 0u);
    cr_assert_eq(program->calls->poll(&program->driver, &done), 1);
    cr_assert_null(ends_judge(flight, done.len));
}

/* `how`: readable data, writable data, a table. */
static void lies(unsigned how)
{
    for (unsigned bits = 0; bits < 2 * POOL_FORMS; bits++) {
        struct outside list[32];
        struct processes s;
        unsigned count;

        processes_open(&s, bits / 2, 0, (bits & 1) != 0, true, false);
        count = outsides(&s.program->pool, list);
        for (unsigned i = 0; i < count; i++) {
            lie(&s, list[i], how);
        }
        tell_the_truth(&s);
        processes_close(&s);
    }
}

Test(restricted_hostile, readable_data_outside_the_pool_is_a_bad_buffer_and_is_not_touched)
{
    lies(0);
}

Test(restricted_hostile, writable_data_outside_the_pool_is_a_bad_buffer_and_is_not_touched)
{
    lies(1);
}

Test(restricted_hostile, a_table_outside_the_pool_is_a_bad_buffer_and_is_not_touched)
{
    lies(2);
}

/* A table that lies in the pool, as it should, and an entry in it that does not; the one before it
 * is good, and stays untouched all the same. */
Test(restricted_hostile, an_entry_of_a_table_outside_the_pool_is_a_bad_buffer)
{
    for (unsigned bits = 0; bits < 4 * POOL_FORMS; bits++) {
        const bool writable = (bits & 2) != 0;
        struct outside list[32];
        struct processes s;
        void *held;
        unsigned count;

        processes_open(&s, bits / 4, 0, (bits & 1) != 0, true, false);
        cr_assert_eq(virtq_restricted_driver_alloc(&s.program->pool.driver, 64, 0, &held), 0);
        memset(held, 0x5a, 64);
        count = outsides(&s.program->pool, list);
        for (unsigned i = 0; i < count; i++) {
            const struct virtq_segment segments[] = {
                {.addr = pool_first(&s.program->pool) +
                         (uint64_t)((unsigned char *)held - s.program->pool.block.at),
                 .len = 64},
                {.addr = list[i].addr, .len = list[i].len < (1u << 20) ? list[i].len : 1u << 20}};
            const struct virtq_buffer buffer = {.segments = segments,
                                                .readable = writable ? 0 : 2,
                                                .writable = writable ? 2 : 0,
                                                .flags = VIRTQ_BUFFER_PREMAPPED};
            struct virtq_completion done;
            struct message answer;

            cr_assert_eq(s.program->calls->add(&s.program->driver, &buffer), 1);
            cr_assert_eq(s.program->calls->publish(&s.program->driver), 1u);
            answer = processes_order(&s, (struct message){.order = ORDER_NOTIFY});
            cr_assert_eq(answer.bad, 1u, "%llx", (unsigned long long)list[i].addr);
            cr_assert_eq(answer.reason, (uint32_t)VIRTQ_REASON_ADDRESS, "%u", answer.reason);
            cr_assert_eq(s.program->calls->poll(&s.program->driver, &done), 1);
            cr_assert_eq(done.len, 0u);
        }
        for (unsigned i = 0; i < 64; i++) {
            cr_assert_eq(((unsigned char *)held)[i], 0x5a);
        }
        tell_the_truth(&s);
        cr_assert_eq(virtq_restricted_driver_free(&s.program->pool.driver, held), 0);
        processes_close(&s);
    }
}

Test(restricted_hostile, m9_a_ring_outside_the_pool_is_refused_and_not_touched)
{
    for (unsigned bits = 0; bits < 2 * POOL_FORMS; bits++) {
        struct outside list[32];
        struct virtq_area_addresses good;
        struct processes s;
        unsigned count;

        processes_open(&s, bits / 2, 0, (bits & 1) != 0, false, false);
        virtq_driver_addresses(s.program->driver.library, &good);
        count = outsides(&s.program->pool, list);
        for (unsigned i = 0; i < 3 * count; i++) {
            struct virtq_area_addresses bad = good;
            virtq_addr_t *const areas[] = {&bad.descriptor, &bad.driver, &bad.device};

            if (list[i / 3].addr == pool_first(&s.program->pool)) {
                continue; /* That address is good for a ring. */
            }
            *areas[i % 3] = list[i / 3].addr;
            cr_assert_lt(processes_enable(&s, &bad), 0, "%llx",
                         (unsigned long long)list[i / 3].addr);
        }
        cr_assert_eq(processes_enable(&s, &good), 0);
        tell_the_truth(&s);
        processes_close(&s);
    }
}

/* Valgrind reports what is meant to happen here. */
static bool watched(void)
{
    const char *preload = getenv("LD_PRELOAD");

    return preload != NULL && strstr(preload, "valgrind") != NULL;
}

/* The proof that the lock is one: a device that does touch such memory dies. */
Test(restricted_hostile, all_memory_but_the_pool_is_locked_for_the_device)
{
    static const int places[] = {-1, -ARENA_SIDE, POOL_SIZE, POOL_SIZE + ARENA_SIDE - 1};

    for (unsigned i = 0; i < 2 * sizeof(places) / sizeof(*places) && !watched(); i++) {
        struct processes s;
        pid_t child;
        int status = 0;

        processes_map(&s);
        child = fork();
        cr_assert_geq(child, 0);
        if (child == 0) {
            volatile unsigned char *touched = s.arenas[i & 1] + ARENA_SIDE + places[i / 2];

            (void)signal(SIGSEGV, SIG_DFL);
            if (mprotect(s.arenas[0], ARENA_SIZE, PROT_NONE) != 0) {
                _exit(2);
            }
            *touched = 1;
            _exit(0);
        }
        cr_assert_eq(waitpid(child, &status, 0), child);
        cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV, "place %u: %d", i, status);
        processes_unmap(&s);
    }
}
