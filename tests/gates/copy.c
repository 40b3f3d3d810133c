/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief Work for an instruction counter: a packet of 1500 bytes copied and summed, and only
 * copied, in functions whose names begin with `count_`.
 *
 * Usage: copy VARIANT ROUNDS; VARIANT is an enum virtq_checksum_variant. It exits with 1 if a sum
 * is wrong, with 77 if this processor lacks the variant.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "virtq/copy_checksum.h"

enum { BYTES = 1500 };

static unsigned char from[BYTES];
static unsigned char to[BYTES];

uint16_t count_fused(struct virtq_checksum *checksum);

__attribute__((noinline)) uint16_t count_fused(struct virtq_checksum *checksum)
{
    return virtq_checksum_copy_whole(checksum, to, from, BYTES);
}

int main(int argc, char **argv)
{
    struct virtq_checksum checksum;
    uint32_t sum = 0;

    if (argc != 3) {
        return 1;
    }
    if (virtq_checksum_init_variant(&checksum, (uint32_t)strtoul(argv[1], NULL, 10)) != 0) {
        return 77;
    }
    for (unsigned at = 0; at < BYTES; at++) {
        from[at] = (unsigned char)(at * 7 + (at >> 8));
        sum += at % 2 == 0 ? (uint32_t)from[at] << 8 : from[at];
        sum = (sum & 0xffff) + (sum >> 16);
    }
    for (unsigned round = (unsigned)strtoul(argv[2], NULL, 10); round > 0; round--) {
        if (count_fused(&checksum) != sum || memcmp(to, from, BYTES) != 0) {
            return 1;
        }
        memset(to, 0, BYTES);
    }
    return 0;
}
