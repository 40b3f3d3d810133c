/* SPDX-License-Identifier: BSD-3-Clause */
/* The library tier's instances of inline/packed_driver.h. Only what is pure arithmetic is
 * specialised; every other space shares `called`. */
#include "../driver_private.h"

VIRTQ_DRIVER_INSTANCE(packed, called, VIRTQ_INSTANCE_CALLED);
VIRTQ_DRIVER_INSTANCE(packed, direct, VIRTQ_INSTANCE_DIRECT);
VIRTQ_DRIVER_INSTANCE(packed, bar, VIRTQ_INSTANCE_BAR);
VIRTQ_DRIVER_INSTANCE(packed, premapped, VIRTQ_INSTANCE_PREMAPPED);
VIRTQ_DRIVER_INSTANCE(packed, platform,
                      (unsigned)VIRTQ_INSTANCE_CALLED | (unsigned)VIRTQ_INSTANCE_PLATFORM);
VIRTQ_DRIVER_INSTANCE(packed, platform_premapped,
                      (unsigned)VIRTQ_INSTANCE_PREMAPPED | (unsigned)VIRTQ_INSTANCE_PLATFORM);

const struct virtq_driver_ops *const virtq_priv_packed_driver_ops[VIRTQ_DRIVER_INSTANCES] = {
    &virtq_packed_driver_called_ops,   &virtq_packed_driver_direct_ops,
    &virtq_packed_driver_bar_ops,      &virtq_packed_driver_premapped_ops,
    &virtq_packed_driver_platform_ops, &virtq_packed_driver_platform_premapped_ops};
