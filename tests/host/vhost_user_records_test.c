/* SPDX-License-Identifier: BSD-3-Clause */
/* The requests about records and logs with absurd values, and memory for records in which a hostile
 * front-end has written anything. */
#include "frontend.h"
#include "process.h"
#include "random.h"
#include "virtq/host/vhost_user_inflight.h"

#define FEATURES (VIRTQ_FEATURE(VIRTIO_F_VERSION_1) | FRONTEND_PROTOCOL)
#define PACKED VIRTQ_FEATURE(VIRTIO_F_RING_PACKED)
#define TOP UINT64_MAX

enum { SIZE = 16, ROUNDS = 1500, FILE_SIZE = 0x4000 };

/* Gives all that it gets back, empty. */
static void give_back(void *opaque, uint32_t index)
{
    struct frontend *f = opaque;
    struct virtq_piece pieces[4];
    struct virtq_chain chain;
    unsigned count = 0;

    virtq_vhost_user_vring_enter(f->backend, index);
    while (virtq_vhost_user_vring_pop(f->backend, index, &chain, 1, pieces, 4) == 1) {
        cr_assert(++count <= 2 * SIZE, "more buffers than a ring has");
        if (virtq_vhost_user_vring_push(f->backend, index, &chain, 0) != 1) {
            break;
        }
    }
    (void)virtq_vhost_user_vring_publish(f->backend, index);
    virtq_vhost_user_vring_leave(f->backend, index);
}

static const struct virtq_vhost_user_ops ops = {.size = sizeof(ops), .serve = give_back};

static void records_open(struct frontend *f, uint64_t features, uint32_t flags)
{
    struct virtq_vhost_user_backend_config config = VIRTQ_VHOST_USER_BACKEND_CONFIG_INIT;

    config.flags = VIRTQ_VHOST_USER_RECORDED | flags;
    config.ops = &ops;
    frontend_open_config(f, &config);
    frontend_greet(f, features);
}

/* What is sent, and why it is refused. */
struct bad {
    uint32_t request;
    uint32_t size;
    uint32_t refusal;
    bool runs;         /* While ring 0 runs. */
    uint64_t words[5]; /* The payload. */
};

