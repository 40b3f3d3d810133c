/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of the self-test of the reference ring share. */
#ifndef TESTS_SUPPORT_REFERENCE_CHECK_H
#define TESTS_SUPPORT_REFERENCE_CHECK_H

#include "reference.h"

/* Counts; a failure is printed with the place set last by reference_check_at(). */
void reference_check(bool condition, const char *what);
/* Names the case that this thread runs now. */
void reference_check_at(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* One block of memory with the rings, the tables and the data; its device addresses are its offsets
 * from a base that is no pointer. */
struct reference_check_queue {
    unsigned char *memory;
    uint64_t length;
    unsigned char *data;
    struct reference_config config;
};

/* Fills in areas, memory, tables (of 8 entries) and room for `data` bytes; the rest of the
 * configuration is the caller's. */
void reference_check_open(struct reference_check_queue *queue,
                          const struct reference_config *wanted, uint64_t data);
void reference_check_close(struct reference_check_queue *queue);
struct reference_segment reference_check_segment(const struct reference_check_queue *queue,
                                                 const void *bytes, uint32_t length);

/* The two ends as programs that do a few random things at each step. */
struct reference_check_driver;
struct reference_check_device;
enum reference_check_state { REFERENCE_CHECK_BUSY, REFERENCE_CHECK_ASLEEP, REFERENCE_CHECK_DONE };

/* Bytes of data that a queue of `size` needs for these programs. */
uint64_t reference_check_data_length(uint32_t size);
struct reference_check_driver *reference_check_driver_new(struct reference_check_queue *queue,
                                                          bool indirect, uint32_t buffers,
                                                          uint32_t seed);
void reference_check_driver_free(struct reference_check_driver *end);
enum reference_check_state reference_check_driver_step(struct reference_check_driver *end,
                                                       bool *notify);
struct reference_check_device *reference_check_device_new(struct reference_check_queue *queue,
                                                          uint32_t seed);
void reference_check_device_free(struct reference_check_device *end);
enum reference_check_state reference_check_device_step(struct reference_check_device *end,
                                                       bool *notify);

/* A small generator; the same everywhere. */
uint32_t reference_check_random(uint32_t *state, uint32_t below);
unsigned char reference_check_byte(uint32_t seed, uint32_t index);

void reference_check_events(void);
void reference_check_wire(void);
void reference_check_device_rules(void);
void reference_check_driver_rules(void);
void reference_check_traffic(void);
void reference_check_threads(void);

#endif
