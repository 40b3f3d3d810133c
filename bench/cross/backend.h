/* SPDX-License-Identifier: BSD-3-Clause */
/* A backend of an iommu space whose every request takes a while, as one to a hypervisor does.
 *
 * The mappings themselves go into a domain of this program; before that it waits, busily, for as
 * long as the request is to cost.
 */
#ifndef BENCH_CROSS_BACKEND_H
#define BENCH_CROSS_BACKEND_H

#include <stdint.h>

#include <virtq/iommu/backend.h>
#include <virtq/iommu/domain.h>

struct cross_backend {
    struct virtq_iommu_backend backend; /* what a space is given */
    struct virtq_iommu_backend inner;   /* where mappings go */
    uint64_t request_ns;
};

/* `domain` must outlive it; `request_ns` may be 0. */
void cross_backend_init(struct cross_backend *backend, struct virtq_domain *domain,
                        uint64_t request_ns);

/* A request of the calling thread to something else than a struct cross_backend. */
void cross_backend_ask(uint64_t request_ns);

/* How many requests the calling thread has made. */
uint64_t cross_backend_requests(void);

#endif
