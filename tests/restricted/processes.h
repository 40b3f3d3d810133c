/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief A driver and a device in two processes that share a pool and nothing else.
 *
 * Each has the pool in an *arena*, at another address. Around it lies, in the driver's arena, all
 * that the driver has; in the device's arena, at the same distances, memory that nobody may touch:
 * whatever the device does beyond the pool kills it. A socket stands for the registers and for
 * notifications.
 */
#ifndef VIRTQ_TESTS_RESTRICTED_PROCESSES_H
#define VIRTQ_TESTS_RESTRICTED_PROCESSES_H

#include "ends.h"
/* Its macros first. */
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum {
    ARENA_SIDE = 64 * POOL_PAGE, /**< Bytes before the pool, and behind it. */
    ARENA_SIZE = 2 * ARENA_SIDE + POOL_SIZE
};

/** @brief What the driver writes to the device's registers. */
enum order {
    ORDER_FEATURES, /**< FEATURES_OK with `accepted`. */
    ORDER_ENABLE,   /**< A queue. */
    ORDER_NOTIFY,   /**< Serve what is there. */
    ORDER_HOLD,     /**< Take a buffer, and do not give it back. */
    ORDER_STOP
};

struct message {
    uint32_t order;  /**< An enum order. */
    int32_t answer;  /**< Of the device: an error, or buffers served. */
    uint32_t bad;    /**< Of the device: bad buffers among them. */
    uint32_t reason; /**< Of the latest of them. */
    uint64_t accepted;
    uint32_t format;
    uint32_t size;
    uint64_t features;
    struct virtq_area_addresses addresses;
};

/** @brief The driver's program. It lies in its arena. */
struct program {
    struct pool pool;
    struct virtq_driver_config config;
    union ends_driver driver;
    const struct ends_calls *calls;
    struct ends_flight flights[ENDS_BUFFERS];
    uint64_t queue[4096]; /**< Private memory of the queue ... */
    uint64_t books[1024]; /**< ... and of the pool. */
};

struct processes {
    unsigned char *arenas[2]; /**< The driver's and the device's. */
    int file;
    int wire;
    pid_t child;
    struct program *program;
};

static inline unsigned char *arena_map(int file, int sides)
{
    unsigned char *arena =
        mmap(NULL, ARENA_SIZE, sides, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    cr_assert(arena != MAP_FAILED);
    cr_assert(mmap(arena + ARENA_SIDE, POOL_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
                   file, 0) == arena + ARENA_SIDE);
    return arena;
}

/* ---- The device's process ---- */

struct device_program {
    struct virtq_restricted_device restricted;
    struct virtq_device *device;
    unsigned char *memory;
};

static inline int32_t device_enable(struct device_program *d, const struct message *message)
{
    struct virtq_device_config config = VIRTQ_DEVICE_CONFIG_INIT;
    size_t size;
    int error;

    config.format = message->format;
    config.size = message->size;
    config.features = message->features;
    config.addresses = message->addresses;
    error = virtq_restricted_device_attach(&d->restricted, &config);
    if (error != 0) {
        return error;
    }
    size =
        (virtq_device_size(&config) + VIRTQ_CACHE_LINE - 1) / VIRTQ_CACHE_LINE * VIRTQ_CACHE_LINE;
    free(d->memory);
    d->memory = aligned_alloc(VIRTQ_CACHE_LINE, size);
    return d->memory == NULL ? VIRTQ_ENOMEM
                             : virtq_device_init(d->memory, size, &config, &d->device, NULL);
}

static inline void device_notified(struct device_program *d, struct message *message)
{
    int served;

    message->answer = 0;
    while ((served = ends_serve(d->device)) != 0) {
        if (served == VIRTQ_EBROKEN || served == -100) {
            message->answer = served;
            return;
        }
        message->answer++;
        if (served < 0) {
            message->bad++;
            message->reason = (uint32_t)-served;
        }
    }
}

static inline int32_t device_hold(struct device_program *d)
{
    static struct virtq_piece pieces[ENDS_PIECES];
    static struct virtq_chain chain;

    return virtq_device_pop(d->device, &chain, 1, pieces, ENDS_PIECES);
}

/* Until the driver says stop, or is gone. */
static inline void device_process(const struct virtq_restricted_config *config, int wire)
{
    struct device_program d = {.device = NULL};
    struct message message;

    while (read(wire, &message, sizeof(message)) == (ssize_t)sizeof(message)) {
        switch (message.order) {
        case ORDER_FEATURES:
            message.answer = virtq_restricted_device_init(&d.restricted, config, message.accepted);
            message.reason = d.restricted.decision.reason;
            break;
        case ORDER_ENABLE:
            message.answer = device_enable(&d, &message);
            break;
        case ORDER_NOTIFY:
            device_notified(&d, &message);
            break;
        case ORDER_HOLD:
            message.answer = device_hold(&d);
            break;
        default:
            free(d.memory);
            return;
        }
        if (write(wire, &message, sizeof(message)) != (ssize_t)sizeof(message)) {
            return;
        }
    }
}

/* ---- The driver's process ---- */

/** @brief The pool's memory, and the driver's program before it. */
static inline void processes_map(struct processes *s)
{
    FILE *file = tmpfile();

    cr_assert_not_null(file);
    s->file = dup(fileno(file));
    (void)fclose(file);
    cr_assert(s->file >= 0 && ftruncate(s->file, POOL_SIZE) == 0);
    s->arenas[0] = arena_map(s->file, PROT_READ | PROT_WRITE);
    s->arenas[1] = arena_map(s->file, PROT_NONE);
    s->program = (struct program *)(void *)s->arenas[0];
    cr_assert_leq(sizeof(*s->program), (size_t)ARENA_SIDE);
    s->program->pool.block.at = s->arenas[0] + ARENA_SIDE;
    s->program->pool.block.view = s->arenas[1] + ARENA_SIDE;
}

/** @brief Starts a device. Of the driver's memory its process keeps nothing. */
static inline void processes_start(struct processes *s)
{
    const struct virtq_restricted_config config = s->program->pool.device_config;
    int wires[2];

    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, wires), 0);
    s->child = fork();
    cr_assert_geq(s->child, 0);
    if (s->child == 0) {
        if (mprotect(s->arenas[0], ARENA_SIZE, PROT_NONE) != 0 || close(wires[0]) != 0) {
            _exit(2);
        }
        device_process(&config, wires[1]);
        _exit(0);
    }
    (void)close(wires[1]);
    s->wire = wires[0];
}

