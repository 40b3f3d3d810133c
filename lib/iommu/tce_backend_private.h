/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief Where the guest's memory lies: from pointers to real addresses.
 */
#ifndef VIRTQ_LIB_IOMMU_TCE_BACKEND_PRIVATE_H
#define VIRTQ_LIB_IOMMU_TCE_BACKEND_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>

#include "virtq/iommu/tce_backend.h"

/** @brief The real address of a pointer, and how many bytes minus 1 lie there in one region of
 * memory. @return false: it is in none */
bool virtq_priv_tce_real(const struct virtq_tce_backend *backend, const void *pointer,
                         uint64_t *real, uint64_t *span);

#endif
