/* SPDX-License-Identifier: BSD-3-Clause */
#include "virtq/access.h"

static const char *fitting(uint32_t reason)
{
    static const char *const texts[] = {
        "without ACCESS_PLATFORM a device takes physical addresses, whatever the platform says",
        "ACCESS_PLATFORM, and nothing stands between the device and memory",
        "ACCESS_PLATFORM, and the IOMMU maps each address to itself",
        "ACCESS_PLATFORM, and the IOMMU is bypassed for this device",
        "ACCESS_PLATFORM, and device addresses are physical ones with the platform's offset",
        "ACCESS_PLATFORM, and the IOMMU translates: buffers are mapped",
        "the IOMMU translates, but cannot share hidden memory: a shared pool is mapped",
        "this platform's addresses are used without ACCESS_PLATFORM being asked for",
        "memory is hidden: a shared pool, at the addresses that the platform gives",
        "memory is hidden and the device takes physical addresses: those of a shared pool",
        "restricted DMA: the pool in system memory, and no other address",
        "restricted DMA: offsets into the device's own region, and no address",
        "the platform puts everything into the pool, whatever was negotiated",
        "memory is hidden: the driver bounces, and its pool looks like any memory",
    };

    return reason <= (uint32_t)VIRTQ_ACCESS_DRIVER_BOUNCES ? texts[reason] : "unknown reason";
}

VIRTQ_API const char *virtq_access_reason_name(uint32_t reason)
{
    static const char *const texts[] = {
        "ACCESS_PLATFORM is bit 33, and a legacy driver, of 32 bits, would pass physical addresses",
        "the device has no legacy interface, and the driver does not know VERSION_1",
        "memory is hidden, and a pool's device address would not be the physical one, as it must",
        "the IOMMU translates what hardware sends, and the device does not offer ACCESS_PLATFORM",
        "the IOMMU translates, this driver's platform cannot program it, and there is no pool",
        "the driver is not trusted with addresses, and no IOMMU would confine it",
        "the IOMMU translates everything, and the device has no ACCESS_PLATFORM to say so",
        "the driver did not accept ACCESS_PLATFORM, without which the device cannot reach memory",
        "the driver did not accept restricted DMA, and the device reaches only its pool",
        "the driver accepted neither ACCESS_PLATFORM nor restricted DMA",
        "the device reaches only its pool, and a legacy driver cannot promise to keep to it",
        "the device reaches only its pool, and has no feature bit to say so",
        "the driver did not accept ORDER_PLATFORM, on which the device relies",
        "the driver accepted what was not offered",
        "the device has no legacy interface, and does not offer VERSION_1",
    };

    if (!virtq_access_is_refusal(reason)) {
        return fitting(reason);
    }
    return reason <= (uint32_t)VIRTQ_ACCESS_VERSION_MISSING
               ? texts[reason - (uint32_t)VIRTQ_ACCESS_LEGACY_PLATFORM]
               : "unknown reason";
}

VIRTQ_API const char *virtq_access_space_name(uint32_t space)
{
    static const char *const names[] = {"refused", "direct", "swiotlb", "iommu", "bar"};

    return space <= (uint32_t)VIRTQ_ACCESS_BAR ? names[space] : "unknown space";
}
