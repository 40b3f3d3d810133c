/* SPDX-License-Identifier: BSD-3-Clause */
/* What libFuzzer calls. */
#include "replay.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    (void)fuzz_play(data, size);
    return 0;
}
