/* SPDX-License-Identifier: BSD-3-Clause */
/* The dirty log: every page that the device has written to is in it, and no others; and what it
 * says is enough to move a guest to another back-end. M10. */
#include "frontend.h"
#include "random.h"

#define BASE (VIRTQ_FEATURE(VIRTIO_F_VERSION_1) | FRONTEND_PROTOCOL)
#define PACKED VIRTQ_FEATURE(VIRTIO_F_RING_PACKED)
#define EVENT_IDX VIRTQ_FEATURE(VIRTIO_F_EVENT_IDX)
#define LOG_ALL VIRTQ_FEATURE(VHOST_F_LOG_ALL)

enum {
    PAGE = 4096,
    PAGES = 2 * FRONTEND_REGION / PAGE, /* Of both regions, one after the other. */
    SIZE = 256,                         /* The parts of a ring lie in different pages. */
    MOST = 20000,                       /* Bytes of the largest buffer. */
    ROUNDS = 60,
    LOG_SIZE = 0x100100 / 8
};

static const uint64_t shapes[] = {BASE, BASE | EVENT_IDX, BASE | PACKED, BASE | PACKED | EVENT_IDX};
enum { SHAPES = sizeof(shapes) / sizeof(shapes[0]) };

/* A device that fills each buffer, or a part of it, with a number that is another one each time. */
struct filler {
    struct frontend f;
    unsigned char *log;
    unsigned char *copy; /* Of the guest's memory. */
    unsigned char *seen; /* The same, before the driver did something. */
    int log_file;
    uint64_t random;
    unsigned char number;
    unsigned done;
};

static void fill(void *opaque, uint32_t index)
{
    struct filler *filler = opaque;
    struct virtq_vhost_user_backend *backend = filler->f.backend;
    struct virtq_piece pieces[16];
    struct virtq_chain chain;

    virtq_vhost_user_vring_enter(backend, index);
    while (virtq_vhost_user_vring_pop(backend, index, &chain, 1, pieces, 16) == 1) {
        struct virtq_cursor writer = virtq_chain_writer(&chain);
        const uint64_t len = random_below(&filler->random, chain.writable_bytes + 1);
        unsigned char bytes[256];

        memset(bytes, ++filler->number, sizeof(bytes));
        for (uint64_t left = len; left != 0;) {
            left -= virtq_cursor_write(&writer, bytes, left < 256 ? left : 256);
        }
        cr_assert_eq(virtq_vhost_user_vring_push(backend, index, &chain, (uint32_t)len), 1);
    }
    cr_assert(virtq_vhost_user_vring_publish(backend, index) >= 0);
    (void)virtq_vhost_user_vring_notify(backend, index);
    cr_assert(!virtq_device_enable_notify(virtq_vhost_user_vring_device(backend, index)));
    virtq_vhost_user_vring_leave(backend, index);
}

static const struct virtq_vhost_user_ops ops = {.size = sizeof(ops), .serve = fill};

static struct virtq_vhost_user_backend_config recorded(void)
{
    struct virtq_vhost_user_backend_config config = VIRTQ_VHOST_USER_BACKEND_CONFIG_INIT;

    config.flags = VIRTQ_VHOST_USER_RECORDED;
    config.ops = &ops;
    return config;
}

static void filler_open(struct filler *filler, uint64_t features)
{
    const struct virtq_vhost_user_backend_config config = recorded();

    memset(filler, 0, sizeof(*filler));
    filler->random = features;
    filler->log_file = memfd_create("log", MFD_CLOEXEC);
    cr_assert(filler->log_file >= 0 && ftruncate(filler->log_file, LOG_SIZE) == 0);
    filler->log = mmap(NULL, LOG_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, filler->log_file, 0);
    filler->copy = malloc(2 * FRONTEND_REGION);
    filler->seen = malloc(2 * FRONTEND_REGION);
    cr_assert(filler->log != MAP_FAILED && filler->copy != NULL && filler->seen != NULL);
    frontend_open_config(&filler->f, &config);
    frontend_greet(&filler->f, features);
    frontend_start(&filler->f, 0, features, SIZE);
}

static void filler_close(struct filler *filler)
{
    frontend_close(&filler->f);
    cr_assert_eq(munmap(filler->log, LOG_SIZE), 0);
    cr_assert_eq(close(filler->log_file), 0);
    free(filler->copy);
    free(filler->seen);
}

