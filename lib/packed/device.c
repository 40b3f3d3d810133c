/* SPDX-License-Identifier: BSD-3-Clause */
/* The library tier's instances of inline/packed_device.h. Only what is pure arithmetic is
 * specialised; every other space shares `called`. */
#include "../device_private.h"

VIRTQ_DEVICE_INSTANCE(packed, called, VIRTQ_INSTANCE_CALLED);
VIRTQ_DEVICE_INSTANCE(packed, direct, VIRTQ_INSTANCE_DIRECT);
VIRTQ_DEVICE_INSTANCE(packed, bar, VIRTQ_INSTANCE_BAR);
VIRTQ_DEVICE_INSTANCE(packed, premapped, VIRTQ_INSTANCE_PREMAPPED);
VIRTQ_DEVICE_INSTANCE(packed, platform,
                      (unsigned)VIRTQ_INSTANCE_CALLED | (unsigned)VIRTQ_INSTANCE_PLATFORM);
VIRTQ_DEVICE_INSTANCE(packed, platform_premapped,
                      (unsigned)VIRTQ_INSTANCE_PREMAPPED | (unsigned)VIRTQ_INSTANCE_PLATFORM);

const struct virtq_device_ops *const virtq_priv_packed_device_ops[VIRTQ_DEVICE_INSTANCES] = {
    &virtq_packed_device_called_ops,   &virtq_packed_device_direct_ops,
    &virtq_packed_device_bar_ops,      &virtq_packed_device_premapped_ops,
    &virtq_packed_device_platform_ops, &virtq_packed_device_platform_premapped_ops};
