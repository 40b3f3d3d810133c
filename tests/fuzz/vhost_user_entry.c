/* SPDX-License-Identifier: BSD-3-Clause */
/* What libFuzzer calls. */
#include "vhost_user_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct fuzz fuzz;

    return fuzz_one(data, size, &fuzz);
}