static void log_base(struct filler *filler, uint64_t size)
{
    const struct virtq_vhost_user_log wire = {size, 0};
    uint64_t answer = 1;

    frontend_put(&filler->f, VHOST_USER_SET_LOG_BASE, 0, &wire, sizeof(wire), &filler->log_file, 1);
    cr_assert_eq(frontend_run(&filler->f), 0);
    cr_assert_eq(frontend_answer(&filler->f, VHOST_USER_SET_LOG_BASE, &answer, sizeof(answer)), 8);
    cr_assert_eq(answer, 0u);
}

/* Logging begins or ends, while the ring runs. */
static void log_switch(struct filler *filler, uint64_t features, bool on)
{
    struct virtq_vhost_user_addr addr = frontend_addr(&filler->f, 0);

    addr.flags = on ? VIRTQ_VHOST_USER_VRING_F_LOG : 0;
    addr.log = frontend_guest[0] + frontend_ring_at(0) + filler->f.layout.device.offset;
    cr_assert_eq(
        frontend_try_number(&filler->f, VHOST_USER_SET_FEATURES, features | (on ? LOG_ALL : 0)), 0);
    cr_assert_eq(frontend_try(&filler->f, VHOST_USER_SET_VRING_ADDR, &addr, sizeof(addr), NULL, 0),
                 0);
}

/* Makes buffers available whose parts lie anywhere behind the ring, and none over another. */
static void add(struct filler *filler, unsigned count)
{
    size_t at = 0x20000 + random_below(&filler->random, PAGE);

    for (unsigned i = 0; i < count; i++) {
        struct virtq_segment segments[3];
        struct virtq_buffer buffer = {0};

        memset(segments, 0, sizeof(segments));
        for (unsigned k = 0; k < 3; k++) {
            segments[k].len = 1 + (uint32_t)random_below(&filler->random, k == 1 ? MOST : 300);
            /* A part lies in one region, and over the end of none. */
            if (at < FRONTEND_REGION && at + segments[k].len > FRONTEND_REGION) {
                at = FRONTEND_REGION;
            }
            segments[k].base = filler->f.guest + at;
            at += segments[k].len + random_below(&filler->random, 2 * PAGE);
        }
        buffer.segments = segments;
        buffer.readable = 1;
        buffer.writable = 2;
        buffer.cookie = filler;
        cr_assert_eq(virtq_driver_add(filler->f.driver[0], &buffer, 1), 1);
        cr_assert_eq(virtq_driver_publish(filler->f.driver[0]), 1);
    }
}

static void take(struct filler *filler)
{
    struct virtq_completion completion;

    while (virtq_driver_poll(filler->f.driver[0], &completion, 1) == 1) {
        filler->done++;
    }
    cr_assert(!virtq_driver_enable_notify(filler->f.driver[0]));
}

/* Takes the bit of a page of the guest's memory away: whether it was there. */
static bool logged(struct filler *filler, unsigned page)
{
    const uint64_t region = page / (PAGES / 2);
    const uint64_t number = frontend_guest[region] / PAGE + page % (PAGES / 2);
    unsigned char *byte = &filler->log[number / 8];
    const unsigned char bit = (unsigned char)(1u << number % 8);
    const bool was = (*byte & bit) != 0;

    *byte &= (unsigned char)~bit;
    return was;
}

static bool clean(const struct filler *filler)
{
    for (size_t i = 0; i < LOG_SIZE; i++) {
        if (filler->log[i] != 0) {
            return false;
        }
    }
    return true;
}

/* Compares memory with what it was: each page that has changed is logged, each that has not is not,
 * but for those of the ring. */
static void compare(struct filler *filler)
{
    const size_t first = frontend_ring_at(0) / PAGE;
    const size_t last = (frontend_ring_at(0) + (size_t)filler->f.layout.size - 1) / PAGE;

    for (unsigned page = 0; page < PAGES; page++) {
        const bool changed = memcmp(filler->copy + (size_t)page * PAGE,
                                    filler->f.guest + (size_t)page * PAGE, PAGE) != 0;
        const bool is = logged(filler, page);

        cr_assert(!changed || is, "page %u was written and is not in the log", page);
        cr_assert(changed || !is || (page >= first && page <= last), "page %u is in the log", page);
    }
    cr_assert(clean(filler), "the log says more than there is memory");
}

