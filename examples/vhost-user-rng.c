/* SPDX-License-Identifier: BSD-3-Clause */
/* A source of noise for a virtual machine, behind vhost-user: the smallest device there is. It has
 * one ring and no configuration, and fills each buffer that it is given.
 *
 *     cc vhost-user-rng.c $(pkg-config --cflags --libs libvirtq-host)
 *     ./a.out /tmp/noise.sock &
 *     qemu-system-x86_64 -m 256M -object memory-backend-memfd,id=m,size=256M,share=on \
 *         -machine q35,memory-backend=m -chardev socket,id=c,path=/tmp/noise.sock \
 *         -device vhost-user-rng-pci,chardev=c ...
 *
 * Buffers are served by the thread that reads the front-end's messages. */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/random.h>
#include <virtq/virtq.h>

#include "serve.h"

/* A driver may always have another buffer, and a very long one: so many at a time, and so many
 * bytes of each. */
enum { RING_SIZE = 256, BURST = 32, BYTES = 65536 };

struct source {
    struct virtq_vhost_user_server *server;
    bool awake; /* There may be buffers. */
};

/* One buffer: how many bytes of it were written. */
static uint32_t fill(const struct virtq_chain *chain)
{
    struct virtq_cursor writer = virtq_chain_writer(chain);
    void *base;
    size_t span;

    while (virtq_cursor_moved(&writer) < BYTES && (span = virtq_cursor_span(&writer, &base)) > 0) {
        const size_t left = BYTES - (size_t)virtq_cursor_moved(&writer);
        const ssize_t got = getrandom(base, span < left ? span : left, 0);

        if (got < 0 && errno != EINTR) {
            break;
        }
        (void)virtq_cursor_skip(&writer, got > 0 ? (uint64_t)got : 0);
    }
    return (uint32_t)virtq_cursor_moved(&writer);
}

/* A burst of buffers; afterwards the source is awake if there may be more. */
static void serve_burst(struct source *source)
{
    struct virtq_vhost_user_backend *backend = virtq_vhost_user_server_backend(source->server);
    struct virtq_device *device =
        backend != NULL ? virtq_vhost_user_vring_device(backend, 0) : NULL;
    struct virtq_piece pieces[RING_SIZE];
    struct virtq_chain chain;
    int got = 1;

    source->awake = false;
    if (device == NULL || !virtq_vhost_user_vring_enabled(backend, 0)) {
        return;
    }
    virtq_vhost_user_vring_enter(backend, 0);
    virtq_device_disable_notify(device);
    for (unsigned i = 0; i < BURST && got == 1; i++) {
        got = virtq_device_pop(device, &chain, 1, pieces, RING_SIZE);
        if (got == 1) {
            const struct virtq_used_buffer used = {chain.id, fill(&chain)};

            if (virtq_device_push(device, &used, 1) != 1 || virtq_device_publish(device) < 0) {
                got = VIRTQ_EBROKEN;
            } else {
                (void)virtq_vhost_user_vring_notify(backend, 0);
            }
        }
    }
    if (got == VIRTQ_EBROKEN) {
        virtq_vhost_user_vring_error(backend, 0);
    }
    source->awake = got == 1 || (got == 0 && virtq_device_enable_notify(device));
    virtq_vhost_user_vring_leave(backend, 0);
}

static void serve(void *opaque, uint32_t index)
{
    (void)index;
    ((struct source *)opaque)->awake = true;
}

/* Until a signal asks to end: 0, or what went wrong. */
static int run(struct source *source, int signals)
{
    struct pollfd ready[] = {{signals, POLLIN, 0},
                             {virtq_vhost_user_server_fd(source->server), POLLIN, 0}};
    int result = 0;

    while (result == 0) {
        (void)poll(ready, 2, source->awake ? 0 : -1);
        if (ready[0].revents != 0) {
            break;
        }
        if (ready[1].revents != 0) {
            result = virtq_vhost_user_server_process(source->server);
        }
        if (source->awake) {
            serve_burst(source);
        }
    }
    return result;
}

static const char usage[] = "usage: vhost-user-rng [OPTION...] SOCKET\n"
                            "Serves noise to a virtual machine that connects to SOCKET.\n"
                            "  --no-packed, --no-event-idx, --no-indirect, --no-notification-data\n"
                            "                      do not offer that feature\n"
                            "  --help              this text\n"
                            "Ends in order on SIGINT and SIGTERM. Exit codes: 0 ended; 1 an error; "
                            "2 wrong usage.\n";

/* What is to be offered. */
static uint64_t options(int argc, char **argv)
{
    static const struct option names[] = {
        {"no-packed", no_argument, NULL, VIRTIO_F_RING_PACKED},
        {"no-event-idx", no_argument, NULL, VIRTIO_F_EVENT_IDX},
        {"no-indirect", no_argument, NULL, VIRTIO_F_INDIRECT_DESC},
        {"no-notification-data", no_argument, NULL, VIRTIO_F_NOTIFICATION_DATA},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0}};
    uint64_t offered = VIRTQ_FEATURE(VIRTIO_F_VERSION_1);
    bool help = argc == 1;
    bool good = true;
    int name;

    for (unsigned i = 0; i < 4; i++) {
        offered |= VIRTQ_FEATURE(names[i].val);
    }
    while ((name = getopt_long(argc, argv, "", names, NULL)) != -1) {
        if (name == 'h') {
            help = true;
        } else if (name == '?') {
            good = false;
        } else {
            offered &= ~VIRTQ_FEATURE(name);
        }
    }
    if (help || !good || argc - optind != 1) {
        fputs(usage, help ? stdout : stderr);
        exit(help ? EXIT_SUCCESS : 2);
    }
    return offered;
}

int main(int argc, char **argv)
{
    static const struct virtq_vhost_user_ops ops = {
        .size = sizeof(ops), .serve = serve, .refused = serve_refused};
    struct virtq_vhost_user_backend_config config = VIRTQ_VHOST_USER_BACKEND_CONFIG_INIT;
    struct source source = {NULL, false};
    int result = -1;

    config.features = options(argc, argv);
    config.queue_count = 1;
    config.queue_size = RING_SIZE;
    config.ops = &ops;
    config.opaque = &source;
    source.server = serve_open(argv[optind], &config);
    if (source.server != NULL) {
        result = run(&source, serve_signals());
        serve_close(source.server);
    }
    return result == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
