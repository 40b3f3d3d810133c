/* SPDX-License-Identifier: BSD-3-Clause */
/* A back-end and a front-end that keeps no rule: every request short, long, with wrong descriptors,
 * at the wrong time and with absurd values. Each is refused with its reason; the ring that runs
 * meanwhile goes on, or the connection ends; no descriptor and no mapping is left. */
#include <sys/epoll.h>
#include <sys/timerfd.h>

#include "frontend.h"
#include "process.h"
#include "random.h"

#define FEATURES (VIRTQ_FEATURE(VIRTIO_F_VERSION_1) | FRONTEND_PROTOCOL)

/* One bad message: what is sent, and why it is refused. */
struct bad {
    uint32_t request;
    uint32_t size;
    uint32_t fd_count;
    uint32_t refusal;
    uint64_t words[6]; /* The payload. */
};

#define REFUSED(reason) VIRTQ_VHOST_USER_REFUSED_##reason
/* Two words of 32 bits as they lie in memory. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#    define STATE(index, num) ((uint64_t)(num) << 32 | (index))
#else
#    define STATE(index, num) ((uint64_t)(index) << 32 | (num))
#endif
#define TOP UINT64_MAX

/* Ring 0 runs, ring 1 is unknown, memory is there: see hostile_open(). */
static const struct bad table[] = {
    {VHOST_USER_NONE, 0, 0, REFUSED(REQUEST), {0}},
    {VHOST_USER_REQUEST_COUNT, 0, 0, REFUSED(REQUEST), {0}},
    {UINT32_MAX, 8, 0, REFUSED(REQUEST), {0}},
    {VHOST_USER_SEND_RARP, 8, 0, REFUSED(REQUEST), {0}},
    {VHOST_USER_NET_SET_MTU, 8, 0, REFUSED(REQUEST), {0}},
    {VHOST_USER_POSTCOPY_ADVISE, 0, 0, REFUSED(REQUEST), {0}},
    {VHOST_USER_IOTLB_MSG, 32, 0, REFUSED(REQUEST), {0}},
    {VHOST_USER_SET_LOG_FD, 0, 1, REFUSED(REQUEST), {0}},
    {VHOST_USER_SET_LOG_BASE, 16, 1, REFUSED(PROTOCOL), {0}},
    {VHOST_USER_SET_INFLIGHT_FD, 24, 1, REFUSED(PROTOCOL), {0}},
    {VHOST_USER_GET_INFLIGHT_FD, 24, 0, REFUSED(PROTOCOL), {0}},
    {VHOST_USER_SET_BACKEND_REQ_FD, 0, 1, REFUSED(PROTOCOL), {0}},
    {VHOST_USER_VRING_KICK, 8, 0, REFUSED(PROTOCOL), {0}},
    /* What was never offered. */
    {VHOST_USER_SET_FEATURES, 8, 0, REFUSED(FEATURES), {TOP}},
    {VHOST_USER_SET_FEATURES, 8, 0, REFUSED(FEATURES), {FEATURES | 1ull << VIRTIO_F_IN_ORDER}},
    {VHOST_USER_SET_FEATURES, 8, 0, REFUSED(FEATURES), {FEATURES | 1ull << VHOST_F_LOG_ALL}},
    {VHOST_USER_SET_PROTOCOL_FEATURES, 8, 0, REFUSED(FEATURES), {TOP}},
    {VHOST_USER_SET_PROTOCOL_FEATURES, 8, 0, REFUSED(FEATURES), {1ull << 5 | 1ull << 3}},
    /* Not while a ring runs. */
    {VHOST_USER_SET_FEATURES, 8, 0, REFUSED(ORDER), {0}},
    {VHOST_USER_SET_PROTOCOL_FEATURES, 8, 0, REFUSED(ORDER), {1u << 3}},
    {VHOST_USER_SET_VRING_NUM, 8, 0, REFUSED(ORDER), {STATE(0, 8)}},
    {VHOST_USER_SET_VRING_BASE, 8, 0, REFUSED(ORDER), {STATE(0, 0)}},
    {VHOST_USER_SET_VRING_ADDR, 40, 0, REFUSED(ORDER), {STATE(0, 0), 1, 2, 3, 4}},
    /* Not before all is known. */
    {VHOST_USER_SET_VRING_KICK, 8, 1, REFUSED(ORDER), {1}},
    /* No such ring. */
    {VHOST_USER_SET_VRING_NUM, 8, 0, REFUSED(INDEX), {STATE(2, 8)}},
    {VHOST_USER_SET_VRING_NUM, 8, 0, REFUSED(INDEX), {STATE(0x10000, 8)}},
    {VHOST_USER_SET_VRING_BASE, 8, 0, REFUSED(INDEX), {STATE(UINT32_MAX, 0)}},
    {VHOST_USER_SET_VRING_ENABLE, 8, 0, REFUSED(INDEX), {STATE(2, 1)}},
    {VHOST_USER_SET_VRING_ADDR, 40, 0, REFUSED(INDEX), {STATE(2, 0), 0, 0, 0, 0}},
    {VHOST_USER_SET_VRING_ADDR, 40, 0, REFUSED(INDEX), {STATE(UINT32_MAX, 0), 0, 0, 0, 0}},
    {VHOST_USER_SET_VRING_KICK, 8, 1, REFUSED(INDEX), {2}},
    {VHOST_USER_SET_VRING_KICK, 8, 1, REFUSED(INDEX), {0x200}},
    {VHOST_USER_SET_VRING_CALL, 8, 1, REFUSED(INDEX), {255}},
    {VHOST_USER_SET_VRING_CALL, 8, 0, REFUSED(INDEX), {0x1ff}},
    {VHOST_USER_SET_VRING_ERR, 8, 1, REFUSED(INDEX), {TOP & ~0x100ull}},
    /* Absurd values. */
    {VHOST_USER_SET_VRING_NUM, 8, 0, REFUSED(VALUE), {STATE(1, 0)}},
    {VHOST_USER_SET_VRING_NUM, 8, 0, REFUSED(VALUE), {STATE(1, 257)}},
    {VHOST_USER_SET_VRING_NUM, 8, 0, REFUSED(VALUE), {STATE(1, UINT32_MAX)}},
    {VHOST_USER_SET_VRING_ENABLE, 8, 0, REFUSED(VALUE), {STATE(0, 2)}},
    {VHOST_USER_SET_VRING_ADDR, 40, 0, REFUSED(VALUE), {STATE(1, 1), 0, 0, 0, 0}},
    {VHOST_USER_SET_STATUS, 8, 0, REFUSED(VALUE), {0x100}},
    {VHOST_USER_SET_CONFIG, 12 + 4, 0, REFUSED(VALUE), {STATE(57, 4), 0}},
    {VHOST_USER_SET_CONFIG, 12 + 4, 0, REFUSED(VALUE), {STATE(UINT32_MAX, 4), 0}},
    {VHOST_USER_SET_CONFIG, 12 + 4, 0, REFUSED(VALUE), {STATE(4, 4), STATE(2, 0)}},
    {VHOST_USER_SET_CONFIG, 12, 0, REFUSED(VALUE), {STATE(4, 0), 0}},
    /* Memory: {padding, guest address, size, user address, offset}. */
    {VHOST_USER_ADD_MEM_REG, 40, 1, REFUSED(VALUE), {0, 0, 0, 0, 0}},
    {VHOST_USER_ADD_MEM_REG, 40, 1, REFUSED(VALUE), {0, TOP, 0x1000, 0, 0}},
    {VHOST_USER_ADD_MEM_REG, 40, 1, REFUSED(VALUE), {0, 0, 0x1000, TOP - 0xffe, 0}},
    {VHOST_USER_ADD_MEM_REG, 40, 1, REFUSED(VALUE), {0, 0, 0x1000, 0, TOP}},
    {VHOST_USER_ADD_MEM_REG, 40, 1, REFUSED(VALUE), {0, 0, TOP, 0, 0}},
    {VHOST_USER_ADD_MEM_REG, 40, 1, REFUSED(MEMORY), {0, 0, 1ull << 62, 0, 0}},
    {VHOST_USER_ADD_MEM_REG, 40, 1, REFUSED(MEMORY), {0, 0, 0x1000, 0, 2 * FRONTEND_REGION}},
    {VHOST_USER_ADD_MEM_REG, 40, 1, REFUSED(MEMORY), {0, 0, 2 * FRONTEND_REGION + 1, 0, 0}},
    {VHOST_USER_ADD_MEM_REG, 40, 1, REFUSED(MEMORY), {0, 0x1fffff, 0x1000, 0, 0}},
    {VHOST_USER_ADD_MEM_REG, 40, 1, REFUSED(MEMORY), {0, 0x100000 - 0xfff, 0x1000, 0, 0}},
    {VHOST_USER_REM_MEM_REG, 40, 0, REFUSED(VALUE), {0, 0x100000, 0x1000, 0, 0}},
    {VHOST_USER_SET_MEM_TABLE, 40, 1, REFUSED(VALUE), {STATE(1, 0), 0, 0, 0, 0}},
    {VHOST_USER_SET_MEM_TABLE, 40, 1, REFUSED(MEMORY), {STATE(1, 0), 0, 1ull << 40, 0, 0}},
};
enum { TABLE = sizeof(table) / sizeof(table[0]) };

