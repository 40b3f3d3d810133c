/* SPDX-License-Identifier: BSD-3-Clause */
/* The device end, library tier, direct space with a table of regions, as a VMM has it: takes texts
 * out of guest memory and answers them in capitals. The guest is played by peer_driver.h, in this
 * same program. docs/tutorial-device.md goes through it.
 *
 *     cc device.c $(pkg-config --cflags --libs libvirtq)
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <virtq/virtq.h>

#include "peer_driver.h"
#include "support.h"

#define BURST 8
#define PIECES (BURST * 4)
#define TEXT_MAX 64

struct queue {
    struct virtq_direct direct;
    struct virtq_region regions[1];
    struct virtq_device *device;
    void *private_memory;
    unsigned bad_buffers;
};

static void open_space(struct queue *queue, const struct peer_driver *guest)
{
    /* [space] */
    queue->regions[0] = (struct virtq_region){
        .first = GUEST_BASE,
        .last = GUEST_BASE + GUEST_SIZE - 1, /* inclusive */
        .base = guest->memory,
        .permissions = VIRTQ_PERMISSION_READ | VIRTQ_PERMISSION_WRITE,
    };
    check(virtq_direct_init_regions(&queue->direct, queue->regions, 1) == VIRTQ_OK, "the regions");
    /* [space] */
}

/* `addresses` came in through the transport's registers, and so did format, size and features. */
static void open_queue(struct queue *queue, const struct virtq_driver_config *registers,
                       const struct virtq_area_addresses *addresses)
{
    /* [init] */
    struct virtq_device_config config = VIRTQ_DEVICE_CONFIG_INIT;
    struct virtq_miss miss;
    size_t size;
    int error;

    config.format = registers->format;
    config.size = registers->size;
    config.features = registers->features;
    config.flags = VIRTQ_DEVICE_RING_TRANSLATED; /* the ring lies in guest memory too */
    config.addresses = *addresses;
    config.space = &queue->direct.space;
    size = virtq_device_size(&config);
    queue->private_memory = memory(size, VIRTQ_CACHE_LINE);
    error = virtq_device_init(queue->private_memory, size, &config, &queue->device, &miss);
    check(error == VIRTQ_OK, virtq_error_name(error));
    /* [init] */
}

/* [answer] */
/* Returns how many bytes it wrote. */
static uint32_t answer(struct queue *queue, const struct virtq_chain *chain)
{
    struct virtq_cursor reader = virtq_chain_reader(chain);
    struct virtq_cursor writer = virtq_chain_writer(chain);
    char text[TEXT_MAX];
    size_t len;

    if (chain->reason != VIRTQ_REASON_NONE) {
        printf("bad buffer: %s\n", virtq_reason_name(chain->reason));
        queue->bad_buffers++;
        return 0;
    }
    len = virtq_cursor_read(&reader, text, sizeof(text)); /* copy first, then look at the copy */
    for (size_t i = 0; i < len; i++) {
        text[i] = (char)(text[i] >= 'a' && text[i] <= 'z' ? text[i] - 'a' + 'A' : text[i]);
    }
    virtq_cursor_write(&writer, text, len);
    return (uint32_t)virtq_cursor_moved(&writer);
}
/* [answer] */

/* Takes what is there, answers it, gives it back. */
static int serve(struct queue *queue, struct peer_driver *guest)
{
    struct virtq_device *device = queue->device;
    /* [serve] */
    struct virtq_chain chains[BURST];
    struct virtq_piece pieces[PIECES];
    struct virtq_used_buffer used[BURST];
    int count = virtq_device_pop(device, chains, BURST, pieces, PIECES);

    for (int i = 0; i < count; i++) {
        used[i].id = chains[i].id;
        used[i].len = answer(queue, &chains[i]);
    }
    if (count > 0 && virtq_device_push(device, used, (unsigned)count) == count) {
        virtq_device_publish(device);
        guest->interrupted |= virtq_device_needs_notify(device) == 1;
    }
    /* [serve] */
    return count;
}

/* [loop] */
/* Runs until the guest has nothing more to say. Returns 0, or why the queue cannot go on. */
static int run(struct queue *queue, struct peer_driver *guest)
{
    int count = 0;

    while (count >= 0 && peer_driver_wait(guest)) {
        virtq_device_disable_notify(queue->device);
        do {
            do {
                count = serve(queue, guest);
            } while (count > 0);
        } while (count == 0 && virtq_device_enable_notify(queue->device));
    }
    return count;
}
/* [loop] */

