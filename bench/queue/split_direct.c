/* SPDX-License-Identifier: BSD-3-Clause */
/* The inline tier: split, the direct space. */
#include "queue/calls.h"

BENCH_INLINE_CALLS(split, VIRTQ_INSTANCE_DIRECT, VIRTQ_INSTANCE_DIRECT)

#include "queue/loops.h"

BENCH_VARIANT(bench_variant_split_direct);
