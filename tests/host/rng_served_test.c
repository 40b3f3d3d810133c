/* SPDX-License-Identifier: BSD-3-Clause */
/* examples/vhost-user-rng, run as a program of its own: a driver that always has another buffer
 * does not keep it from its end. */
#define main example_main
int example_main(int argc, char **argv);
#undef _GNU_SOURCE
#include "../../examples/vhost-user-rng.c"
#undef main

#include <endian.h>
#include <time.h>

#include "served.h"

enum { BUFFER = 1 << 16, SECONDS = 20 };

/* All buffers are the same one. */
static void describe(const struct served *served)
{
    const virtq_addr_t at =
        served->space->share.address + (virtq_addr_t)((unsigned char *)served->space->buffers -
                                                      (unsigned char *)served->space->share.base);
    struct virtq_desc *desc = (struct virtq_desc *)served->space->rings;

    for (uint16_t i = 0; i < SERVED_SIZE; i++) {
        desc[i].addr = htole64(at);
        desc[i].len = htole32(BUFFER);
        desc[i].flags = htole16(VIRTQ_DESC_F_WRITE);
        served_available(served)[1 + i] = htole16(i);
    }
}

/* Whatever was used is available again. */
static uint16_t refill(const struct served *served)
{
    const uint16_t used = le16toh(__atomic_load_n(served_used(served), __ATOMIC_ACQUIRE));

    __atomic_store_n(served_available(served), htole16((uint16_t)(used + SERVED_SIZE)),
                     __ATOMIC_RELEASE);
    return used;
}

Test(host_rng_served, a_driver_that_always_has_a_buffer_does_not_keep_it_from_its_end)
{
    const time_t begun = time(NULL);
    struct served served;
    bool asked = false;
    int status = 0;

    served_open(&served, 1, 0, BUFFER);
    describe(&served);
    (void)refill(&served);
    virtq_vhost_user_frontend_kick(served.frontend, 0);
    while (waitpid(served.child, &status, WNOHANG) == 0) {
        if (refill(&served) != 0 && !asked) {
            asked = true;
            cr_assert_eq(kill(served.child, SIGTERM), 0);
        }
        cr_assert(time(NULL) - begun < SECONDS, "it does not end");
    }
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    served_close(&served);
}

Test(host_rng_served, each_buffer_is_filled_and_a_kick_wakes_it)
{
    struct virtq_segment segment = {0};
    struct virtq_buffer buffer = {.segments = &segment, .writable = 1};
    struct virtq_completion done = {NULL, 0, 0};
    struct served served;
    int status = 0;

    served_open(&served, 1, 0, BUFFER + 4096);
    for (unsigned round = 0; round < 100; round++) {
        /* The longest are not filled to the end. */
        segment.base = served.space->buffers;
        segment.len = round % 2 == 0 ? 64 : BUFFER + 4096;
        buffer.cookie = &segment;
        cr_assert_eq(virtq_driver_add(virtq_vhost_user_queue_driver(served.queue), &buffer, 1), 1);
        cr_assert_eq(virtq_vhost_user_queue_publish(served.queue), 1u);
        cr_assert_eq(virtq_vhost_user_queue_take(served.queue, &done, 1, SERVED_PATIENCE), 1);
        cr_assert_eq(done.len, round % 2 == 0 ? 64u : (uint32_t)BUFFER);
    }
    cr_assert_eq(virtq_vhost_user_queue_stop(served.queue), 0);
    served_close(&served);
    cr_assert_eq(kill(served.child, SIGTERM), 0);
    cr_assert_eq(waitpid(served.child, &status, 0), served.child);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}