Test(host_log, m10_the_log_is_what_a_comparison_of_memory_says)
{
    for (unsigned i = 0; i < SHAPES; i++) {
        struct filler filler;

        filler_open(&filler, shapes[i]);
        log_base(&filler, LOG_SIZE);
        for (unsigned round = 0; round < ROUNDS; round++) {
            if (round == 5) {
                log_switch(&filler, shapes[i], true);
                (void)memset(filler.log, 0, LOG_SIZE);
            }
            add(&filler, 1 + round % 5);
            memcpy(filler.copy, filler.f.guest, 2 * FRONTEND_REGION);
            frontend_kick(&filler.f, 0);
            cr_assert_eq(frontend_run(&filler.f), 0);
            if (round < 5) {
                cr_assert(clean(&filler), "a log before anybody asked for one");
            } else {
                compare(&filler);
            }
            take(&filler);
        }
        log_switch(&filler, shapes[i], false);
        add(&filler, 5);
        frontend_kick(&filler.f, 0);
        cr_assert_eq(frontend_run(&filler.f), 0);
        take(&filler);
        cr_assert(clean(&filler), "a log when nobody wants one any more");
        cr_assert(filler.done > 2 * ROUNDS);
        filler_close(&filler);
    }
}

Test(host_log, what_a_log_has_no_bits_for_is_left_out)
{
    struct filler filler;
    /* It ends among the buffers. */
    const uint64_t size = (frontend_guest[0] + 0x28000) / PAGE / 8;

    filler_open(&filler, BASE);
    log_base(&filler, size);
    log_switch(&filler, BASE, true);
    for (unsigned round = 0; round < 20; round++) {
        add(&filler, 4);
        frontend_kick(&filler.f, 0);
        cr_assert_eq(frontend_run(&filler.f), 0);
        take(&filler);
        for (uint64_t at = size; at < LOG_SIZE; at++) {
            cr_assert_eq(filler.log[at], 0);
        }
    }
    filler_close(&filler);
}

/* The driver's turn. What it writes is logged by whoever runs the guest, and is copied here. */
static void drive(struct filler *filler, unsigned count)
{
    memcpy(filler->seen, filler->f.guest, 2 * FRONTEND_REGION);
    take(filler);
    add(filler, count);
    for (size_t at = 0; at < 2 * FRONTEND_REGION; at += PAGE) {
        if (memcmp(filler->seen + at, filler->f.guest + at, PAGE) != 0) {
            memcpy(filler->copy + at, filler->f.guest + at, PAGE);
        }
    }
}

/* Another back-end, for the same driver. */
static void move(struct filler *filler, uint64_t features, uint32_t base)
{
    const struct virtq_vhost_user_backend_config config = recorded();
    struct frontend *f = &filler->f;
    int ends[2];

    virtq_vhost_user_backend_fini(f->backend);
    free(f->memory);
    cr_assert_eq(close(f->socket), 0);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    f->socket = ends[1];
    frontend_backend_open(f, ends[0], &config, f);
    frontend_greet(f, features);
    frontend_describe(f, 0, SIZE, base);
    cr_assert_eq(frontend_kick_message(f, 0), 0);
    cr_assert_eq(frontend_try_state(f, VHOST_USER_SET_VRING_ENABLE, 0, 1), 0);
}

Test(host_log, a_guest_moves_under_load_by_what_the_log_says)
{
    for (unsigned i = 0; i < SHAPES; i++) {
        struct filler filler;

        filler_open(&filler, shapes[i]);
        for (unsigned moves = 0; moves < 5; moves++) {
            uint32_t base;
            unsigned count = 0;

            log_base(&filler, LOG_SIZE);
            log_switch(&filler, shapes[i], true);
            memset(filler.log, 0, LOG_SIZE);
            memcpy(filler.copy, filler.f.guest, 2 * FRONTEND_REGION);
            for (unsigned round = 0; round < 10; round++) {
                drive(&filler, 3);
                frontend_kick(&filler.f, 0);
                if (round != 9) {
                    cr_assert_eq(frontend_run(&filler.f), 0);
                }
            }
            /* Three buffers are under way. */
            base = frontend_stop(&filler.f, 0);
            for (unsigned page = 0; page < PAGES; page++) {
                if (logged(&filler, page)) {
                    memcpy(filler.copy + (size_t)page * PAGE, filler.f.guest + (size_t)page * PAGE,
                           PAGE);
                    count++;
                }
            }
            cr_assert(count != 0 && count < PAGES);
            cr_assert_eq(memcmp(filler.copy, filler.f.guest, 2 * FRONTEND_REGION), 0,
                         "the guest that arrives is another one");
            move(&filler, shapes[i], base);
            take(&filler);
        }
        cr_assert_eq(filler.done, 5u * 30u);
        filler_close(&filler);
    }
}