static void hostile_open(struct frontend *f)
{
    frontend_open(f, 0);
    frontend_greet(f, FEATURES);
    frontend_start(f, 0, FEATURES, 8);
    frontend_traffic(f, 0, 4);
}

static void send_bad(struct frontend *f, const struct bad *bad, uint32_t flags)
{
    int fds[VIRTQ_VHOST_USER_FDS_MAX];

    for (unsigned i = 0; i < VIRTQ_VHOST_USER_FDS_MAX; i++) {
        fds[i] = f->file;
    }
    frontend_put(f, bad->request, flags, bad->words, bad->size, fds, bad->fd_count);
}

Test(host_hostile, each_bad_message_is_refused_for_its_reason_and_changes_nothing)
{
    unsigned before = process_fds();
    struct frontend f;
    unsigned during;
    unsigned mappings;

    hostile_open(&f);
    during = process_fds();
    mappings = process_mappings("memfd:guest");
    for (unsigned i = 0; i < TABLE; i++) {
        uint64_t result = 0;

        f.refused = 0;
        send_bad(&f, &table[i], VHOST_USER_NEED_REPLY);
        cr_assert_eq(frontend_run(&f), 0, "row %u", i);
        cr_assert_eq(f.refused, 1u, "row %u", i);
        cr_assert_eq(f.last_refusal, table[i].refusal, "row %u: %s", i,
                     virtq_vhost_user_refusal_name(f.last_refusal));
        cr_assert_eq(frontend_answer(&f, table[i].request, &result, sizeof(result)), 8);
        cr_assert_eq(result, 1u);
        cr_assert_eq(process_fds(), during, "row %u", i);
        cr_assert_eq(process_mappings("memfd:guest"), mappings, "row %u", i);
        cr_assert_eq(virtq_vhost_user_backend_mapped(f.backend), 2u * FRONTEND_REGION);
        frontend_traffic(&f, 0, 4);
    }
    cr_assert_eq(f.stopping, 0u);
    frontend_close(&f);
    cr_assert_eq(process_fds(), before);
}

