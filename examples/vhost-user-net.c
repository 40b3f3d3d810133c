/* SPDX-License-Identifier: BSD-3-Clause */
/* A cable with a brain: a learning switch between two virtual machines, or whoever drives a
 * network card behind vhost-user.
 *
 *     cc vhost-user-net.c $(pkg-config --cflags --libs libvirtq-host)
 *     ./a.out /tmp/a.sock /tmp/b.sock &
 *     qemu-system-x86_64 -m 256M -object memory-backend-memfd,id=m,size=256M,share=on \
 *         -machine q35,memory-backend=m -chardev socket,id=c,path=/tmp/a.sock \
 *         -netdev vhost-user,id=n,chardev=c -device virtio-net-pci,netdev=n ...
 *
 * Nothing is lost between two that are there: a packet that finds no buffer at the other port stays
 * in its sender's ring, whose driver then waits. */
#define _GNU_SOURCE
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <virtq/virtq.h>

#include "serve.h"

enum { PORTS = 2, RX = 0, TX = 1, RINGS = 2, RING_SIZE = 1024 };
enum { BURST = 32, SEGMENTS = 64, PIECES = BURST * SEGMENTS, MACS = 4096, MAC = 6 };

/* What comes before each packet: [virtio 1.4, Network Device, Device Operation]. A driver of before
 * 1.0 leaves the last two bytes out. */
enum { HEADER = 12, HEADER_LEGACY = 10, HEADER_BUFFERS = 10 };

struct port {
    struct virtq_vhost_user_server *server;
    bool awake;    /* There may be packets to take from here. */
    size_t header; /* Bytes before each packet. */
    uint64_t sent, dropped;
    struct virtq_chain chains[RINGS][BURST];
    struct virtq_piece pieces[RINGS][PIECES];
};

/* Behind which port an address is; whoever spoke last has the place. */
struct station {
    unsigned char mac[MAC];
    unsigned char port;
};

static struct port ports[PORTS];
static struct station stations[MACS];

static struct station *station_of(const unsigned char *mac)
{
    uint32_t hash = 2166136261u;

    for (unsigned i = 0; i < MAC; i++) {
        hash = (hash ^ mac[i]) * 16777619u;
    }
    return &stations[hash % MACS];
}

/* Learns where a packet comes from, and whether it has to go to the other port: not if its
 * receiver is where its sender is, and not if it has no addresses. */
static bool must_go(const struct port *from, const struct virtq_chain *chain)
{
    struct virtq_cursor reader = virtq_chain_reader(chain);
    const unsigned char port = (unsigned char)(from - ports);
    unsigned char macs[2 * MAC]; /* A copy: the driver may change them while they are looked at. */
    struct station *station;

    (void)virtq_cursor_skip(&reader, from->header);
    if (virtq_cursor_read_exact(&reader, macs, sizeof(macs)) != 0) {
        return false;
    }
    if ((macs[MAC] & 1) == 0) {
        station = station_of(macs + MAC);
        memcpy(station->mac, macs + MAC, MAC);
        station->port = port;
    }
    station = station_of(macs);
    return (macs[0] & 1) != 0 || station->port != port || memcmp(station->mac, macs, MAC) != 0;
}

/* Copies a packet: how many bytes were written, 0 if the buffer is too small. */
static uint32_t copy(const struct port *from, const struct virtq_chain *packet,
                     const struct port *to, const struct virtq_chain *buffer)
{
    struct virtq_cursor reader = virtq_chain_reader(packet);
    struct virtq_cursor writer = virtq_chain_writer(buffer);
    unsigned char header[HEADER] = {0};

    header[HEADER_BUFFERS] = 1;
    (void)virtq_cursor_skip(&reader, from->header);
    if (virtq_cursor_left(&writer) < to->header + virtq_cursor_left(&reader)) {
        return 0;
    }
    (void)virtq_cursor_write(&writer, header, to->header);
    while (virtq_cursor_left(&reader) != 0) {
        void *base = NULL;
        const size_t span = virtq_cursor_span(&reader, &base);

        (void)virtq_cursor_write(&writer, base, span);
        (void)virtq_cursor_skip(&reader, span);
    }
    return (uint32_t)virtq_cursor_moved(&writer);
}

/* A ring that can be used now, and up to `count` buffers of it. */
static struct virtq_device *take(struct port *port, uint32_t ring, unsigned count, int *taken)
{
    struct virtq_vhost_user_backend *backend = virtq_vhost_user_server_backend(port->server);
    struct virtq_device *device =
        backend != NULL ? virtq_vhost_user_vring_device(backend, ring) : NULL;

    *taken = 0;
    if (device == NULL || !virtq_vhost_user_vring_enabled(backend, ring)) {
        return NULL;
    }
    virtq_vhost_user_vring_enter(backend, ring);
    virtq_device_disable_notify(device);
    if (count != 0) {
        *taken = virtq_device_pop(device, port->chains[ring], count, port->pieces[ring], PIECES);
    }
    if (*taken < 0) {
        /* Nothing comes of a broken ring, however often it is looked at. */
        *taken = 0;
        virtq_vhost_user_vring_error(backend, ring);
        virtq_vhost_user_vring_leave(backend, ring);
        return NULL;
    }
    return device;
}

/* Gives `used` of the buffers taken back to the driver, and the others back to the ring. With
 * `last` the driver is to notify of the next: true if it is there already. */
