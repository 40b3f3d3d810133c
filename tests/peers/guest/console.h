/* SPDX-License-Identifier: BSD-3-Clause */
/* What the guest says, and how it ends. The host reads the text. */
#ifndef PEERS_GUEST_CONSOLE_H
#define PEERS_GUEST_CONSOLE_H

#include <stdbool.h>
#include <stdint.h>

void console_text(const char *text);
void console_number(uint32_t value);
void console_hex(uint64_t value);

/* " name=value" */
void console_pair(const char *name, uint32_t value);

/* Ends the guest as failed unless `holds`. */
void check(bool holds, const char *what);

/* As check(false, ...), with two numbers that tell where. */
_Noreturn void fail_at(const char *what, uint32_t where, uint32_t found);

/* The end of whoever gets into a vector that nobody awaits. */
_Noreturn void guest_trapped(void);

#endif
