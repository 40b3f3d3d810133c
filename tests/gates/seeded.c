/* SPDX-License-Identifier: BSD-3-Clause */
/* A Criterion suite with one fault, chosen by -DSEED_...: every assertion holds, so that only a
 * gate can see it. */
#include <criterion/criterion.h>
#include <stdlib.h>

static void *volatile sink;
static volatile unsigned char byte;

#if defined(SEED_LEAK)
Test(seeded, leaks_forty_bytes)
{
    sink = malloc(40);
    cr_assert_not_null(sink);
    sink = NULL;
}
#elif defined(SEED_READ)
Test(seeded, reads_behind_the_end)
{
    unsigned char *bytes;

    sink = malloc(40);
    bytes = sink;
    byte = bytes[40];
    free(bytes);
    cr_assert(1);
}
#elif defined(SEED_SHIFT)
Test(seeded, shifts_too_far)
{
    volatile int width = 40;
    volatile int result = 1 << width;

    (void)result;
    cr_assert(1);
}
#elif defined(SEED_ASSERTION)
Test(seeded, fails)
{
    cr_assert(0);
}
#else
Test(seeded, has_no_fault)
{
    sink = malloc(40);
    cr_assert_not_null(sink);
    free(sink);
}
#endif