#define REFUSED(reason) VIRTQ_VHOST_USER_REFUSED_##reason
/* Queues and their size as they lie in memory. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#    define QUEUES(count, size) ((uint64_t)(size) << 16 | (count))
#    define FLAGS(index, flags) ((uint64_t)(flags) << 32 | (index))
#else
#    define QUEUES(count, size) ((uint64_t)(count) << 48 | (uint64_t)(size) << 32)
#    define FLAGS(index, flags) ((uint64_t)(index) << 32 | (flags))
#endif

static const struct bad table[] = {
    {VHOST_USER_GET_INFLIGHT_FD, 24, REFUSED(VALUE), false, {0, 0, QUEUES(0, SIZE)}},
    {VHOST_USER_GET_INFLIGHT_FD, 24, REFUSED(VALUE), false, {0, 0, QUEUES(3, SIZE)}},
    {VHOST_USER_GET_INFLIGHT_FD, 24, REFUSED(VALUE), false, {0, 0, QUEUES(2, 0)}},
    {VHOST_USER_GET_INFLIGHT_FD, 24, REFUSED(VALUE), false, {0, 0, QUEUES(2, 257)}},
    {VHOST_USER_GET_INFLIGHT_FD, 24, REFUSED(VALUE), true, {0, 0, QUEUES(65535, 65535)}},
    {VHOST_USER_SET_INFLIGHT_FD, 24, REFUSED(ORDER), true, {FILE_SIZE, 0, QUEUES(2, SIZE)}},
    {VHOST_USER_SET_INFLIGHT_FD, 24, REFUSED(VALUE), false, {0, 0, QUEUES(2, SIZE)}},
    {VHOST_USER_SET_INFLIGHT_FD, 24, REFUSED(VALUE), false, {639, 0, QUEUES(2, SIZE)}},
    {VHOST_USER_SET_INFLIGHT_FD, 24, REFUSED(VALUE), false, {4096, 4, QUEUES(2, SIZE)}},
    {VHOST_USER_SET_INFLIGHT_FD, 24, REFUSED(VALUE), false, {4096, TOP - 7, QUEUES(2, SIZE)}},
    {VHOST_USER_SET_INFLIGHT_FD, 24, REFUSED(VALUE), false, {TOP, 8, QUEUES(2, SIZE)}},
    {VHOST_USER_SET_INFLIGHT_FD, 24, REFUSED(VALUE), false, {4096, 0, QUEUES(3, SIZE)}},
    {VHOST_USER_SET_INFLIGHT_FD, 24, REFUSED(VALUE), false, {1 << 20, 0, QUEUES(2, 257)}},
    {VHOST_USER_SET_INFLIGHT_FD, 24, REFUSED(MEMORY), false, {1ull << 62, 0, QUEUES(2, SIZE)}},
    {VHOST_USER_SET_INFLIGHT_FD, 24, REFUSED(MEMORY), false, {FILE_SIZE + 1, 0, QUEUES(2, SIZE)}},
    {VHOST_USER_SET_INFLIGHT_FD, 24, REFUSED(MEMORY), false, {4096, FILE_SIZE, QUEUES(2, SIZE)}},
    {VHOST_USER_SET_LOG_BASE, 16, REFUSED(VALUE), true, {0, 0}},
    {VHOST_USER_SET_LOG_BASE, 16, REFUSED(VALUE), true, {8, TOP}},
    {VHOST_USER_SET_LOG_BASE, 16, REFUSED(VALUE), true, {TOP, 8}},
    {VHOST_USER_SET_LOG_BASE, 16, REFUSED(MEMORY), true, {FILE_SIZE + 1, 0}},
    {VHOST_USER_SET_LOG_BASE, 16, REFUSED(MEMORY), true, {1, FILE_SIZE}},
    {VHOST_USER_SET_LOG_BASE, 16, REFUSED(MEMORY), true, {1ull << 62, 0}},
    {VHOST_USER_SET_VRING_ADDR, 40, REFUSED(VALUE), false, {FLAGS(1, 2), 0, 0, 0, 0}},
    {VHOST_USER_SET_VRING_ADDR, 40, REFUSED(VALUE), false, {FLAGS(1, 3), 0, 0, 0, 0}},
    {VHOST_USER_SET_FEATURES, 8, REFUSED(ORDER), true, {1ull << VHOST_F_LOG_ALL}},
};

Test(host_records, absurd_values_are_refused_and_nothing_is_left_of_them)
{
    const int file = memfd_create("records", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    const unsigned before = process_fds();

    cr_assert(file >= 0 && ftruncate(file, FILE_SIZE) == 0);
    for (unsigned i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        const struct bad *bad = &table[i];
        const bool fd =
            bad->request == VHOST_USER_SET_INFLIGHT_FD || bad->request == VHOST_USER_SET_LOG_BASE;
        struct frontend f;

        records_open(&f, FEATURES, 0);
        if (bad->runs) {
            frontend_start(&f, 0, FEATURES, SIZE);
        }
        frontend_put(&f, bad->request, VHOST_USER_NEED_REPLY, bad->words, bad->size, &file,
                     fd ? 1 : 0);
        (void)frontend_run(&f);
        cr_assert_eq(virtq_vhost_user_backend_refusal(f.backend), bad->refusal, "row %u: %s", i,
                     virtq_vhost_user_refusal_name(virtq_vhost_user_backend_refusal(f.backend)));
        frontend_close(&f);
        cr_assert_eq(process_mappings("memfd:records"), 0u);
    }
    cr_assert_eq(process_fds(), before);
    cr_assert_eq(close(file), 0);
}

/* QEMU says how large a ring is by its own idea; over virtio-mmio the driver has another one. */
Test(host_records, a_ring_larger_than_its_records_works_without)
{
    for (unsigned format = 0; format < 2; format++) {
        const uint64_t features = FEATURES | (format != 0 ? PACKED : 0);
        const struct virtq_vhost_user_inflight wire = {FILE_SIZE, 0, 2, SIZE, 0};
        const int file = memfd_create("records", MFD_CLOEXEC);
        struct virtq_completion completion;
        unsigned char bytes[64];
        struct frontend f;

        cr_assert(file >= 0 && ftruncate(file, FILE_SIZE) == 0);
        records_open(&f, features, 0);
        cr_assert_eq(frontend_try(&f, VHOST_USER_SET_INFLIGHT_FD, &wire, 24, &file, 1), 0);
        frontend_start(&f, 0, features, 2 * SIZE);
        frontend_add(&f, 0, 0);
        frontend_kick(&f, 0);
        cr_assert_eq(frontend_run(&f), 0);
        cr_assert_eq(virtq_driver_poll(f.driver[0], &completion, 1), 1);
        (void)frontend_stop(&f, 0);
        cr_assert_eq(pread(file, bytes, sizeof(bytes), 0), (ssize_t)sizeof(bytes));
        for (unsigned i = 0; i < sizeof(bytes); i++) {
            cr_assert_eq(bytes[i], 0u);
        }
        frontend_close(&f);
        cr_assert_eq(close(file), 0);
    }
}

