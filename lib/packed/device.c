/* SPDX-License-Identifier: BSD-3-Clause */
/* The library tier's instances of inline/packed_device.h. */
#include "../device_private.h"

VIRTQ_DEVICE_INSTANCE(packed, called, VIRTQ_INSTANCE_CALLED);
VIRTQ_DEVICE_INSTANCE(packed, direct, VIRTQ_INSTANCE_DIRECT);
VIRTQ_DEVICE_INSTANCE(packed, bar, VIRTQ_INSTANCE_BAR);
VIRTQ_DEVICE_INSTANCE(packed, premapped, VIRTQ_INSTANCE_PREMAPPED);

const struct virtq_device_ops *const virtq_priv_packed_device_ops[VIRTQ_DEVICE_INSTANCES - 1] = {
    &virtq_packed_device_called_ops, &virtq_packed_device_direct_ops, &virtq_packed_device_bar_ops,
    &virtq_packed_device_premapped_ops};
