/* SPDX-License-Identifier: BSD-3-Clause */
/* Every request that has a rule, with all that can be wrong with one: short, long, cut off, with
 * too few descriptors, too many and wrong ones, at the wrong time, twice, with absurd values, and
 * ten thousand times. Each is an answer, a refusal, or the end of the connection; what was refused
 * has changed nothing, and nothing is left. */
#include <stdio.h>

#include "frontend_messages.h"
#include "process.h"

#ifdef VIRTQ_TEST_TINY
enum { TIMES = 300 }; /* Valgrind, or an emulator. */
#else
enum { TIMES = 10000 };
#endif

static unsigned mappings(void)
{
    return process_mappings("memfd:guest");
}

/* Sends a message and says what became of it: 'a' accepted, 'r' refused, 'e' the end. */
static char outcome(struct frontend *f, uint32_t request, const void *payload, uint32_t size,
                    const int *fds, uint32_t fd_count)
{
    char answer[512];
    int result;

    f->refused = 0;
    frontend_put(f, request, VHOST_USER_NEED_REPLY, payload, size, fds, fd_count);
    result = frontend_run(f);
    while (recv(f->socket, answer, sizeof(answer), MSG_DONTWAIT) > 0) {
    }
    return result != 0 ? 'e' : f->refused != 0 ? 'r' : 'a';
}

/* The same for a row's good message, of this size and with so many descriptors. */
static char row_outcome(struct frontend *f, const struct message_row *row, uint32_t size,
                        uint32_t fd_count)
{
    union virtq_vhost_user_payload payload;
    int fds[VIRTQ_VHOST_USER_FDS_MAX];

    message_payload(f, row, &payload);
    message_descriptors(f, row, fds);
    return outcome(f, row->request, &payload, size, fds, fd_count);
}

static void open_at(struct frontend *f, unsigned stage)
{
    struct virtq_vhost_user_backend_config config = VIRTQ_VHOST_USER_BACKEND_CONFIG_INIT;

    /* All there is to offer, so that every request is served. */
    config.features = VIRTQ_FEATURE(VIRTIO_F_ACCESS_PLATFORM);
    config.flags = VIRTQ_VHOST_USER_RECORDED;
    config.ops = &frontend_ops;
    frontend_open_config(f, &config);
    message_reach(f, stage);
}

/* What a refusal leaves: the ring that runs. A request with an answer of its own that is refused
 * ends the connection, and the next one needs a new one. */
static void go_on(struct frontend *f, char became)
{
    if (became == 'e') {
        frontend_close(f);
        open_at(f, STAGE_RUNNING);
    } else {
        frontend_traffic(f, 0, 1);
    }
}

static const struct message_row *row_of(uint32_t request)
{
    for (unsigned i = 0; i < MESSAGE_ROWS; i++) {
        if (message_rows[i].request == request) {
            return &message_rows[i];
        }
    }
    return NULL;
}

Test(host_messages, each_request_that_has_a_rule_has_a_row)
{
    for (uint32_t request = 0; request < VHOST_USER_REQUEST_COUNT + 100u; request++) {
        const char *name = virtq_vhost_user_request_name(request);
        const struct message_row *row = row_of(request);

        cr_assert_eq(row != NULL, strcmp(name, "?") != 0, "request %u, %s: see %s", request, name,
                     "tests/host/frontend_messages.h");
        if (row != NULL) {
            cr_assert_eq(virtq_vhost_user_answered(request, UINT64_MAX), row->answered, "%s", name);
            cr_assert_eq(strlen(row->stages), (size_t)MESSAGE_STAGES, "%s", name);
        }
    }
}

Test(host_messages, a_good_message_is_served_or_its_row_says_why_not)
{
    for (unsigned i = 0; i < MESSAGE_ROWS; i++) {
        const struct message_row *row = &message_rows[i];
        const char *name = virtq_vhost_user_request_name(row->request);
        struct frontend f;

        open_at(&f, STAGE_RUNNING);
        if (row->request == VHOST_USER_REM_MEM_REG) {
            (void)row_outcome(&f, row_of(VHOST_USER_ADD_MEM_REG), 40, 1);
        }
        (void)row_outcome(&f, row, row->size, row->fd_count);
        cr_assert_eq(f.refused != 0, row->refusal != 0,
                     "%s: %s; see tests/host/frontend_messages.h", name,
                     virtq_vhost_user_refusal_name(f.last_refusal));
        cr_assert(f.refused == 0 || f.last_refusal == row->refusal, "%s: %s", name,
                  virtq_vhost_user_refusal_name(f.last_refusal));
        frontend_close(&f);
    }
}

