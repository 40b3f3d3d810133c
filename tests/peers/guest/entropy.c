/* SPDX-License-Identifier: BSD-3-Clause */
#include "entropy.h"

#include <string.h>

#include "console.h"
#include "platform.h"

#define BYTES_MAX 4096u

static uint8_t *answers[2]; /* BYTES_MAX, and what lies behind */

static void ask(struct queue *queue, uint8_t *answer, uint32_t bytes)
{
    struct virtq_segment segments[2] = {{.base = answer, .len = (bytes + 1) / 2},
                                        {.base = answer + (bytes + 1) / 2, .len = bytes / 2}};
    struct virtq_buffer buffer = {
        .segments = segments, .cookie = answer, .writable = (uint16_t)(bytes > 1 ? 2 : 1)};
    struct virtq_completion done;
    uint32_t seen = platform_interrupts();

    memset(answer, 0, BYTES_MAX + 16);
    check(queue_add(queue, &buffer), "room");
    if (queue->sleeps) { /* asked for beforehand, an interrupt has to come */
        check(!virtq_driver_enable_notify(queue->driver), "nothing has come yet");
    }
    queue_kick(queue);
    if (queue->sleeps) {
        platform_sleep(seen);
    }
    check(queue_wait(queue, &done, 1) == 1 && done.cookie == answer, "the buffer comes back");
    if (done.len != bytes) {
        fail_at("how many bytes came", bytes, done.len);
    }
    for (uint32_t i = 0; i < 16; i++) {
        check(answer[bytes + i] == 0, "nothing is written behind the buffer");
    }
}

/* Among 4096 bytes of noise each value comes about sixteen times: of all 256, more than 200 come.
 */
static unsigned values(const uint8_t *answer)
{
    bool seen[256] = {false};
    unsigned count = 0;

    for (unsigned i = 0; i < BYTES_MAX; i++) {
        count += seen[answer[i]] ? 0 : 1;
        seen[answer[i]] = true;
    }
    return count;
}

static void traffic(struct queue *queue, const char *how)
{
    static const uint16_t lengths[] = {1, 2, 7, 64, 257, 1024, BYTES_MAX};
    uint32_t seen = platform_interrupts();
    uint32_t bytes = 0;

    for (unsigned i = 0; i < 35; i++) {
        ask(queue, answers[i % 2], lengths[i % 7]);
        bytes += lengths[i % 7];
    }
    ask(queue, answers[0], BYTES_MAX);
    ask(queue, answers[1], BYTES_MAX);
    check(values(answers[0]) > 200 && values(answers[1]) > 200, "the bytes are noise");
    check(memcmp(answers[0], answers[1], BYTES_MAX) != 0, "no two answers are alike");
    console_text("rng:");
    console_text(how);
    queue_describe(queue);
    console_pair("bytes", bytes + 2 * BYTES_MAX);
    console_pair("interrupts", platform_interrupts() - seen);
    console_text("\n");
}

void entropy_run(struct transport *transport, struct virtq_space *space)
{
    struct memory_mark mark = memory_marked();
    struct queue queue;

    for (unsigned i = 0; i < 2; i++) {
        answers[i] = memory_shared(BYTES_MAX + 16, 64);
    }
    transport_open(transport, QUEUE_FEATURES);
    queue_open(&queue, transport, 0, space);
    transport_start(transport);
    traffic(&queue, " polled");
    if (platform_open_interrupt(transport->slot)) {
        queue.sleeps = true;
        traffic(&queue, " by interrupt");
    }
    transport_stop(transport);
    queue_close(&queue);
    memory_release(mark);
}
