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
#include <stdbool.h>
#include <sys/random.h>
#include <virtq/virtq.h>

#include "serve.h"

enum { RING_SIZE = 256 };

/* One buffer: how many bytes of it were written. */
static uint32_t fill(const struct virtq_chain *chain)
{
    struct virtq_cursor writer = virtq_chain_writer(chain);
    void *base;
    size_t span;

    while ((span = virtq_cursor_span(&writer, &base)) > 0) {
        const ssize_t got = getrandom(base, span, 0);

        if (got < 0 && errno != EINTR) {
            break;
        }
        (void)virtq_cursor_skip(&writer, got > 0 ? (uint64_t)got : 0);
    }
    return (uint32_t)virtq_cursor_moved(&writer);
}

static void serve(void *opaque, uint32_t index)
{
    struct virtq_vhost_user_server **server = opaque;
    struct virtq_vhost_user_backend *backend = virtq_vhost_user_server_backend(*server);
    struct virtq_device *device = virtq_vhost_user_vring_device(backend, index);
    struct virtq_piece pieces[RING_SIZE];
    struct virtq_chain chain;
    int got;

    virtq_vhost_user_vring_enter(backend, index);
    do {
        virtq_device_disable_notify(device);
        while ((got = virtq_device_pop(device, &chain, 1, pieces, RING_SIZE)) == 1) {
            const struct virtq_used_buffer used = {chain.id, fill(&chain)};

            if (virtq_device_push(device, &used, 1) != 1 || virtq_device_publish(device) < 0) {
                got = VIRTQ_EBROKEN;
                break;
            }
            (void)virtq_vhost_user_vring_notify(backend, index);
        }
        if (got == VIRTQ_EBROKEN) {
            virtq_vhost_user_vring_error(backend, index);
        }
    } while (got == 0 && virtq_device_enable_notify(device));
    virtq_vhost_user_vring_leave(backend, index);
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
    struct virtq_vhost_user_server *server;
    int result = -1;

    config.features = options(argc, argv);
    config.queue_count = 1;
    config.queue_size = RING_SIZE;
    config.ops = &ops;
    config.opaque = &server;
    server = serve_open(argv[optind], &config);
    if (server != NULL) {
        result = virtq_vhost_user_server_run(server, serve_signals());
        serve_close(server);
    }
    return result == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
