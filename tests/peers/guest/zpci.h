/* SPDX-License-Identifier: BSD-3-Clause */
/* zPCI: functions are found, enabled and accessed by instructions. */
#ifndef PEERS_GUEST_ZPCI_H
#define PEERS_GUEST_ZPCI_H

#include <stdbool.h>
#include <stdint.h>

/* What MPCIFC is to do. */
enum zpci_control {
    ZPCI_REGISTER_TABLES = 4,
    ZPCI_DEREGISTER_TABLES = 5,
    ZPCI_RESET_ERROR = 7,
    ZPCI_RESET_BLOCKED = 9
};

/* What MPCIFC takes and STPCIFC gives. */
struct zpci_block {
    uint64_t format;
    uint8_t state; /* enum zpci_state */
    uint8_t reserved[7];
    uint64_t first; /* device address */
    uint64_t last;
    uint64_t anchor;
    uint64_t others[6];
};

enum zpci_state { ZPCI_ENABLED = 0x80, ZPCI_ERROR_BLOCKED = 0x60, ZPCI_TABLES = 0x10 };

/* What a function says of itself. */
struct zpci_function {
    uint32_t handle;
    uint64_t first; /* device addresses that it may be given */
    uint64_t last;
    bool refresh; /* new mappings have to be refreshed too */
};

/* The n-th function, enabled when it is first asked for; NULL: there are not so many. */
const struct zpci_function *zpci_function(unsigned n);

/* MPCIFC; its condition code. */
unsigned zpci_modify(uint32_t handle, enum zpci_control control, const struct zpci_block *block);

/* STPCIFC; its condition code. */
unsigned zpci_store(uint32_t handle, struct zpci_block *block);

/* RPCIT; its condition code. */
uint32_t zpci_refresh(void *context, uint64_t function, uint64_t first, uint64_t len,
                      uint32_t *status);

#endif
