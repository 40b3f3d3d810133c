/* SPDX-License-Identifier: BSD-3-Clause */
/* Files of packets, as libpcap has them: each packet has its number in it, and all its bytes follow
 * from that, its length and the direction.
 *
 *     packets make FILE COUNT SIZE DIRECTION    writes one; SIZE 0: sizes from 60 to 1518 in turn
 *     packets compare FILE OTHER                the same packets in the same order, byte by byte */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SMALLEST = 60, LARGEST = 1518, HEAD = 24, RECORD = 16 };

static void put_record(FILE *file, uint32_t number, uint32_t size, uint32_t direction)
{
    const uint32_t record[4] = {number, 0, size, size};
    unsigned char packet[LARGEST];
    uint32_t word = number * 2654435761u + direction;

    for (uint32_t i = 0; i < size; i++) {
        word = word * 1664525u + 1013904223u;
        packet[i] = (unsigned char)(word >> 24);
    }
    /* From one of 64 stations on this side to one on the other, of no protocol that is known. */
    memcpy(packet, direction == 0 ? "\x02\0\0\0\1" : "\x02\0\0\0\0", 5);
    memcpy(packet + 6, direction == 0 ? "\x02\0\0\0\0" : "\x02\0\0\0\1", 5);
    packet[5] = (unsigned char)(number / 3 % 64);
    packet[11] = (unsigned char)(number % 64);
    packet[12] = 0x88;
    packet[13] = 0xb5;
    (void)fwrite(record, sizeof(record), 1, file);
    (void)fwrite(packet, size, 1, file);
}

static int make(const char *path, uint32_t count, uint32_t size, uint32_t direction)
{
    static const uint32_t head[HEAD / 4] = {0xa1b2c3d4, 2 | 4 << 16, 0, 0, 65535, 1};
    FILE *file = fopen(path, "wb");

    if (file == NULL || size > LARGEST) {
        return 1;
    }
    (void)fwrite(head, sizeof(head), 1, file);
    for (uint32_t i = 0; i < count; i++) {
        put_record(file, i, size != 0 ? size : SMALLEST + i * 7 % (LARGEST - SMALLEST + 1),
                   direction);
    }
    return fclose(file) != 0;
}

/* The next packet's length; 0: there is none. */
static uint32_t next(FILE *file, unsigned char packet[LARGEST])
{
    uint32_t record[4];

    return fread(record, sizeof(record), 1, file) == 1 && record[2] != 0 && record[2] <= LARGEST &&
                   record[2] == record[3] && fread(packet, record[2], 1, file) == 1
               ? record[2]
               : 0;
}

static int compare(const char *path, const char *other)
{
    FILE *files[2] = {fopen(path, "rb"), fopen(other, "rb")};
    unsigned char packets[2][LARGEST];
    uint32_t sizes[2];
    unsigned count = 0;
    char head[HEAD];

    for (unsigned i = 0; i < 2; i++) {
        if (files[i] == NULL || fread(head, sizeof(head), 1, files[i]) != 1) {
            fprintf(stderr, "%s: no file of packets\n", i == 0 ? path : other);
            return 1;
        }
    }
    do {
        sizes[0] = next(files[0], packets[0]);
        sizes[1] = next(files[1], packets[1]);
        if (sizes[0] != sizes[1] || memcmp(packets[0], packets[1], sizes[0]) != 0) {
            fprintf(stderr, "packet %u: %u bytes became %u, or others\n", count, (unsigned)sizes[0],
                    (unsigned)sizes[1]);
            return 1;
        }
        count++;
    } while (sizes[0] != 0);
    (void)fclose(files[0]);
    (void)fclose(files[1]);
    printf("%u\n", count - 1);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 6 && strcmp(argv[1], "make") == 0) {
        return make(argv[2], (uint32_t)strtoul(argv[3], NULL, 10),
                    (uint32_t)strtoul(argv[4], NULL, 10), (uint32_t)strtoul(argv[5], NULL, 10));
    }
    if (argc == 4 && strcmp(argv[1], "compare") == 0) {
        return compare(argv[2], argv[3]);
    }
    fprintf(stderr, "usage: packets make FILE COUNT SIZE DIRECTION | compare FILE OTHER\n");
    return 2;
}
