/* SPDX-License-Identifier: BSD-3-Clause */
/* A Linux guest with two network cards, which something outside connects: packets of every length
 * go out at one and have to come in at the other, in order and byte by byte, both ways at once.
 *
 *     guest packets=COUNT */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SMALLEST = 60, LARGEST = 1514, WINDOW = 32, TYPE = 0x88b5, PATIENCE = 60000 };

struct card {
    int socket;
    unsigned char mac[6];
    unsigned sent, received;
};

static unsigned size_of(unsigned number)
{
    return SMALLEST + number * 7 % (LARGEST - SMALLEST + 1);
}

static void fill(unsigned char *packet, const struct card *from, const struct card *to,
                 unsigned number)
{
    unsigned word = number * 2654435761u + from->mac[5];

    memcpy(packet, to->mac, 6);
    memcpy(packet + 6, from->mac, 6);
    packet[12] = TYPE >> 8;
    packet[13] = TYPE & 0xff;
    for (unsigned i = 14; i < size_of(number); i++) {
        word = word * 1664525u + 1013904223u;
        packet[i] = (unsigned char)(word >> 24);
    }
}

static int open_card(struct card *card, const char *name)
{
    struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = htons(TYPE)};
    struct ifreq request;

    memset(card, 0, sizeof(*card));
    memset(&request, 0, sizeof(request));
    (void)snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
    card->socket = socket(AF_PACKET, SOCK_RAW, htons(TYPE));
    if (card->socket < 0 || ioctl(card->socket, SIOCGIFHWADDR, &request) != 0) {
        return -1;
    }
    memcpy(card->mac, request.ifr_hwaddr.sa_data, 6);
    if (ioctl(card->socket, SIOCGIFFLAGS, &request) != 0) {
        return -1;
    }
    request.ifr_flags |= IFF_UP;
    if (ioctl(card->socket, SIOCSIFFLAGS, &request) != 0 ||
        ioctl(card->socket, SIOCGIFINDEX, &request) != 0) {
        return -1;
    }
    address.sll_ifindex = request.ifr_ifindex;
    return bind(card->socket, (struct sockaddr *)&address, sizeof(address));
}

/* Sends what the other card has room for. */
static int send_some(struct card *from, const struct card *to, unsigned count)
{
    unsigned char packet[LARGEST];

    while (from->sent < count && from->sent - to->received < WINDOW) {
        fill(packet, from, to, from->sent);
        if (send(from->socket, packet, size_of(from->sent), 0) < 0) {
            return errno == ENOBUFS ? 0 : -1;
        }
        from->sent++;
    }
    return 0;
}

/* Takes the next packet, and compares it with what was sent. */
static int receive_one(struct card *to, const struct card *from)
{
    struct sockaddr_ll address;
    socklen_t size = sizeof(address);
    unsigned char packet[LARGEST + 1];
    unsigned char expected[LARGEST];
    ssize_t got =
        recvfrom(to->socket, packet, sizeof(packet), 0, (struct sockaddr *)&address, &size);

    if (got >= 0 && address.sll_pkttype == PACKET_OUTGOING) {
        return 0;
    }
    fill(expected, from, to, to->received);
    if (got != (ssize_t)size_of(to->received) || memcmp(packet, expected, (size_t)got) != 0) {
        printf("guest: packet %u is not what was sent: %zd bytes\n", to->received, got);
        return -1;
    }
    to->received++;
    return 0;
}

int main(int argc, char **argv)
{
    const unsigned count = argc == 2 && strncmp(argv[1], "packets=", 8) == 0
                               ? (unsigned)strtoul(argv[1] + 8, NULL, 10)
                               : 1000;
    struct card cards[2];

    if (open_card(&cards[0], "eth0") != 0 || open_card(&cards[1], "eth1") != 0) {
        perror("guest: a card");
        return 1;
    }
    while (cards[0].received < count || cards[1].received < count) {
        struct pollfd ready[2] = {{cards[0].socket, POLLIN, 0}, {cards[1].socket, POLLIN, 0}};

        if (send_some(&cards[0], &cards[1], count) != 0 ||
            send_some(&cards[1], &cards[0], count) != 0 || poll(ready, 2, PATIENCE) <= 0) {
            printf("guest: %u and %u of %u packets came\n", cards[0].received, cards[1].received,
                   count);
            return 1;
        }
        for (unsigned i = 0; i < 2; i++) {
            if (ready[i].revents != 0 && receive_one(&cards[i], &cards[!i]) != 0) {
                return 1;
            }
        }
    }
    printf("guest: %u packets each way\n", count);
    return 0;
}
