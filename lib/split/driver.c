/* SPDX-License-Identifier: BSD-3-Clause */
/* The library tier's instances of inline/split_driver.h. Only what is pure arithmetic is
 * specialised; every other space shares `called`. */
#include "../driver_private.h"

VIRTQ_DRIVER_INSTANCE(split, called, VIRTQ_INSTANCE_CALLED);
VIRTQ_DRIVER_INSTANCE(split, direct, VIRTQ_INSTANCE_DIRECT);
VIRTQ_DRIVER_INSTANCE(split, bar, VIRTQ_INSTANCE_BAR);
VIRTQ_DRIVER_INSTANCE(split, premapped, VIRTQ_INSTANCE_PREMAPPED);
VIRTQ_DRIVER_INSTANCE(split, platform,
                      (unsigned)VIRTQ_INSTANCE_CALLED | (unsigned)VIRTQ_INSTANCE_PLATFORM);
VIRTQ_DRIVER_INSTANCE(split, platform_premapped,
                      (unsigned)VIRTQ_INSTANCE_PREMAPPED | (unsigned)VIRTQ_INSTANCE_PLATFORM);
VIRTQ_DRIVER_INSTANCE(split, legacy,
                      (unsigned)VIRTQ_INSTANCE_CALLED | (unsigned)VIRTQ_INSTANCE_BIG_ENDIAN);
VIRTQ_DRIVER_INSTANCE(split, legacy_premapped,
                      (unsigned)VIRTQ_INSTANCE_PREMAPPED | (unsigned)VIRTQ_INSTANCE_BIG_ENDIAN);

const struct virtq_driver_ops *const virtq_priv_split_driver_ops[VIRTQ_DRIVER_INSTANCES] = {
    &virtq_split_driver_called_ops,   &virtq_split_driver_direct_ops,
    &virtq_split_driver_bar_ops,      &virtq_split_driver_premapped_ops,
    &virtq_split_driver_platform_ops, &virtq_split_driver_platform_premapped_ops,
    &virtq_split_driver_legacy_ops,   &virtq_split_driver_legacy_premapped_ops};
