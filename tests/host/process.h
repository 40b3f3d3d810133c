/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief What this process holds: descriptors and mappings, to find those that were left.
 */
#ifndef VIRTQ_TESTS_HOST_PROCESS_H
#define VIRTQ_TESTS_HOST_PROCESS_H

#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "runner.h"

/** @brief How many descriptors are open, and one or two more. */
static inline unsigned process_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    unsigned count = 0;

    cr_assert(dir != NULL);
    while (readdir(dir) != NULL) {
        count++;
    }
    cr_assert_eq(closedir(dir), 0);
    return count;
}

/** @brief How many mappings there are whose line has this in it. */
static inline unsigned process_mappings(const char *what)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    unsigned count = 0;
    char line[512];

    cr_assert(maps != NULL);
    while (fgets(line, sizeof(line), maps) != NULL) {
        count += strstr(line, what) != NULL ? 1 : 0;
    }
    cr_assert_eq(fclose(maps), 0);
    return count;
}

#endif
