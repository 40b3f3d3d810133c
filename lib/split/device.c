/* SPDX-License-Identifier: BSD-3-Clause */
/* The library tier's instances of inline/split_device.h. Only what is pure arithmetic is
 * specialised; every other space shares `called`. */
#include "../device_private.h"

VIRTQ_DEVICE_INSTANCE(split, called, VIRTQ_INSTANCE_CALLED);
VIRTQ_DEVICE_INSTANCE(split, direct, VIRTQ_INSTANCE_DIRECT);
VIRTQ_DEVICE_INSTANCE(split, bar, VIRTQ_INSTANCE_BAR);
VIRTQ_DEVICE_INSTANCE(split, premapped, VIRTQ_INSTANCE_PREMAPPED);
VIRTQ_DEVICE_INSTANCE(split, platform,
                      (unsigned)VIRTQ_INSTANCE_CALLED | (unsigned)VIRTQ_INSTANCE_PLATFORM);
VIRTQ_DEVICE_INSTANCE(split, platform_premapped,
                      (unsigned)VIRTQ_INSTANCE_PREMAPPED | (unsigned)VIRTQ_INSTANCE_PLATFORM);
VIRTQ_DEVICE_INSTANCE(split, legacy,
                      (unsigned)VIRTQ_INSTANCE_CALLED | (unsigned)VIRTQ_INSTANCE_BIG_ENDIAN);
VIRTQ_DEVICE_INSTANCE(split, legacy_premapped,
                      (unsigned)VIRTQ_INSTANCE_PREMAPPED | (unsigned)VIRTQ_INSTANCE_BIG_ENDIAN);

const struct virtq_device_ops *const virtq_priv_split_device_ops[VIRTQ_DEVICE_INSTANCES] = {
    &virtq_split_device_called_ops,   &virtq_split_device_direct_ops,
    &virtq_split_device_bar_ops,      &virtq_split_device_premapped_ops,
    &virtq_split_device_platform_ops, &virtq_split_device_platform_premapped_ops,
    &virtq_split_device_legacy_ops,   &virtq_split_device_legacy_premapped_ops};