Test(host_hostile, a_refusal_that_nobody_asked_for_ends_the_connection)
{
    unsigned before = process_fds();

    for (unsigned i = 0; i < TABLE; i++) {
        struct frontend f;

        hostile_open(&f);
        send_bad(&f, &table[i], 0);
        cr_assert_eq(frontend_run(&f), VIRTQ_EPEER, "row %u", i);
        cr_assert_eq(virtq_vhost_user_backend_refusal(f.backend), table[i].refusal, "row %u", i);
        cr_assert_eq(f.stopping, 1u);
        frontend_close(&f);
        cr_assert_eq(process_fds(), before, "row %u", i);
    }
}

/* Every number, each size around the right ones, each count of descriptors: whatever comes, it is
 * an answer, a refusal, or the end. */
Test(host_hostile, every_request_of_every_size_with_every_count_of_descriptors)
{
    unsigned before = process_fds();
    unsigned refused = 0;
    unsigned ended = 0;

    for (uint32_t request = 0; request <= VHOST_USER_REQUEST_COUNT; request++) {
        for (uint32_t fd_count = 0; fd_count <= VIRTQ_VHOST_USER_FDS_MAX; fd_count += 4) {
            struct frontend f;

            hostile_open(&f);
            for (uint32_t size = 0; size <= 48; size += 4) {
                struct bad bad = {request, size, fd_count, 0, {0}};
                char answer[512];

                f.refused = 0;
                send_bad(&f, &bad, VHOST_USER_NEED_REPLY);
                if (frontend_run(&f) != 0) {
                    ended++;
                    break;
                }
                refused += f.refused;
                while (recv(f.socket, answer, sizeof(answer), MSG_DONTWAIT) > 0) {
                }
            }
            frontend_close(&f);
        }
    }
    cr_assert(refused > 1000, "%u", refused);
    cr_assert(ended > 10, "%u", ended);
    cr_assert_eq(process_fds(), before);
}