Test(host_messages, a_message_of_another_size_is_refused_and_changes_nothing)
{
    const uint32_t most = sizeof(union virtq_vhost_user_payload);
    const unsigned before = process_fds();
    struct frontend f;

    open_at(&f, STAGE_RUNNING);
    for (unsigned i = 0; i < MESSAGE_ROWS; i++) {
        const struct message_row *row = &message_rows[i];
        const unsigned during = process_fds();

        for (uint32_t size = 0; size <= most; size += size < 48 || size == most - 1 ? 1 : 15) {
            const char *name = virtq_vhost_user_request_name(row->request);
            uint32_t refusal = row->refusal == VIRTQ_VHOST_USER_REFUSED_PROTOCOL
                                   ? VIRTQ_VHOST_USER_REFUSED_PROTOCOL
                                   : VIRTQ_VHOST_USER_REFUSED_SIZE;
            char became;

            if (size >= row->size_min && size <= row->size_max) {
                continue;
            }
            became = row_outcome(&f, row, size, row->fd_count);
            cr_assert_eq(became,
                         row->answered && row->request != VHOST_USER_GET_CONFIG &&
                                 refusal != VIRTQ_VHOST_USER_REFUSED_PROTOCOL
                             ? 'e'
                             : 'r',
                         "%s of %u", name, size);
            cr_assert_eq(f.last_refusal, refusal, "%s of %u", name, size);
            go_on(&f, became);
            cr_assert_eq(process_fds(), during, "%s of %u", name, size);
        }
    }
    frontend_close(&f);
    cr_assert_eq(process_fds(), before);
}

Test(host_messages, a_message_that_is_cut_off_ends_the_connection)
{
    const unsigned before = process_fds();

    for (unsigned i = 0; i < MESSAGE_ROWS; i++) {
        const struct message_row *row = &message_rows[i];
        union virtq_vhost_user_payload payload;
        int fds[VIRTQ_VHOST_USER_FDS_MAX];
        struct virtq_vhost_user_header header = {0, VHOST_USER_VERSION, 0};
        struct frontend f;

        open_at(&f, STAGE_RUNNING);
        message_payload(&f, row, &payload);
        message_descriptors(&f, row, fds);
        header.request = row->request;
        header.size = row->size;
        frontend_put_bytes(&f, &header, &payload, sizeof(header) + row->size - 1, fds,
                           row->fd_count);
        cr_assert_eq(frontend_run(&f), 0);
        frontend_traffic(&f, 0, 4);
        cr_assert_eq(shutdown(f.socket, SHUT_WR), 0);
        cr_assert_eq(frontend_run(&f), VIRTQ_EPEER);
        cr_assert_eq(virtq_vhost_user_backend_refusal(f.backend), VIRTQ_VHOST_USER_REFUSED_SHORT);
        frontend_close(&f);
        cr_assert_eq(process_fds(), before);
    }
}

Test(host_messages, too_few_descriptors_or_too_many_are_refused_and_closed)
{
    struct frontend f;

    open_at(&f, STAGE_RUNNING);
    for (unsigned i = 0; i < MESSAGE_ROWS; i++) {
        const struct message_row *row = &message_rows[i];
        const unsigned during = process_fds();

        for (uint32_t count = 0; count <= VIRTQ_VHOST_USER_FDS_MAX; count++) {
            const char *name = virtq_vhost_user_request_name(row->request);
            uint32_t refusal = row->refusal == VIRTQ_VHOST_USER_REFUSED_PROTOCOL
                                   ? VIRTQ_VHOST_USER_REFUSED_PROTOCOL
                                   : VIRTQ_VHOST_USER_REFUSED_FDS;
            char became;

            if (count >= row->fd_count && count <= row->fd_max) {
                continue;
            }
            became = row_outcome(&f, row, row->size, count);
            cr_assert_neq(became, 'a', "%s with %u", name, count);
            cr_assert_eq(f.last_refusal, refusal, "%s with %u", name, count);
            go_on(&f, became);
            cr_assert_eq(process_fds(), during, "%s with %u", name, count);
        }
    }
    frontend_close(&f);
}

/* Descriptors of every wrong kind there is. */
enum { KINDS = 9 };

static void kinds_open(struct frontend *f, int kinds[KINDS], int spare[2])
{
    char path[64];
    int ends[2];

    cr_assert_eq(pipe2(kinds, O_CLOEXEC), 0);
    kinds[2] = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    kinds[3] = ends[0];
    cr_assert_eq(close(ends[1]), 0);
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", f->file);
    kinds[4] = open(path, O_RDONLY | O_CLOEXEC);
    kinds[5] = memfd_create("guest", MFD_CLOEXEC); /* Without a byte in it. */
    kinds[6] = open("/dev/null", O_RDWR | O_CLOEXEC);
    kinds[7] = open("/", O_PATH | O_CLOEXEC);
    cr_assert_eq(pipe2(spare, O_CLOEXEC), 0);
    cr_assert_eq(close(spare[1]), 0);
    kinds[8] = spare[0]; /* Always at its end. */
    for (unsigned i = 0; i < KINDS; i++) {
        cr_assert(kinds[i] >= 0, "kind %u", i);
    }
}

