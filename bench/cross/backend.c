/* SPDX-License-Identifier: BSD-3-Clause */
#include "cross/backend.h"

#include "harness/timer.h"

/* A thread's own: a word that two threads count in would be a cost that no hypervisor has. */
static _Thread_local uint64_t requests;

void cross_backend_ask(uint64_t request_ns)
{
    requests++;
    if (request_ns > 0) {
        uint64_t end = bench_clock_ns() + request_ns;

        /* Without a pause: a processor that waits for its hypervisor does nothing else. */
        while (bench_clock_ns() < end) {
        }
    }
}

static int backend_map(void *context, const struct virtq_region *ranges, unsigned count)
{
    const struct cross_backend *backend = context;

    cross_backend_ask(backend->request_ns);
    return backend->inner.map(backend->inner.context, ranges, count);
}

static int backend_unmap(void *context, const struct virtq_region *ranges, unsigned count)
{
    const struct cross_backend *backend = context;

    cross_backend_ask(backend->request_ns);
    return backend->inner.unmap(backend->inner.context, ranges, count);
}

static int backend_flush(void *context, const struct virtq_region *ranges, unsigned count)
{
    const struct cross_backend *backend = context;

    cross_backend_ask(backend->request_ns);
    return backend->inner.flush(backend->inner.context, ranges, count);
}

void cross_backend_init(struct cross_backend *backend, struct virtq_domain *domain,
                        uint64_t request_ns)
{
    virtq_domain_backend(domain, &backend->inner);
    backend->backend.size = sizeof(backend->backend);
    backend->backend.context = backend;
    backend->backend.map = backend_map;
    backend->backend.unmap = backend_unmap;
    backend->backend.flush = backend_flush;
    backend->request_ns = request_ns;
}

uint64_t cross_backend_requests(void)
{
    return requests;
}
