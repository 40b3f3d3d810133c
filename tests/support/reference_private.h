/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of the reference ring share among themselves; tests include reference.h. */
#ifndef TESTS_SUPPORT_REFERENCE_PRIVATE_H
#define TESTS_SUPPORT_REFERENCE_PRIVATE_H

#include "reference.h"

/* Descriptor flags, "The Virtqueue Descriptor Table" and "Driver and Device Ring Wrap Counters". */
enum {
    REFERENCE_NEXT = 1,
    REFERENCE_WRITE = 2,
    REFERENCE_INDIRECT = 4,
    REFERENCE_AVAIL = 1 << 7,
    REFERENCE_USED = 1 << 15
};

/* RING_EVENT_FLAGS_*, "Driver and Device Event Suppression". */
enum { REFERENCE_ENABLE = 0, REFERENCE_DISABLE = 1, REFERENCE_DESC = 2 };

/* "Drivers MUST NOT add a descriptor chain longer than 2^32 bytes in total". */
#define REFERENCE_CHAIN_BYTES (UINT64_C(1) << 32)

/* The one layout both formats have of a descriptor's first 12 bytes; `third` and `fourth` are the
 * two 16-bit words after it: flags and next (split), id and flags (packed). */
struct reference_descriptor {
    uint64_t address;
    uint32_t length;
    uint16_t third;
    uint16_t fourth;
};

uint16_t reference_get16(const unsigned char *bytes, bool big_endian);
uint32_t reference_get32(const unsigned char *bytes, bool big_endian);
uint64_t reference_get64(const unsigned char *bytes, bool big_endian);
void reference_put16(unsigned char *bytes, uint16_t value, bool big_endian);
void reference_put32(unsigned char *bytes, uint32_t value, bool big_endian);
void reference_put64(unsigned char *bytes, uint64_t value, bool big_endian);

/* Words by which the ends signal each other: one sequentially consistent access each. */
uint16_t reference_load16(const unsigned char *bytes, bool big_endian);
void reference_store16(unsigned char *bytes, uint16_t value, bool big_endian);

void reference_get_descriptor(const unsigned char *bytes, bool big_endian,
                              struct reference_descriptor *descriptor);
void reference_put_descriptor(unsigned char *bytes, bool big_endian,
                              const struct reference_descriptor *descriptor);

/* Ends the program when the caller of the reference broke its contract. */
void reference_require(bool condition, const char *what);
bool reference_config_valid(const struct reference_config *config);
uint32_t reference_longest_chain(const struct reference_config *config);
/* Keeps the first reason; gives -1, the answer of a broken end. */
int reference_violate(const char **violation, const char *why);

/* Split suppression: the peer's flags word and event word, and what was written since. */
bool reference_split_wanted(const struct reference_config *config, const unsigned char *flags,
                            const unsigned char *event, uint16_t old_index, uint16_t new_index,
                            uint32_t count, const char **violation);
bool reference_packed_wanted(const struct reference_config *config, const unsigned char *structure,
                             struct reference_position old, uint32_t count, const char **violation);
void reference_packed_arm(unsigned char *structure, uint16_t flags,
                          struct reference_position position);

/* NULL, or which rule the element breaks as the next one of the chain. */
const char *reference_chain_append(struct reference_chain *chain, uint64_t address, uint32_t length,
                                   bool writable, uint32_t longest);
void reference_chain_clear(struct reference_chain *chain);

/* Two tests of "Driver and Device Ring Wrap Counters". */
bool reference_packed_is_available(uint16_t flags, bool wrap);
bool reference_packed_is_used(uint16_t flags, bool wrap);

/* What the four combinations of end and format supply. */
bool reference_split_driver_init(struct reference_driver *driver);
void reference_split_driver_add(struct reference_driver *driver,
                                const struct reference_segment *segments, unsigned readable,
                                unsigned count, unsigned direct, uint16_t *id);
int reference_split_driver_find(struct reference_driver *driver, uint16_t *id, uint32_t *length,
                                uint32_t *batch);
void reference_split_driver_release(struct reference_driver *driver, uint16_t id);
bool reference_split_driver_should_notify(struct reference_driver *driver);
bool reference_split_driver_set_event(struct reference_driver *driver, unsigned n);
void reference_split_driver_disable(struct reference_driver *driver);

bool reference_packed_driver_init(struct reference_driver *driver);
void reference_packed_driver_add(struct reference_driver *driver,
                                 const struct reference_segment *segments, unsigned readable,
                                 unsigned count, unsigned direct, uint16_t *id);
int reference_packed_driver_find(struct reference_driver *driver, uint16_t *id, uint32_t *length,
                                 uint32_t *batch);
bool reference_packed_driver_should_notify(struct reference_driver *driver);
bool reference_packed_driver_set_event(struct reference_driver *driver, unsigned n);
void reference_packed_driver_disable(struct reference_driver *driver);

/* Gives the table for buffer `id`, `count` entries of 16 bytes. */
unsigned char *reference_driver_table(struct reference_driver *driver, uint16_t id, unsigned count);
/* The place of `id` among the outstanding buffers, counted from 1 at the oldest; 0 if it is none.
 */
uint32_t reference_driver_rank(const struct reference_driver *driver, uint32_t id);

bool reference_split_device_init(struct reference_device *device);
int reference_split_device_pop(struct reference_device *device, struct reference_chain *chain);
void reference_split_device_push(struct reference_device *device,
                                 const struct reference_chain *chains, const uint32_t *written,
                                 unsigned n);
void reference_split_device_push_batch(struct reference_device *device,
                                       const struct reference_chain *chains, unsigned n,
                                       uint32_t last_written);
bool reference_split_device_should_notify(struct reference_device *device);
bool reference_split_device_set_event(struct reference_device *device, unsigned n);
void reference_split_device_disable(struct reference_device *device);

bool reference_packed_device_init(struct reference_device *device);
int reference_packed_device_pop(struct reference_device *device, struct reference_chain *chain);
void reference_packed_device_push(struct reference_device *device,
                                  const struct reference_chain *chains, const uint32_t *written,
                                  unsigned n);
void reference_packed_device_push_batch(struct reference_device *device,
                                        const struct reference_chain *chains, unsigned n,
                                        uint32_t last_written);
bool reference_packed_device_should_notify(struct reference_device *device);
bool reference_packed_device_set_event(struct reference_device *device, unsigned n);
void reference_packed_device_disable(struct reference_device *device);

#endif