/* A channel that is no socket ends where it is first used: see vhost_user_iommu_hostile_test.c. */
Test(host_messages, descriptors_of_a_wrong_kind_neither_block_nor_spin_nor_stay)
{
    int kinds[KINDS];
    int spare[2];
    struct frontend f;

    open_at(&f, STAGE_RUNNING);
    kinds_open(&f, kinds, spare);
    for (unsigned i = 0; i < MESSAGE_ROWS; i++) {
        const struct message_row *row = &message_rows[i];
        const char *name = virtq_vhost_user_request_name(row->request);

        for (unsigned kind = 0;
             kind < KINDS && (row->fds == FDS_MEMORY || row->fds == FDS_SIGNAL) &&
             row->refusal == 0;
             kind++) {
            union virtq_vhost_user_payload payload;
            int fds[VIRTQ_VHOST_USER_FDS_MAX];
            unsigned during;
            unsigned mapped;
            char became;

            if (row->fds == FDS_SIGNAL) {
                (void)row_outcome(&f, row, row->size, row->fd_count);
            }
            during = process_fds();
            mapped = mappings();
            message_payload(&f, row, &payload);
            for (unsigned n = 0; n < VIRTQ_VHOST_USER_FDS_MAX; n++) {
                fds[n] = kinds[kind];
            }
            became = outcome(&f, row->request, &payload, row->size, fds, row->fd_count);
            cr_assert_eq(became, row->answered ? 'e' : 'r', "%s, kind %u", name, kind);
            if (became == 'e') {
                go_on(&f, became);
                continue;
            }
            frontend_traffic(&f, 0, 4);
            cr_assert_eq(process_fds(), during, "%s, kind %u", name, kind);
            cr_assert_eq(mappings(), mapped, "%s, kind %u", name, kind);
        }
    }
    frontend_close(&f);
    for (unsigned kind = 0; kind < KINDS; kind++) {
        cr_assert_eq(close(kinds[kind]), 0);
    }
}

Test(host_messages, at_the_wrong_time_and_twice_is_an_answer_a_refusal_or_the_end)
{
    const unsigned before = process_fds();

    for (unsigned i = 0; i < MESSAGE_ROWS; i++) {
        const struct message_row *row = &message_rows[i];
        const char *name = virtq_vhost_user_request_name(row->request);

        for (unsigned stage = 0; stage < MESSAGE_STAGES; stage++) {
            struct frontend f;
            char became[2] = {0, 0};

            open_at(&f, stage);
            became[0] = row_outcome(&f, row, row->size, row->fd_count);
            cr_assert_eq(became[0], row->stages[stage], "%s at stage %u: %c", name, stage,
                         became[0]);
            if (became[0] != 'e') {
                became[1] = row_outcome(&f, row, row->size, row->fd_count);
                cr_assert_eq(became[1], row->undo == 0 ? became[0] : 'r', "%s, twice, at stage %u",
                             name, stage);
                /* Whatever that was, a front-end can begin again. */
                message_reach(&f, STAGE_PROTOCOL);
                cr_assert_eq(frontend_try(&f, VHOST_USER_RESET_DEVICE, NULL, 0, NULL, 0), 0);
                message_reach(&f, STAGE_RUNNING);
            }
            frontend_close(&f);
            cr_assert_eq(f.started, f.stopping, "%s at stage %u", name, stage);
            cr_assert_eq(process_fds(), before, "%s at stage %u", name, stage);
        }
    }
}

/* Puts a number into a field of one, two, four or eight bytes. */
static void put_field(void *payload, unsigned at, unsigned width, uint64_t value)
{
    uint8_t one = (uint8_t)value;
    uint16_t two = (uint16_t)value;
    uint32_t four = (uint32_t)value;
    const void *from = width == 1   ? (const void *)&one
                       : width == 2 ? (const void *)&two
                       : width == 4 ? (const void *)&four
                                    : (const void *)&value;

    memcpy((char *)payload + at, from, width);
}

