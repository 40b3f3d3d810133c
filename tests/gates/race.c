/* SPDX-License-Identifier: BSD-3-Clause */
/* Two threads write one word: a race with -DSEED_RACE, with a lock none. A plain program, for
 * Criterion's shared memory does not fit into the address space that ThreadSanitizer leaves. */
#include <pthread.h>
#include <stdlib.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int word;

static void *writes(void *unused)
{
#ifndef SEED_RACE
    pthread_mutex_lock(&lock);
#endif
    word++;
#ifndef SEED_RACE
    pthread_mutex_unlock(&lock);
#endif
    return unused;
}

int main(void)
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, writes, NULL) != 0) {
        return EXIT_FAILURE;
    }
    writes(NULL);
    pthread_join(thread, NULL);
    return word == 2 ? EXIT_SUCCESS : EXIT_FAILURE;
}