Test(host_records, memory_that_can_shrink_is_refused_where_that_is_not_wanted)
{
    const struct virtq_vhost_user_inflight wire = {FILE_SIZE, 0, 2, SIZE, 0};
    const int file = memfd_create("records", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    struct virtq_vhost_user_backend_config config = VIRTQ_VHOST_USER_BACKEND_CONFIG_INIT;
    struct frontend f;

    cr_assert(file >= 0 && ftruncate(file, FILE_SIZE) == 0);
    config.flags = (uint32_t)VIRTQ_VHOST_USER_RECORDED | (uint32_t)VIRTQ_VHOST_USER_STRICT;
    config.ops = &ops;
    frontend_open_config(&f, &config);
    cr_assert_eq(fcntl(f.file, F_ADD_SEALS, F_SEAL_SHRINK), 0);
    frontend_greet(&f, FEATURES);
    cr_assert_eq(frontend_try(&f, VHOST_USER_SET_INFLIGHT_FD, &wire, 24, &file, 1), 1);
    cr_assert_eq(virtq_vhost_user_backend_refusal(f.backend), (uint32_t)REFUSED(SEAL));
    cr_assert_eq(fcntl(file, F_ADD_SEALS, F_SEAL_SHRINK), 0);
    cr_assert_eq(frontend_try(&f, VHOST_USER_SET_INFLIGHT_FD, &wire, 24, &file, 1), 0);
    frontend_close(&f);
    cr_assert_eq(close(file), 0);
}

/* Anything in place of a field or two, small numbers and the edges above all. */
static void spoil(unsigned char *memory, uint64_t *random)
{
    static const uint16_t edges[] = {0, 1, 2, SIZE - 1, SIZE, SIZE + 1, 0x7fff, 0x8000, 0xffff};

    for (unsigned n = 1 + (unsigned)random_below(random, 6); n != 0; n--) {
        const size_t at = random_below(random, 3) == 0 ? random_below(random, 16) * 2
                                                       : random_below(random, 300) * 2;
        const uint16_t word = random_below(random, 4) == 0
                                  ? (uint16_t)random_next(random)
                                  : edges[random_below(random, sizeof(edges) / sizeof(edges[0]))];

        memcpy(memory + at, &word, sizeof(word));
    }
}

Test(host_records, whatever_the_records_say_the_back_end_does_a_bounded_amount_and_lives)
{
    for (unsigned format = 0; format < 2; format++) {
        const uint64_t features = FEATURES | (format != 0 ? PACKED : 0);
        const struct virtq_vhost_user_inflight wire = {FILE_SIZE, 0, 2, SIZE, 0};
        const int file = memfd_create("records", MFD_CLOEXEC);
        uint64_t random = 17 + format;
        unsigned char *memory;
        unsigned accepted = 0;
        struct frontend f;

        cr_assert(file >= 0 && ftruncate(file, FILE_SIZE) == 0);
        memory = mmap(NULL, FILE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        cr_assert(memory != MAP_FAILED);
        records_open(&f, features, 0);
        cr_assert_eq(frontend_try(&f, VHOST_USER_SET_INFLIGHT_FD, &wire, 24, &file, 1), 0);
        for (unsigned round = 0; round < ROUNDS; round++) {
            if (round % 3 == 0) {
                memset(memory, 0, FILE_SIZE);
            }
            frontend_start(&f, 0, features, SIZE); /* Makes the records what they should be. */
            (void)frontend_stop(&f, 0);
            spoil(memory, &random);
            frontend_describe(&f, 0, SIZE, format != 0 ? 0x80008000u : 0);
            if (frontend_kick_message(&f, 0) == 0) {
                accepted++;
                cr_assert_eq(frontend_try_state(&f, VHOST_USER_SET_VRING_ENABLE, 0, 1), 0);
                spoil(memory, &random);
                frontend_kick(&f, 0);
                cr_assert_eq(frontend_run(&f), 0);
                cr_assert_eq(frontend_try(&f, VHOST_USER_RESET_DEVICE, NULL, 0, NULL, 0), 0);
            } else {
                cr_assert_eq(virtq_vhost_user_backend_refusal(f.backend), (uint32_t)REFUSED(RING));
            }
            memset(memory, 0, 64);
            memset(memory + FILE_SIZE / 8, 0, 64);
        }
        cr_assert(accepted > ROUNDS / 20 && accepted < ROUNDS);
        frontend_close(&f);
        cr_assert_eq(munmap(memory, FILE_SIZE), 0);
        cr_assert_eq(close(file), 0);
    }
}