Test(host_messages, an_absurd_value_in_any_field_is_taken_or_refused_and_harms_nobody)
{
    static const uint64_t values[] = {0,          1,
                                      8,          0xff,
                                      0x100,      0x7fff,
                                      0xffff,     0x7fffffff,
                                      0x80000000, UINT32_MAX - 0xfff,
                                      UINT32_MAX, 1ull << 32,
                                      1ull << 40, INT64_MAX,
                                      1ull << 63, UINT64_MAX - 0xfff,
                                      UINT64_MAX};
    const unsigned before = process_fds();
    unsigned refused = 0;
    struct frontend f;

    open_at(&f, STAGE_RUNNING);
    for (unsigned i = 0; i < MESSAGE_ROWS; i++) {
        const struct message_row *row = &message_rows[i];
        unsigned at = 0;

        for (const char *field = row->fields; *field != 0; at += (unsigned)(*field++ - '0')) {
            for (unsigned v = 0; v < sizeof(values) / sizeof(values[0]); v++) {
                const unsigned during = process_fds();
                const unsigned mapped = mappings();
                union virtq_vhost_user_payload payload;
                int fds[VIRTQ_VHOST_USER_FDS_MAX];
                char became;

                message_payload(&f, row, &payload);
                message_descriptors(&f, row, fds);
                put_field(&payload, at, (unsigned)(*field - '0'), values[v]);
                became = outcome(&f, row->request, &payload, row->size, fds, row->fd_count);
                if (became == 'r') {
                    /* It has changed nothing. */
                    refused++;
                    frontend_traffic(&f, 0, 1);
                    cr_assert_eq(process_fds(), during);
                    cr_assert_eq(mappings(), mapped);
                } else {
                    frontend_close(&f);
                    cr_assert_eq(process_fds(), before);
                    cr_assert_eq(f.started, f.stopping);
                    open_at(&f, STAGE_RUNNING);
                }
            }
        }
    }
    frontend_close(&f);
    cr_assert(refused > 300, "%u", refused);
}

/* What may stay after the first time may not be more after the last. */
Test(host_messages, good_ones_ten_thousand_times_leave_no_descriptor_and_no_mapping)
{
    for (unsigned i = 0; i < MESSAGE_ROWS; i++) {
        const struct message_row *row = &message_rows[i];
        const struct message_row *undo = row->undo != 0 ? row_of(row->undo) : NULL;
        const char *name = virtq_vhost_user_request_name(row->request);
        unsigned counts[2] = {0, 0};
        uint64_t mapped = 0;
        struct frontend f;

        open_at(&f, STAGE_RUNNING);
        for (unsigned n = 0; n < TIMES && row->refusal == 0; n++) {
            char became = row_outcome(&f, row, row->size, row->fd_count);

            cr_assert(became == 'a' || (became == 'r' && undo != NULL && n == 0), "%s", name);
            if (undo != NULL) {
                cr_assert_eq(row_outcome(&f, undo, undo->size, undo->fd_count), 'a', "%s", name);
            }
            if (n == 0) {
                counts[0] = process_fds();
                counts[1] = mappings();
                mapped = virtq_vhost_user_backend_mapped(f.backend);
            } else if (n + 1 == TIMES || n % 1000 == 0) {
                cr_assert_eq(process_fds(), counts[0], "%s, %u times", name, n + 1);
                cr_assert_eq(mappings(), counts[1], "%s, %u times", name, n + 1);
                cr_assert_eq(virtq_vhost_user_backend_mapped(f.backend), mapped, "%s", name);
            }
        }
        frontend_close(&f);
    }
}

Test(host_messages, bad_ones_ten_thousand_times_leave_no_descriptor_and_no_mapping)
{
    for (unsigned i = 0; i < MESSAGE_ROWS; i++) {
        const struct message_row *row = &message_rows[i];
        const char *name = virtq_vhost_user_request_name(row->request);
        unsigned counts[2];
        struct frontend f;
        char became = 'r';

        open_at(&f, STAGE_RUNNING);
        counts[0] = process_fds();
        counts[1] = mappings();
        for (unsigned n = 0; n < TIMES && became == 'r'; n++) {
            became = n % 2 == 0 ? row_outcome(&f, row, row->size, row->fd_max + 1u)
                                : row_outcome(&f, row, row->size + 9u, row->fd_max);
            cr_assert_neq(became, 'a', "%s", name);
        }
        if (became == 'r') {
            frontend_traffic(&f, 0, 4);
            cr_assert_eq(process_fds(), counts[0], "%s", name);
            cr_assert_eq(mappings(), counts[1], "%s", name);
        }
        frontend_close(&f);
    }
}

Test(host_messages, a_ring_starts_and_stops_ten_thousand_times)
{
    struct frontend f;
    unsigned counts[2];

    open_at(&f, STAGE_STOPPED);
    counts[0] = process_fds();
    counts[1] = mappings();
    for (unsigned n = 0; n < TIMES; n++) {
        cr_assert_eq(frontend_kick_message(&f, 0), 0);
        frontend_traffic(&f, 0, 1);
        cr_assert_eq(frontend_stop(&f, 0), (n + 5u) & 0xffffu);
    }
    cr_assert_eq(process_fds(), counts[0]);
    cr_assert_eq(mappings(), counts[1]);
    frontend_close(&f);
}