/** @brief An order, and what the device answers. */
static inline struct message processes_order(struct processes *s, struct message message)
{
    cr_assert_eq(write(s->wire, &message, sizeof(message)), (ssize_t)sizeof(message));
    cr_assert_eq(read(s->wire, &message, sizeof(message)), (ssize_t)sizeof(message),
                 "the device is dead");
    return message;
}

/** @brief FEATURES_OK; the answer. */
static inline struct message processes_features(struct processes *s, uint64_t accepted)
{
    return processes_order(s, (struct message){.order = ORDER_FEATURES, .accepted = accepted});
}

/** @brief Enables the queue; the answer. */
static inline int processes_enable(struct processes *s,
                                   const struct virtq_area_addresses *addresses)
{
    return processes_order(s, (struct message){.order = ORDER_ENABLE,
                                               .format = s->program->config.format,
                                               .size = s->program->config.size,
                                               .features = s->program->config.features,
                                               .addresses = *addresses})
        .answer;
}

/** @brief Both processes, up to a queue that runs. */
static inline void processes_open(struct processes *s, uint32_t form, uint32_t flags, bool packed,
                                  bool tables, bool tier_inline)
{
    struct virtq_area_addresses addresses;
    struct program *program;
    size_t size;

    processes_map(s);
    program = s->program;
    pool_describe(&program->pool, form);
    program->pool.driver_config.flags = flags;
    program->pool.driver_config.memory = program->books;
    cr_assert_leq(program->pool.driver_config.memory_size, sizeof(program->books));
    processes_start(s);
    cr_assert_eq(virtq_restricted_driver_init(&program->pool.driver, &program->pool.driver_config),
                 0);
    cr_assert_eq(processes_features(s, program->pool.driver.decision.accept).answer, 0);
    program->calls = ends_calls_of(packed, tier_inline);
    program->config = pool_queue(packed, ENDS_SIZE, tables);
    cr_assert_eq(virtq_restricted_driver_place(&program->pool.driver, &program->config), 0);
    size = virtq_driver_size(&program->config);
    cr_assert_leq(size, sizeof(program->queue) - VIRTQ_CACHE_LINE);
    cr_assert_eq(program->calls->init(
                     &program->driver,
                     (unsigned char *)program->queue +
                         (VIRTQ_CACHE_LINE - (uintptr_t)program->queue % VIRTQ_CACHE_LINE),
                     sizeof(program->queue) - VIRTQ_CACHE_LINE, &program->config, &addresses),
                 0);
    cr_assert_eq(processes_enable(s, &addresses), 0);
}

/** @brief Ends the device's process, which must have lived until now. */
static inline void processes_stop(struct processes *s)
{
    const struct message stop = {.order = ORDER_STOP};
    int status = -1;

    cr_assert_eq(write(s->wire, &stop, sizeof(stop)), (ssize_t)sizeof(stop));
    cr_assert_eq(waitpid(s->child, &status, 0), s->child);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the device's process ended with %d",
              status);
    (void)close(s->wire);
}

static inline void processes_unmap(struct processes *s)
{
    (void)munmap(s->arenas[0], ARENA_SIZE);
    (void)munmap(s->arenas[1], ARENA_SIZE);
    (void)close(s->file);
}

static inline void processes_close(struct processes *s)
{
    struct program *program = s->program;

    processes_stop(s);
    program->calls->destroy(&program->driver);
    virtq_restricted_driver_remove(&program->pool.driver, &program->config);
    cr_assert_eq(virtq_restricted_driver_fini(&program->pool.driver), 0);
    processes_unmap(s);
}

#endif
