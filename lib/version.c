/* SPDX-License-Identifier: BSD-3-Clause */
#include "virtq/version.h"

VIRTQ_API const char *virtq_version(void)
{
    return VIRTQ_VERSION;
}
