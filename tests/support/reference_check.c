/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The self-test of the reference ring, a plain program: reference against reference, the bytes it
 * puts into memory against bytes written down by hand, and each rule against a peer that breaks it.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reference_check.h"

#define DEVICE_BASE UINT64_C(0x123450000000)

static unsigned long checks;
static unsigned long failures;
static _Thread_local char place[160];

void reference_check_at(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(place, sizeof(place), format, arguments);
    va_end(arguments);
}

void reference_check(bool condition, const char *what)
{
    __atomic_fetch_add(&checks, 1, __ATOMIC_SEQ_CST);
    if (!condition && __atomic_fetch_add(&failures, 1, __ATOMIC_SEQ_CST) < 20) {
        fprintf(stderr, "failed: %s (%s)\n", what, place);
    }
}

static void *at(void *ctx, uint64_t address, uint32_t length)
{
    struct reference_check_queue *queue = ctx;

    if (address < DEVICE_BASE || length > queue->length ||
        address - DEVICE_BASE > queue->length - length) {
        return NULL;
    }
    return queue->memory + (address - DEVICE_BASE);
}

static uint64_t address_of(void *ctx, const void *pointer)
{
    struct reference_check_queue *queue = ctx;
    const unsigned char *byte = pointer;

    return DEVICE_BASE + (uint64_t)(byte - queue->memory);
}

struct reference_segment reference_check_segment(const struct reference_check_queue *queue,
                                                 const void *bytes, uint32_t length)
{
    const struct reference_memory *memory = &queue->config.memory;

    return (struct reference_segment){memory->address_of(memory->ctx, bytes), length, false};
}

void reference_check_open(struct reference_check_queue *queue,
                          const struct reference_config *wanted, uint64_t data)
{
    struct reference_layout layout = wanted->format == REFERENCE_SPLIT
                                         ? reference_split_layout(wanted->size)
                                         : reference_packed_layout(wanted->size);
    /* Tables need no alignment ("anywhere in memory"), so they get none. */
    uint64_t tables = layout.total + 1;
    uint64_t tables_end = tables + UINT64_C(16) * 8 * wanted->size;

    queue->length = (tables_end + data + 4095) / 4096 * 4096;
    queue->memory = aligned_alloc(4096, queue->length);
    if (!queue->memory) {
        abort();
    }
    memset(queue->memory, 0xa5, queue->length);
    queue->data = queue->memory + tables_end;
    queue->config = *wanted;
    queue->config.descriptor_area = queue->memory + layout.descriptor.offset;
    queue->config.driver_area = queue->memory + layout.driver.offset;
    queue->config.device_area = queue->memory + layout.device.offset;
    queue->config.tables = queue->memory + tables;
    queue->config.table_entries = 8;
    queue->config.memory = (struct reference_memory){at, address_of, queue};
}

void reference_check_close(struct reference_check_queue *queue)
{
    free(queue->memory);
    queue->memory = NULL;
}

uint32_t reference_check_random(uint32_t *state, uint32_t below)
{
    *state = *state * 1664525U + 1013904223U;
    return (*state >> 8) % below;
}

unsigned char reference_check_byte(uint32_t seed, uint32_t index)
{
    uint32_t mixed = (seed ^ index * 0x9e3779b1U) * 0x85ebca6bU;

    return (unsigned char)(mixed >> 24);
}

int main(void)
{
    reference_check_events();
    reference_check_wire();
    reference_check_device_rules();
    reference_check_driver_rules();
    reference_check_traffic();
    /* Two threads that wait for each other in vain take a minute to say so. */
    if (failures == 0) {
        reference_check_threads();
    }
    printf("reference: %lu checks, %lu failed\n", checks, failures);
    return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
