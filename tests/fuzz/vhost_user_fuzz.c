/* SPDX-License-Identifier: BSD-3-Clause */
/* A front-end made of whatever bytes there are, against a back-end: messages with descriptors of
 * every kind, rings in memory that it writes, kicks, results of misses. It may be refused, or lose
 * its connection; nothing else may come of it: no bad access, no endless work, nothing left.
 *
 * The input: one byte of configuration, then steps, each an enum step and what that reads. What
 * lies behind the end reads as 0. Words are in the machine's own order, as in the messages. */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "replay.h"
#include "vhost_user_fuzz.h"
#include "virtq/host/vhost_user_fault.h"

/* The file is so large that the tables of real front-ends fit; hardly anything of it is there. */
enum { MEMORY = 1 << 30, SMALL = 1 << 16, CONFIG = 60, STEPS = 400, RUNS = 400 };

enum step {
    STEP_MESSAGE, /* How, request, [flags, size,] descriptors, payload: see message(). */
    STEP_KICK,    /* Which ring. */
    STEP_WRITE,   /* Where in the file (4 bytes), how many (2), bytes. */
    STEP_RAW,     /* How many (1), bytes: to the socket. */
    STEP_RESULT,  /* What (1): of a miss. */
    STEP_ANSWER,  /* Answers every miss as a good front-end does. */
    STEP_RELEASE, /* The device ends what it has kept. */
    STEP_REQUEST, /* How many (1), bytes: to the channel of the back-end's requests. */
    STEP_SHRINK,  /* The small file loses its memory, if that is caught. */
    STEP_COUNT
};

/* Of the first byte. */
enum {
    WITH_STRICT = 1,
    WITH_PLATFORM = 2,
    WITH_HOLD = 4,
    WITHOUT_CONFIG = 8,
    WITH_WINDOW = 16,
    WITH_CATCH = 32,
    WITH_RECORDS = 64
};

/* How a message is sent. */
enum { SILENT = 1, OWN_SIZE = 2, OWN_FLAGS = 4 };

static void must(int holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "vhost_user_fuzz: %s\n", what);
        abort();
    }
}

static uint64_t take(struct fuzz_input *input, void *to, size_t len)
{
    size_t some = len < input->left ? len : input->left;

    memset(to, 0, len);
    if (some != 0) {
        memcpy(to, input->bytes, some);
    }
    input->bytes += some;
    input->left -= some;
    return some;
}

static unsigned byte(struct fuzz_input *input)
{
    unsigned char value;

    (void)take(input, &value, 1);
    return value;
}

/* The bytes of a request's payload, so that most of what comes has the right size. */
static uint32_t usual_size(uint32_t request, const struct fuzz_input *input)
{
    struct virtq_vhost_user_message probe = {0};
    uint32_t count = input->left != 0 ? input->bytes[0] : 0;

    if (request == VHOST_USER_SET_MEM_TABLE) {
        return 8 + count % (VIRTQ_VHOST_USER_TABLE_MAX + 1) * 32;
    }
    if (request == VHOST_USER_GET_CONFIG || request == VHOST_USER_SET_CONFIG) {
        return 12 + (input->left > 4 ? input->bytes[4] : 0u);
    }
    probe.header.request = request;
    while (probe.header.size < sizeof(probe.payload) &&
           virtq_vhost_user_judge(&probe, UINT64_MAX) == VIRTQ_VHOST_USER_REFUSED_SIZE) {
        probe.header.size += 4;
    }
    return probe.header.size < sizeof(probe.payload) ? probe.header.size : 8;
}

/* A descriptor of the kind that the input asks for; the fuzzer's own, but for new ones. */
static int descriptor(struct fuzz *fuzz, unsigned kind)
{
    int ends[2];

    switch (kind % FUZZ_KINDS) {
    case FUZZ_KICK_0:
    case FUZZ_KICK_1:
        return fuzz->kick[kind % FUZZ_KINDS - FUZZ_KICK_0];
    case FUZZ_CALL:
        return fuzz->call;
    case FUZZ_CHANNEL:
        if (fuzz->channel >= 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
            return fuzz->far;
        }
        fuzz->channel = ends[0];
        fuzz->far = ends[1];
        return fuzz->far;
    default:
        return fuzz_files.kinds[kind % FUZZ_KINDS];
    }
}

