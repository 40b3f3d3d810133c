/* SPDX-License-Identifier: BSD-3-Clause */
#include "access/words.h"

#include <stddef.h>

#include "virtq/access.h"

const struct access_flag_word access_flag_words[ACCESS_FLAG_WORDS] = {
    {"may-bypass", "The IOMMU may be bypassed", VIRTQ_ACCESS_MAY_BYPASS, 0},
    {"iommu-alien", "The driver's platform cannot program the IOMMU", VIRTQ_ACCESS_IOMMU_ALIEN, 0},
    {"iommu-shares", "What is mapped in the IOMMU is thereby shared, hidden memory too",
     VIRTQ_ACCESS_IOMMU_SHARES, 0},
    {"hidden", "Guest memory is hidden from the host", VIRTQ_ACCESS_HIDDEN, 0},
    {"hidden-late", "... and became so after the device was created", VIRTQ_ACCESS_HIDDEN_LATE,
     VIRTQ_ACCESS_HIDDEN},
    {"addresses-differ", "Device addresses are not physical even without an IOMMU",
     VIRTQ_ACCESS_ADDRESSES_DIFFER, 0},
    {"hardware", "The device is hardware", VIRTQ_ACCESS_HARDWARE, 0},
    {"pool-only", "The device can reach nothing but the pool, unless an IOMMU helps",
     VIRTQ_ACCESS_POOL_ONLY, 0},
    {"pool-forced", "The driver's platform uses the pool, whatever is negotiated",
     VIRTQ_ACCESS_POOL_FORCED, 0},
    {"order-needed", "The device relies on the platform's order of memory",
     VIRTQ_ACCESS_ORDER_NEEDED, 0},
    {"unprivileged", "The driver is not trusted with addresses", VIRTQ_ACCESS_UNPRIVILEGED, 0},
    {"platform-always", "The platform's addresses are used without ACCESS_PLATFORM too",
     VIRTQ_ACCESS_PLATFORM_ALWAYS, 0},
};

const struct access_feature_word access_feature_words[ACCESS_FEATURE_WORDS] = {
    {"version-1", "VERSION_1"},
    {"access-platform", "ACCESS_PLATFORM"},
    {"order-platform", "ORDER_PLATFORM"},
    {"restricted-dma", "RESTRICTED_DMA"},
};

const char *const access_generation_words[] = {"legacy", "transitional", "modern", NULL};
const char *const access_iommu_words[] = {"absent", "translates", "identity", "bypassed", NULL};
const char *const access_pool_words[] = {"none", "system", "device", NULL};

uint64_t access_feature_mask(unsigned word, unsigned restricted_bit)
{
    static const uint8_t bits[] = {VIRTIO_F_VERSION_1, VIRTIO_F_ACCESS_PLATFORM,
                                   VIRTIO_F_ORDER_PLATFORM};

    return VIRTQ_FEATURE(word == ACCESS_RESTRICTED_WORD ? restricted_bit : bits[word]);
}
