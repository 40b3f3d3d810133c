/* SPDX-License-Identifier: BSD-3-Clause */
#include "console.h"

#include "platform.h"

void console_text(const char *text)
{
    while (*text != '\0') {
        platform_put(*text++);
    }
}

void console_number(uint32_t value)
{
    char digits[11];
    unsigned at = sizeof(digits) - 1;

    digits[at] = '\0';
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    console_text(&digits[at]);
}

void console_hex(uint64_t value)
{
    console_text("0x");
    for (unsigned shift = 64; shift > 0; shift -= 4) {
        platform_put("0123456789abcdef"[value >> (shift - 4) & 15]);
    }
}

void console_pair(const char *name, uint32_t value)
{
    console_text(" ");
    console_text(name);
    console_text("=");
    console_number(value);
}

void check(bool holds, const char *what)
{
    if (!holds) {
        console_text("guest: failed: ");
        console_text(what);
        console_text("\n");
        platform_exit(2);
    }
}

_Noreturn void fail_at(const char *what, uint32_t where, uint32_t found)
{
    console_text("guest: failed: ");
    console_text(what);
    console_pair("at", where);
    console_pair("found", found);
    console_text("\n");
    platform_exit(2);
}

_Noreturn void guest_trapped(void)
{
    console_text("guest: failed: trapped\n");
    platform_exit(3);
}
