/* SPDX-License-Identifier: BSD-3-Clause */
/* Plays the inputs of a directory, without libFuzzer: an ordinary test. Usage: DIRECTORY, or
 * FILE...
 */
#include "replay.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

static unsigned played, far;

static int play(const char *path)
{
    static uint8_t bytes[1 << 16];
    FILE *file = fopen(path, "rb");
    size_t size;
    unsigned got;

    if (file == NULL) {
        perror(path);
        return -1;
    }
    size = fread(bytes, 1, sizeof(bytes), file);
    (void)fclose(file);
    got = fuzz_play(bytes, size);
    printf("%s: %u\n", path, got);
    played++;
    far += got;
    return 0;
}

static int play_all(const char *directory)
{
    DIR *dir = opendir(directory);
    const struct dirent *entry;
    char path[4096];
    int result = 0;

    if (dir == NULL) {
        return play(directory);
    }
    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] != '.') {
            (void)snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
            result |= play(path);
        }
    }
    (void)closedir(dir);
    return result;
}

int main(int argc, char **argv)
{
    int result = argc < 2;

    for (int i = 1; i < argc; i++) {
        result |= play_all(argv[i]);
    }
    printf("%u inputs, %u in all\n", played, far);
    /* The words of the inputs are a little-endian machine's: elsewhere most of them are noise. */
    if (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ && played > 1 && far < fuzz_enough) {
        printf("the inputs do not get as far as they did\n");
        result = 1;
    }
    return result == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
