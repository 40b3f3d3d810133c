/* SPDX-License-Identifier: BSD-3-Clause */
/* Where two ways to bring a payload to the device cost the same, out of the rows of virtq-bench
 * cross. */
#ifndef BENCH_REPORT_CROSSING_H
#define BENCH_REPORT_CROSSING_H

#include <jansson.h>
#include <stdbool.h>

/* A place on all axes but the space and the size. */
struct bench_crossing_at {
    const char *direction;
    const char *queues;
    const char *request_ns;
};

/* The pairs that one chooses between: which is cheaper for small payloads, as a rule, and which for
 * large ones. */
struct bench_crossing_pair {
    const char *small;
    const char *large;
};

/* Ends with {NULL, NULL}. */
extern const struct bench_crossing_pair bench_crossing_pairs[];

enum bench_crossing_kind {
    BENCH_CROSSING_SMALL, /* the first is cheaper throughout */
    BENCH_CROSSING_LARGE, /* the second is */
    BENCH_CROSSING_POINT  /* the first below `bytes`, the second above */
};

struct bench_crossing {
    enum bench_crossing_kind kind;
    double bytes; /* where they cross, between two sizes that were measured */
    double ns;    /* what both cost there */
};

/* False: there are no two sizes at which both were measured there. */
bool bench_crossing_find(const json_t *root, const struct bench_crossing_at *at,
                         const struct bench_crossing_pair *pair, struct bench_crossing *crossing);

/* Whether what a request costs matters to one of the two. */
bool bench_crossing_depends(const json_t *root, const struct bench_crossing_at *at,
                            const struct bench_crossing_pair *pair);

/* Whether a row of virtq-bench cross is a point of a way's curve. Ways that ask nobody have the
 * same curve whatever a request costs. */
bool bench_crossing_is_point(const json_t *row, const struct bench_crossing_at *at,
                             const char *space);

/* The costs of a request that were measured: an object whose keys they are, in order. */
json_t *bench_crossing_requests(const json_t *root);

#endif
