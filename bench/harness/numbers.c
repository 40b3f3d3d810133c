/* SPDX-License-Identifier: BSD-3-Clause */
#include "harness/numbers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

bool bench_numbers_parse(struct bench_numbers *numbers, const char *list, unsigned long max)
{
    unsigned count = 0;

    for (const char *at = list;; at++) {
        char *end;
        unsigned long value;

        errno = 0;
        value = strtoul(at, &end, 10);
        if (*at < '0' || *at > '9' || errno != 0 || value > max || count == BENCH_NUMBERS_MAX ||
            (*end != ',' && *end != '\0')) {
            return false;
        }
        (void)snprintf(numbers->texts[count], BENCH_NUMBERS_ROOM, "%lu", value);
        numbers->names[count] = numbers->texts[count];
        numbers->names[++count] = NULL;
        if (*end == '\0') {
            return true;
        }
        at = end;
    }
}
