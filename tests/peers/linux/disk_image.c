/* SPDX-License-Identifier: BSD-3-Clause */
/* The host's side of a Linux guest's disk: `disk_image make FILE SECTORS` writes it; `disk_image
 * check FILE SECTORS THREADS OPS ROUNDS` plays what the guest did, and judges what it left. Both
 * print the sum of the disk. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

static void replay(uint32_t *generations, uint32_t sectors, uint32_t threads, uint32_t ops,
                   uint32_t rounds)
{
    for (uint32_t round = 0; round < rounds; round++) {
        for (uint32_t thread = 0; thread < threads; thread++) {
            struct load load = load_of(round, thread, threads, sectors);

            for (uint32_t i = 0; i < ops; i++) {
                struct load_op op = load_next(&load);

                for (uint32_t at = 0; op.writes && at < op.sectors; at++) {
                    generations[op.sector + at]++;
                }
            }
        }
    }
}

static int make(FILE *file, uint32_t sectors)
{
    uint8_t data[LOAD_SECTOR];
    uint64_t sum = 0;

    for (uint32_t sector = 0; sector < sectors; sector++) {
        load_fill(data, sector, 0);
        sum = load_sum(sum, data);
        if (fwrite(data, sizeof(data), 1, file) != 1) {
            return EXIT_FAILURE;
        }
    }
    printf("%016llx\n", (unsigned long long)sum);
    return EXIT_SUCCESS;
}

static int judge(FILE *file, const uint32_t *generations, uint32_t sectors)
{
    uint8_t data[LOAD_SECTOR];
    uint64_t sum = 0;

    for (uint32_t sector = 0; sector < sectors; sector++) {
        if (fread(data, sizeof(data), 1, file) != 1 ||
            !load_is(data, sector, generations[sector])) {
            return EXIT_FAILURE;
        }
        sum = load_sum(sum, data);
    }
    printf("%016llx\n", (unsigned long long)sum);
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    const int makes = argc == 4 && strcmp(argv[1], "make") == 0;
    uint32_t numbers[4] = {0};
    uint32_t *generations;
    FILE *file;
    int result = EXIT_FAILURE;

    if (!makes && (argc != 7 || strcmp(argv[1], "check") != 0)) {
        printf("usage: disk_image make FILE SECTORS | check FILE SECTORS THREADS OPS ROUNDS\n");
        return 2;
    }
    for (int i = 3; i < argc; i++) {
        numbers[i - 3] = (uint32_t)strtoul(argv[i], NULL, 10);
    }
    generations = calloc(numbers[0], sizeof(*generations));
    file = fopen(argv[2], makes ? "wb" : "rb");
    if (file == NULL || generations == NULL) {
        perror(argv[2]);
    } else if (makes) {
        result = make(file, numbers[0]);
    } else {
        replay(generations, numbers[0], numbers[1], numbers[2], numbers[3]);
        result = judge(file, generations, numbers[0]);
    }
    if (file != NULL && fclose(file) != 0) {
        perror(argv[2]);
        result = EXIT_FAILURE;
    }
    free(generations);
    return result;
}