static void texts(struct queue *queue, struct peer_driver *guest)
{
    struct guest_text *text;

    for (unsigned i = 0; i < GUEST_TEXTS; i++) {
        peer_driver_send(guest, i, "hello, device");
    }
    check(run(queue, guest) == 0, "run");
    check(guest->interrupted, "the guest was told");
    for (unsigned i = 0; i < GUEST_TEXTS; i++) {
        check(peer_driver_receive(guest, &text) == GUEST_TEXT, "the length");
        check(strcmp(text->answer, "HELLO, DEVICE") == 0, "the answer");
    }
    puts(text->answer);
}

/* A bad buffer costs that buffer. */
static void stray(struct queue *queue, struct peer_driver *guest)
{
    peer_driver_send_stray(guest);
    peer_driver_send(guest, 0, "still here?");
    check(run(queue, guest) == 0, "a bad buffer does not stop the queue");
    check(queue->bad_buffers == 1, "it is reported");
    check(peer_driver_receive(guest, NULL) == 0, "and goes back with length 0");
    check(peer_driver_receive(guest, NULL) == GUEST_TEXT, "the one behind it is answered");
}

/* A pop too many is put back: the same buffer comes again. */
static void unpop(struct queue *queue, struct peer_driver *guest)
{
    struct virtq_device *device = queue->device;

    peer_driver_send(guest, 0, "later");
    /* [unpop] */
    struct virtq_chain chain;
    struct virtq_piece pieces[4];

    if (virtq_device_pop(device, &chain, 1, pieces, 4) == 1) {
        check(virtq_device_unpop(device, &chain, 1) == VIRTQ_OK, "no room for it yet");
    }
    /* [unpop] */
    check(run(queue, guest) == 0 && peer_driver_receive(guest, NULL) == GUEST_TEXT,
          "it came again");
}

/* A broken queue stays broken until the driver resets it. */
static void broken(struct queue *queue, struct peer_driver *guest)
{
    struct virtq_device *device = queue->device;

    peer_driver_misbehave(guest);
    /* [broken] */
    int count = serve(queue, guest);

    if (count == VIRTQ_EBROKEN) {
        struct virtq_fault fault;

        virtq_device_fault(device, &fault);
        printf("broken: %s (at %u, value %llu)\n", virtq_reason_name(fault.reason), fault.position,
               (unsigned long long)fault.value);
        /* Set DEVICE_NEEDS_RESET, send a configuration change notification, and wait. */
    }
    /* [broken] */
    check(count == VIRTQ_EBROKEN, "a driver that breaks the rules is found out");
    check(serve(queue, guest) == VIRTQ_EBROKEN, "and stays found out");
    /* [reset] */
    virtq_device_reset(device);
    virtq_device_quiesce(device); /* nothing of the ring is touched until it is enabled anew */
    /* [reset] */
    peer_driver_reset(guest);
    /* [enable] */
    virtq_device_resume(device);
    if (virtq_device_enable_notify(device)) {
        (void)serve(queue, guest);
    }
    /* [enable] */
}

/* Stops the queue, and says where it stands: for SUSPEND, migration, a new back-end. */
static void stop(struct queue *queue)
{
    struct virtq_device *device = queue->device;
    /* [stop] */
    struct virtq_state state;

    /* What is popped and not pushed has to be finished, pushed and published first. */
    check(virtq_device_quiesce(device) == 0, "drained");
    check(virtq_device_save(device, &state) == VIRTQ_OK, "save");
    printf("vring base: 0x%08x\n", virtq_state_to_base(&state));
    /* [stop] */
    /* [restore] */
    check(virtq_device_restore(device, &state) == VIRTQ_OK, "restore");
    /* [restore] */
}

int main(void)
{
    for (int format = VIRTQ_FORMAT_SPLIT; format <= VIRTQ_FORMAT_PACKED; format++) {
        struct queue queue = {.bad_buffers = 0};
        struct peer_driver guest;
        struct virtq_area_addresses addresses;

        puts(format == VIRTQ_FORMAT_SPLIT ? "split" : "packed");
        peer_driver_open(&guest, (enum virtq_format)format);
        virtq_driver_addresses(guest.driver, &addresses);
        open_space(&queue, &guest);
        open_queue(&queue, &guest.config, &addresses);
        unpop(&queue, &guest);
        stray(&queue, &guest);
        broken(&queue, &guest);
        texts(&queue, &guest);
        stop(&queue);
        texts(&queue, &guest);
        free(queue.private_memory);
        peer_driver_close(&guest);
    }
    return 0;
}