static bool give(struct port *port, uint32_t ring, int taken, const struct virtq_used_buffer *used,
                 int count, bool last)
{
    struct virtq_vhost_user_backend *backend = virtq_vhost_user_server_backend(port->server);
    struct virtq_device *device = virtq_vhost_user_vring_device(backend, ring);
    bool more;

    if (taken > count) {
        (void)!virtq_device_unpop(device, port->chains[ring] + count, (unsigned)(taken - count));
    }
    if (count > 0 && virtq_device_push(device, used, (unsigned)count) == count &&
        virtq_device_publish(device) >= 0) {
        (void)virtq_vhost_user_vring_notify(backend, ring);
    }
    more = last && virtq_device_enable_notify(device);
    virtq_vhost_user_vring_leave(backend, ring);
    return more;
}

/* Moves a burst of packets. Afterwards `from` is awake if there may be more at once; else it is
 * woken by a packet, or by a buffer where one was missing. */
static void forward(struct port *from, struct port *to)
{
    struct virtq_used_buffer sent[BURST];
    struct virtq_used_buffer received[BURST];
    struct virtq_device *rx;
    int packets;
    int buffers;
    int done = 0;
    int filled = 0;
    bool more;

    from->awake = false;
    if (take(from, TX, BURST, &packets) == NULL) {
        return;
    }
    rx = take(to, RX, (unsigned)packets, &buffers);
    for (; done < packets; done++) {
        const struct virtq_chain *packet = &from->chains[TX][done];

        sent[done] = (struct virtq_used_buffer){packet->id, 0};
        if (rx == NULL || !must_go(from, packet)) {
            from->dropped++;
        } else if (filled == buffers) {
            break;
        } else {
            const struct virtq_chain *buffer = &to->chains[RX][filled];

            received[filled].id = buffer->id;
            received[filled].len = copy(from, packet, to, buffer);
            *(received[filled].len != 0 ? &from->sent : &from->dropped) += 1;
            filled++;
        }
    }
    more = give(from, TX, packets, sent, done, done == packets && packets < BURST);
    if (rx != NULL) {
        more |= give(to, RX, buffers, received, filled, done < packets);
    }
    from->awake = more || (done == packets && packets == BURST);
}

/* A kick at TX: packets. One at RX: buffers, which the other port may wait for. */
static void serve(void *opaque, uint32_t ring)
{
    struct port *port = opaque;

    (ring == TX ? port : &ports[port == ports])->awake = true;
}

static void features(void *opaque, uint64_t set)
{
    struct port *port = opaque;

    port->header = (set & VIRTQ_FEATURE(VIRTIO_F_VERSION_1)) != 0 ? HEADER : HEADER_LEGACY;
}

/* Listens for whoever is to be plugged in. */
static bool listen_at(struct port *port, const char *path)
{
    static const struct virtq_vhost_user_ops ops = {
        .size = sizeof(ops), .features = features, .serve = serve, .refused = serve_refused};
    struct virtq_vhost_user_backend_config config = VIRTQ_VHOST_USER_BACKEND_CONFIG_INIT;

    config.features = VIRTQ_FEATURE(VIRTIO_F_VERSION_1) | VIRTQ_FEATURE(VIRTIO_F_RING_PACKED) |
                      VIRTQ_FEATURE(VIRTIO_F_INDIRECT_DESC) | VIRTQ_FEATURE(VIRTIO_F_EVENT_IDX) |
                      VIRTQ_FEATURE(VIRTIO_F_IN_ORDER);
    config.queue_count = RINGS;
    config.queue_size = RING_SIZE;
    config.table_max = SEGMENTS;
    config.ops = &ops;
    config.opaque = port;
    port->header = HEADER_LEGACY;
    port->server = serve_open(path, &config);
    return port->server != NULL;
}

/* Looks at all descriptors, and waits for them only when there are no packets to move. */
static bool look(int signals)
{
    struct pollfd ready[PORTS + 1] = {{signals, POLLIN, 0}};

    for (unsigned i = 0; i < PORTS; i++) {
        ready[i + 1].fd = virtq_vhost_user_server_fd(ports[i].server);
        ready[i + 1].events = POLLIN;
    }
    (void)poll(ready, PORTS + 1, ports[0].awake || ports[1].awake ? 0 : -1);
    for (unsigned i = 0; i < PORTS; i++) {
        if (ready[i + 1].revents == 0) {
            continue;
        }
        if (virtq_vhost_user_server_process(ports[i].server) != 0) {
            return false;
        }
        if (virtq_vhost_user_server_backend(ports[i].server) == NULL) {
            ports[i].header = HEADER_LEGACY;
            ports[!i].awake = true; /* Packets that waited for a buffer here go. */
        }
    }
    return ready[0].revents == 0;
}

int main(int argc, char **argv)
{
    int signals;

    if (argc != 3) {
        printf("usage: vhost-user-net SOCKET SOCKET\n");
        return argc == 1 ? EXIT_SUCCESS : EXIT_FAILURE;
    }
    signals = serve_signals();
    for (unsigned i = 0; i < PORTS; i++) {
        if (!listen_at(&ports[i], argv[i + 1])) {
            return EXIT_FAILURE;
        }
    }
    while (look(signals)) {
        for (unsigned i = 0; i < PORTS; i++) {
            if (ports[i].awake) {
                forward(&ports[i], &ports[!i]);
            }
        }
    }
    for (unsigned i = 0; i < PORTS; i++) {
        serve_close(ports[i].server);
        printf("port %u: %llu packets sent on, %llu not\n", i, (unsigned long long)ports[i].sent,
               (unsigned long long)ports[i].dropped);
    }
    return EXIT_SUCCESS;
}
