/* SPDX-License-Identifier: BSD-3-Clause */
/* The inline tier: packed, the iommu space. */
#include "queue/calls.h"

BENCH_INLINE_CALLS(packed, VIRTQ_INSTANCE_CALLED, VIRTQ_INSTANCE_CALLED)

#include "queue/loops.h"

BENCH_VARIANT(bench_variant_packed_iommu);