Test(host_hostile, a_table_whose_regions_overlap_is_refused_as_a_whole)
{
    struct frontend f;
    struct virtq_vhost_user_memory memory = {.count = 3};
    int fds[3];
    unsigned mappings;

    hostile_open(&f);
    mappings = process_mappings("memfd:guest");
    for (unsigned i = 0; i < 3; i++) {
        fds[i] = f.file;
        memory.regions[i] = frontend_region(0);
        memory.regions[i].guest_address += (uint64_t)i * FRONTEND_REGION - (i == 2 ? 1 : 0);
    }
    cr_assert_eq(frontend_try(&f, VHOST_USER_SET_MEM_TABLE, &memory, 8 + 3 * 32, fds, 3), 1);
    cr_assert_eq(f.last_refusal, REFUSED(MEMORY));
    cr_assert_eq(process_mappings("memfd:guest"), mappings);
    frontend_traffic(&f, 0, 4);
    frontend_close(&f);
}

Test(host_hostile, more_regions_than_there_is_room_for_are_refused)
{
    struct frontend f;
    struct virtq_vhost_user_slot slot = {0, {0, 0x1000, 0, 0}};
    unsigned room;

    hostile_open(&f);
    cr_assert_eq(frontend_ask(&f, VHOST_USER_GET_MAX_MEM_SLOTS), VIRTQ_VHOST_USER_SLOTS_MAX);
    for (room = 0; room < 100; room++) {
        slot.region.guest_address = (UINT64_C(1) << 40) - (uint64_t)room * 0x2000;
        slot.region.user_address = (UINT64_C(1) << 50) + (uint64_t)room * 0x2000;
        if (frontend_try(&f, VHOST_USER_ADD_MEM_REG, &slot, sizeof(slot), &f.file, 1) != 0) {
            break;
        }
        frontend_traffic(&f, 0, 1);
    }
    cr_assert_eq(room, VIRTQ_VHOST_USER_SLOTS_MAX - 2u);
    frontend_close(&f);
}

Test(host_hostile, a_ring_that_cannot_be_is_not_started)
{
    struct frontend f;
    struct virtq_vhost_user_addr addr;
    uint64_t one = 1;

    hostile_open(&f);
    for (unsigned i = 0; i < 6; i++) {
        addr = frontend_addr(&f, 1);
        addr.descriptor += i == 0 ? 8 : i == 1 ? UINT64_C(1) << 50 : 0;
        addr.used = i == 2 ? frontend_user[0] + FRONTEND_REGION - 16 : addr.used;
        addr.available = i == 3 ? UINT64_MAX - 1 : addr.available;
        cr_assert_eq(frontend_try_state(&f, VHOST_USER_SET_VRING_NUM, 1, i == 4 ? 9 : 8), 0);
        /* So far ahead of the used index that no ring can be there. */
        cr_assert_eq(frontend_try_state(&f, VHOST_USER_SET_VRING_BASE, 1, i == 5 ? 9 : 0), 0);
        cr_assert_eq(frontend_try(&f, VHOST_USER_SET_VRING_ADDR, &addr, sizeof(addr), NULL, 0), 0);
        cr_assert_eq(frontend_try(&f, VHOST_USER_SET_VRING_KICK, &one, 8, &f.kick[1], 1), 1, "%u",
                     i);
        cr_assert_eq(f.last_refusal, i >= 1 && i <= 3 ? REFUSED(PLACE) : REFUSED(RING), "%u", i);
        cr_assert(virtq_vhost_user_vring_device(f.backend, 1) == NULL);
        frontend_traffic(&f, 0, 4);
    }
    frontend_describe(&f, 1, 8, 0);
    f.refuse = true;
    cr_assert_eq(frontend_kick_message(&f, 1), 1);
    cr_assert_eq(f.last_refusal, REFUSED(DEVICE));
    f.refuse = false;
    cr_assert_eq(frontend_kick_message(&f, 1), 0);
    frontend_close(&f);
}

/* A file cannot be waited for; a write to a pipe or a socket that nobody reads from any more ends a
 * program; and some of what has no type either can only be waited for. */
