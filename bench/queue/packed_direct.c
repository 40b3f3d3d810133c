/* SPDX-License-Identifier: BSD-3-Clause */
/* The inline tier: packed, the direct space. */
#include "queue/calls.h"

BENCH_INLINE_CALLS(packed, VIRTQ_INSTANCE_DIRECT, VIRTQ_INSTANCE_DIRECT)

#include "queue/loops.h"

BENCH_VARIANT(bench_variant_packed_direct);
