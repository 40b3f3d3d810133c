/* SPDX-License-Identifier: BSD-3-Clause */
/* The host's side of a disk: `image make FILE SECTORS` writes it, `image check FILE SECTORS` judges
 * what a guest left. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pattern.h"

static int make(FILE *file, uint32_t sectors)
{
    uint8_t data[PATTERN_SECTOR];

    for (uint32_t sector = 0; sector < sectors; sector++) {
        pattern_fill(data, PATTERN_HOST, sector);
        if (fwrite(data, sizeof(data), 1, file) != 1) {
            return EXIT_FAILURE;
        }
    }
    return EXIT_SUCCESS;
}

static int judge(FILE *file, uint32_t sectors)
{
    uint8_t data[PATTERN_SECTOR];

    for (uint32_t sector = 0; sector < sectors; sector++) {
        if (fread(data, sizeof(data), 1, file) != 1 ||
            !pattern_is(data, pattern_writer(sector), sector)) {
            fprintf(stderr, "image: sector %u is wrong\n", (unsigned)sector);
            return EXIT_FAILURE;
        }
    }
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    FILE *file;
    uint32_t sectors;
    int result;

    if (argc != 4) {
        fprintf(stderr, "usage: image make|check FILE SECTORS\n");
        return 2;
    }
    sectors = (uint32_t)strtoul(argv[3], NULL, 10);
    file = fopen(argv[2], strcmp(argv[1], "make") == 0 ? "wb" : "rb");
    if (file == NULL) {
        perror(argv[2]);
        return EXIT_FAILURE;
    }
    result = strcmp(argv[1], "make") == 0 ? make(file, sectors) : judge(file, sectors);
    if (fclose(file) != 0) {
        perror(argv[2]);
        return EXIT_FAILURE;
    }
    return result;
}
