/* SPDX-License-Identifier: BSD-3-Clause */
/* The inline tier: split, the bar space. */
#include "queue/calls.h"

BENCH_INLINE_CALLS(split, VIRTQ_INSTANCE_BAR, VIRTQ_INSTANCE_BAR)

#include "queue/loops.h"

BENCH_VARIANT(bench_variant_split_bar);