/* Sends bytes, and descriptors along with the first. */
static void put(int to, const void *bytes, size_t len, const int *fds, unsigned count)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int) * FUZZ_FDS)];
    } control;
    struct iovec part = {(void *)(uintptr_t)bytes, len};
    struct msghdr message = {0};

    memset(&control, 0, sizeof(control));
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (count != 0) {
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(sizeof(int) * count);
        memcpy(CMSG_DATA(&control.header), fds, sizeof(int) * count);
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * count);
    }
    if (to >= 0) {
        (void)!sendmsg(to, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
}

static void message(struct fuzz *fuzz, struct fuzz_input *input)
{
    struct {
        struct virtq_vhost_user_header header;
        char payload[sizeof(union virtq_vhost_user_payload) + 64];
    } whole = {{0, VHOST_USER_VERSION, 0}, {0}};
    const unsigned how = byte(input);
    const unsigned count = byte(input);
    int fds[FUZZ_FDS];
    uint32_t most = sizeof(whole.payload);

    whole.header.request = byte(input);
    whole.header.flags |= (how & SILENT) != 0 ? 0u : (uint32_t)VHOST_USER_NEED_REPLY;
    if ((how & OWN_FLAGS) != 0) {
        (void)take(input, &whole.header.flags, sizeof(whole.header.flags));
    }
    for (unsigned i = 0; i < count % (FUZZ_FDS + 1); i++) {
        fds[i] = descriptor(fuzz, byte(input));
        if (fds[i] < 0) {
            fds[i] = fuzz_files.kinds[0];
        }
    }
    whole.header.size = usual_size(whole.header.request, input);
    if ((how & OWN_SIZE) != 0) {
        (void)take(input, &whole.header.size, sizeof(whole.header.size));
    }
    most = whole.header.size < most ? whole.header.size : most;
    (void)take(input, whole.payload, most);
    put(fuzz->socket, &whole, sizeof(whole.header) + most, fds, count % (FUZZ_FDS + 1));
}

static void write_memory(struct fuzz_input *input)
{
    uint32_t where;
    uint16_t count;
    char bytes[4096];

    (void)take(input, &where, sizeof(where));
    (void)take(input, &count, sizeof(count));
    count %= sizeof(bytes);
    (void)take(input, bytes, count);
    (void)!pwrite(fuzz_files.kinds[FUZZ_MEMORY], bytes, count, where % (MEMORY - sizeof(bytes)));
}

static void send_raw(int to, struct fuzz_input *input)
{
    const unsigned count = byte(input);
    char bytes[256];

    (void)take(input, bytes, count);
    put(to, bytes, count, NULL, 0);
}

static void send_result(struct fuzz *fuzz, uint64_t value)
{
    struct {
        struct virtq_vhost_user_header header;
        uint32_t low, high; /* No padding. */
    } whole = {{VHOST_USER_BACKEND_IOTLB_MSG, 0, 8}, 0, 0};
    const uint64_t word = value;

    whole.header.flags = (uint32_t)VHOST_USER_VERSION | (uint32_t)VHOST_USER_REPLY;
    memcpy(&whole.low, &word, sizeof(word));
    put(fuzz->channel, &whole, sizeof(whole), NULL, 0);
}

/* What the back-end has not found yet lies where the guest's address says, in the table's order. */
static void answer_misses(struct fuzz *fuzz)
{
    struct {
        struct virtq_vhost_user_header header;
        char payload[sizeof(struct virtq_vhost_user_iotlb)];
    } whole;

    for (unsigned i = 0; i < 64 && fuzz->channel >= 0; i++) {
        struct virtq_vhost_user_iotlb miss;

        if (recv(fuzz->channel, &whole, sizeof(whole), MSG_DONTWAIT) != (ssize_t)sizeof(whole)) {
            return;
        }
        memcpy(&miss, whole.payload, sizeof(miss));
        miss.user_address = FUZZ_USER + miss.iova;
        miss.permissions = 3;
        miss.type = VHOST_USER_IOTLB_UPDATE;
        memcpy(whole.payload, &miss, sizeof(miss));
        whole.header.request = VHOST_USER_IOTLB_MSG;
        whole.header.flags = (uint32_t)VHOST_USER_VERSION | (uint32_t)VHOST_USER_NEED_REPLY;
        put(fuzz->socket, &whole, sizeof(whole), NULL, 0);
        send_result(fuzz, 0);
    }
}

/* Lets the back-end work until it has nothing to do, which has to come: 0, or its connection is
 * over. */
static int run(struct fuzz *fuzz)
{
    struct pollfd ready = {virtq_vhost_user_backend_fd(fuzz->backend), POLLIN, 0};
    char answers[4096];
    int result = 0;

    for (unsigned i = 0; result == 0 && poll(&ready, 1, 0) > 0; i++) {
        must(i < RUNS, "the back-end is awake for ever");
        result = virtq_vhost_user_backend_process(fuzz->backend);
        while (recv(fuzz->socket, answers, sizeof(answers), MSG_DONTWAIT) > 0) {
        }
    }
    return result;
}

static void step(struct fuzz *fuzz, struct fuzz_input *input)
{
    const uint64_t one = 1;

    switch (byte(input) % STEP_COUNT) {
    case STEP_KICK:
        (void)!write(fuzz->kick[byte(input) % FUZZ_RINGS], &one, sizeof(one));
        break;
    case STEP_WRITE:
        write_memory(input);
        break;
    case STEP_RAW:
        send_raw(fuzz->socket, input);
        break;
    case STEP_RESULT:
        send_result(fuzz, byte(input));
        break;
    case STEP_ANSWER:
        answer_misses(fuzz);
        break;
    case STEP_RELEASE:
        fuzz_device_release(fuzz);
        break;
    case STEP_REQUEST:
        send_raw(fuzz->channel, input);
        break;
    case STEP_SHRINK:
        if (fuzz->caught) {
            must(ftruncate(fuzz_files.kinds[FUZZ_SMALL], 0) == 0, "the small file");
        }
        break;
    default:
        message(fuzz, input);
        break;
    }
}

static void play(struct fuzz *fuzz, struct fuzz_input *input, unsigned with)
{
    struct virtq_vhost_user_backend_config config = VIRTQ_VHOST_USER_BACKEND_CONFIG_INIT;
    int ends[2];
    void *memory;

    must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0, "no sockets");
    fuzz->socket = ends[1];
    fuzz->hold = (with & WITH_HOLD) != 0;
    config.socket = ends[0];
    config.flags = (with & WITH_STRICT) != 0 ? (uint32_t)VIRTQ_VHOST_USER_STRICT : 0u;
    fuzz->caught = (with & WITH_CATCH) != 0;
    config.flags |= fuzz->caught ? (uint32_t)VIRTQ_VHOST_USER_CATCH : 0u;
    config.flags |= (with & WITH_RECORDS) != 0 ? (uint32_t)VIRTQ_VHOST_USER_RECORDED : 0u;
    config.features = FUZZ_FEATURES;
    config.features |= (with & WITH_PLATFORM) != 0 ? VIRTQ_FEATURE(VIRTIO_F_ACCESS_PLATFORM) : 0;
    config.queue_count = FUZZ_RINGS;
    config.config_size = (with & WITHOUT_CONFIG) != 0 ? 0 : CONFIG;
    config.window_first = 0x10000;
    config.window_size = (with & WITH_WINDOW) != 0 ? 0x100000 : 0;
    config.translations = 64;
    config.ops = &fuzz_ops;
    config.opaque = fuzz;
    memory = aligned_alloc(VIRTQ_CACHE_LINE, virtq_vhost_user_backend_size(&config));
    must(memory != NULL, "no memory");
    must(virtq_vhost_user_backend_init(memory, virtq_vhost_user_backend_size(&config), &config,
                                       &fuzz->backend) == 0,
         "no back-end");
    for (unsigned i = 0; i < STEPS && input->left != 0; i++) {
        step(fuzz, input);
        if (run(fuzz) != 0) {
            break;
        }
    }
    virtq_vhost_user_backend_fini(fuzz->backend);
    free(memory);
    must(close(fuzz->socket) == 0, "the socket");
}

const unsigned fuzz_enough = 200; /* Buffers. */

unsigned fuzz_play(const uint8_t *data, size_t size)
{
    static struct fuzz one;
    struct fuzz *fuzz = &one;
    struct fuzz_input input = {data, size};
    const unsigned with = byte(&input);
    int before;
    int after;

    fuzz_files_open();
    must(virtq_vhost_user_fault_install() == 0, "no handler");
    must(ftruncate(fuzz_files.kinds[FUZZ_SMALL], SMALL) == 0, "the small file");
    /* The guest's memory is zeros again. */
    (void)fallocate(fuzz_files.kinds[FUZZ_MEMORY], FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
                    MEMORY);
    before = dup(fuzz_files.kinds[FUZZ_MEMORY]);
    (void)close(before);
    memset(fuzz, 0, sizeof(*fuzz));
    fuzz_signals_open(fuzz);
    play(fuzz, &input, with);
    fuzz_signals_close(fuzz);
    after = dup(fuzz_files.kinds[FUZZ_MEMORY]);
    (void)close(after);
    must(before == after, "a descriptor was left");
    must(fuzz->started == fuzz->stopping, "a ring was not stopped");
    return fuzz->served;
}