Test(host_hostile, what_is_no_eventfd_is_no_kick_and_no_call)
{
    static const uint32_t requests[] = {VHOST_USER_SET_VRING_KICK, VHOST_USER_SET_VRING_CALL,
                                        VHOST_USER_SET_VRING_ERR};
    struct frontend f;
    uint64_t zero = 0;
    int fds[7];

    hostile_open(&f);
    cr_assert(pipe(fds) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, fds + 2) == 0);
    fds[4] = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    fds[5] = epoll_create1(EPOLL_CLOEXEC);
    fds[6] = f.file;
    for (unsigned i = 0; i < 3; i++) {
        for (unsigned n = 0; n < 7; n++) {
            cr_assert_eq(frontend_try(&f, requests[i], &zero, 8, &fds[n], 1), 1, "%u, %u", i, n);
            cr_assert_eq(f.last_refusal, REFUSED(VALUE));
            frontend_traffic(&f, 0, 4);
        }
    }
    for (unsigned n = 0; n < 6; n++) {
        cr_assert_eq(close(fds[n]), 0);
    }
    /* None at all is polling. */
    zero = VHOST_USER_VRING_NOFD_MASK;
    cr_assert_eq(frontend_try(&f, VHOST_USER_SET_VRING_KICK, &zero, 8, NULL, 0), 0);
    cr_assert_eq(virtq_vhost_user_vring_kick_fd(f.backend, 0), -1);
    frontend_close(&f);
}

Test(host_hostile, a_call_that_nobody_reads_from_does_not_end_the_program)
{
    struct frontend f;
    uint64_t zero = 0;
    int ends[2];

    hostile_open(&f);
    cr_assert(pipe(ends) == 0 && close(ends[0]) == 0);
    (void)frontend_try(&f, VHOST_USER_SET_VRING_CALL, &zero, 8, &ends[1], 1);
    frontend_add(&f, 0, 0);
    frontend_kick(&f, 0);
    cr_assert_eq(frontend_run(&f), 0);
    cr_assert_eq(frontend_take(&f, 0), 1u);
    cr_assert_eq(close(ends[1]), 0);
    frontend_close(&f);
}

Test(host_hostile, a_call_that_is_full_does_not_block)
{
    struct frontend f;
    uint64_t most = UINT64_MAX - 1;

    hostile_open(&f);
    cr_assert_eq(write(f.call[0], &most, sizeof(most)), (ssize_t)sizeof(most));
    cr_assert_eq(fcntl(f.call[0], F_SETFL, 0), 0);
    most = 0;
    cr_assert_eq(frontend_try(&f, VHOST_USER_SET_VRING_CALL, &most, 8, &f.call[0], 1), 0);
    frontend_add(&f, 0, 0);
    frontend_kick(&f, 0);
    cr_assert_eq(frontend_run(&f), 0);
    cr_assert_eq(frontend_take(&f, 0), 1u);
    frontend_close(&f);
}

/* Messages that are right in size and number more often than not, with values near those that
 * mean something, and now and then a kick. */
Test(host_hostile, random_messages_end_a_connection_or_leave_it_whole)
{
    static const uint32_t sizes[] = {0, 8, 8, 40, 20, 32, 72};
    uint64_t seed = 907;
    unsigned before = process_fds();

    for (unsigned round = 0; round < 150; round++) {
        struct frontend f;
        char answer[512];
        int result = 0;

        hostile_open(&f);
        for (unsigned i = 0; i < 60 && result == 0; i++) {
            struct virtq_vhost_user_message message = {0};
            uint64_t *words = (uint64_t *)(void *)&message.payload;
            int fds[2] = {random_below(&seed, 2) != 0 ? f.file : f.kick[1], f.file};

            for (unsigned w = 0; w < 12; w++) {
                static const uint64_t near[] = {0,      1,        8,        0x100000,
                                                0x1000, 1u << 20, 0x800000, 1u << 16};
                uint64_t kind = random_below(&seed, 10);

                words[w] = kind < 8    ? near[kind]
                           : kind == 8 ? frontend_user[0]
                                       : random_next(&seed);
                words[w] |= random_below(&seed, 4) == 0 ? random_below(&seed, 16) << 32 : 0;
            }
            frontend_put(&f, (uint32_t)random_below(&seed, VHOST_USER_REQUEST_COUNT),
                         random_below(&seed, 30) != 0 ? VHOST_USER_NEED_REPLY : 0, words,
                         sizes[random_below(&seed, 7)], fds, (uint32_t)random_below(&seed, 3));
            result = frontend_run(&f);
            while (recv(f.socket, answer, sizeof(answer), MSG_DONTWAIT) > 0) {
            }
        }
        frontend_close(&f);
        cr_assert_eq(f.started, f.stopping, "seed 907, round %u", round);
    }
    cr_assert_eq(process_fds(), before);
}
