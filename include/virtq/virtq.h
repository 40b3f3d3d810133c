/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @ingroup virtq_version
 * @brief Everything of the stable interface.
 */
#ifndef VIRTQ_VIRTQ_H
#define VIRTQ_VIRTQ_H

#include "access.h"
#include "api.h"
#include "chain.h"
#include "copy.h"
#include "copy_checksum.h"
#include "copy_device.h"
#include "copy_streaming.h"
#include "device.h"
#include "driver.h"
#include "error.h"
#include "feature.h"
#include "guard.h"
#include "iommu/pages.h"
#include "iommu/tce_backend.h"
#include "iommu/tce_table.h"
#include "iommu/virtio_iommu_device.h"
#include "iommu/virtio_iommu_driver.h"
#include "iommu/virtio_iommu_events.h"
#include "iommu/virtio_iommu_mapper.h"
#include "iommu/zpci.h"
#include "iommu/zpci_guest.h"
#include "iommu/zpci_host.h"
#include "iommu/zpci_lazy.h"
#include "layout.h"
#include "packed.h"
#include "restricted.h"
#include "restricted_device.h"
#include "restricted_driver.h"
#include "space.h"
#include "space/bar.h"
#include "space/bar_set.h"
#include "space/bar_stage.h"
#include "space/direct.h"
#include "space/iommu.h"
#include "space/iommu_queue.h"
#include "space/mux.h"
#include "space/swiotlb.h"
#include "space/swiotlb_group.h"
#include "space/swiotlb_group_queue.h"
#include "space/swiotlb_queue.h"
#include "space/swiotlb_request.h"
#include "split.h"
#include "state.h"
#include "types.h"
#include <virtq/version.h>

#endif
