/* SPDX-License-Identifier: BSD-3-Clause */
/* virtq-bench lookup: what it costs to find the window of a random address. */
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "harness/progress.h"
#include "harness/results.h"
#include "harness/stop.h"
#include "virtq/iommu/domain.h"
#include "virtq/iommu/iotlb.h"
#include "virtq/space/direct.h"

/* So many different addresses that no processor learns by heart what each comparison gives: with a
 * thousand the sorted array seems to take a sixth of what it does. */
enum { PAGE = 4096, QUERIES = 65536, TABLE_IOTLB = 0, TABLE_DOMAIN, TABLE_DIRECT, TABLES };

static const char *const table_names[] = {"iotlb", "domain", "direct", NULL};
static const char *const count_names[] = {"16", "64", "1024", "65536", NULL};
static const unsigned counts[] = {16, 64, 1024, 65536};
static struct bench_axis axes[] = {{"table", "these tables", table_names, 0, false},
                                   {"windows", "so many windows", count_names, 0, false}};

/* A round with --quick. */
#define QUICK_NS 1.0e6

struct lookup;

typedef int (*lookup_function)(struct lookup *tables, virtq_addr_t addr,
                               struct virtq_window *window);

struct lookup {
    unsigned table;
    unsigned count;
    struct virtq_region *regions; /* Sorted; every second page, so that no two are one window. */
    virtq_addr_t *queries;
    void *memory;
    struct virtq_iotlb iotlb;
    struct virtq_domain domain;
    struct virtq_direct direct;
    lookup_function function;
};

static uint64_t random_next(uint64_t *state)
{
    uint64_t word = *state += UINT64_C(0x9e3779b97f4a7c15);

    word = (word ^ (word >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    word = (word ^ (word >> 27)) * UINT64_C(0x94d049bb133111eb);
    return word ^ (word >> 31);
}

static int lookup_iotlb(struct lookup *tables, virtq_addr_t addr, struct virtq_window *window)
{
    return virtq_iotlb_lookup(&tables->iotlb, addr, VIRTQ_PERMISSION_READ, window);
}

static int lookup_domain(struct lookup *tables, virtq_addr_t addr, struct virtq_window *window)
{
    return virtq_domain_lookup(&tables->domain, addr, VIRTQ_PERMISSION_READ, window);
}

static int lookup_direct(struct lookup *tables, virtq_addr_t addr, struct virtq_window *window)
{
    struct virtq_space *space = &tables->direct.space;

    return space->ops->window(space, addr, VIRTQ_PERMISSION_READ, window);
}

/* What the loop costs, with a call that finds nothing. */
static int lookup_nothing(struct lookup *tables, virtq_addr_t addr, struct virtq_window *window)
{
    (void)tables;
    window->first = addr & -(virtq_addr_t)PAGE;
    return 0;
}

/* The floor: a sorted array, and nothing looked at but addresses. */
static const struct virtq_region *search(const struct lookup *tables, virtq_addr_t addr)
{
    unsigned low = 0;
    unsigned high = tables->count;

    while (low < high) {
        unsigned middle = low + (high - low) / 2;

        if (tables->regions[middle].last < addr) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return &tables->regions[low];
}

/* No lookup waits for the one before: their latencies overlap, as they do for the segments of a
 * buffer. */
static int run_function(struct lookup *tables, lookup_function function, uint64_t units,
                        struct bench_sample *sample)
{
    const virtq_addr_t *queries = tables->queries;
    uint64_t wrong = 0;

    /* Or the call that finds nothing would be none. */
    VIRTQ_OPAQUE(function);
    bench_timer_start(&sample->timer);
    for (uint64_t i = 0; i < units; i++) {
        virtq_addr_t addr = queries[i % QUERIES];
        struct virtq_window window = {.permissions = 0};

        wrong |=
            (uint64_t)function(tables, addr, &window) | (window.first ^ (addr & -(uint64_t)PAGE));
    }
    bench_timer_stop(&sample->timer);
    sample->units = units;
    return wrong == 0 ? 0 : -1;
}

static int run_lookups(void *context, uint64_t units, struct bench_sample *sample)
{
    struct lookup *tables = context;

    return run_function(tables, tables->function, units, sample);
}

static int run_nothing(void *context, uint64_t units, struct bench_sample *sample)
{
    return run_function(context, lookup_nothing, units, sample);
}

static int run_array(void *context, uint64_t units, struct bench_sample *sample)
{
    const struct lookup *tables = context;
    uint64_t wrong = 0;

    bench_timer_start(&sample->timer);
    for (uint64_t i = 0; i < units; i++) {
        virtq_addr_t addr = tables->queries[i % QUERIES];

        wrong |= search(tables, addr)->first ^ (addr & -(uint64_t)PAGE);
    }
    bench_timer_stop(&sample->timer);
    sample->units = units;
    return wrong == 0 ? 0 : -1;
}

/* Everything that an answer says, for each region: not while the clock runs. */
static int verify(struct lookup *tables)
{
    for (unsigned i = 0; i < tables->count; i++) {
        const struct virtq_region *region = &tables->regions[i];
        struct virtq_window window;

        if (tables->function(tables, region->first + i % PAGE, &window) != 0 ||
            window.first != region->first || window.last != region->last ||
            window.base != region->base || window.permissions != region->permissions) {
            return -1;
        }
    }
    return 0;
}

static int add(struct lookup *tables, const struct virtq_region *region)
{
    if (tables->table == TABLE_IOTLB) {
        return virtq_iotlb_update(&tables->iotlb, region->first, region->last, region->base,
                                  region->permissions);
    }
    return virtq_domain_map(&tables->domain, region->first, region->last, region->base,
                            region->permissions);
}

/* In random order, as mappings come in life: a tree that was filled in order is another one. */
static int fill(struct lookup *tables, uint64_t *seed)
{
    unsigned *order = calloc(tables->count, sizeof(*order));
    int error = order != NULL ? 0 : -1;

    for (unsigned i = 0; i < tables->count && error == 0; i++) {
        unsigned other = (unsigned)(random_next(seed) % (i + 1));

        order[i] = order[other];
        order[other] = i;
    }
    for (unsigned i = 0; i < tables->count && error == 0; i++) {
        error = add(tables, &tables->regions[order[i]]);
    }
    free(order);
    return error;
}

static void lookup_close(struct lookup *tables)
{
    free(tables->regions);
    free(tables->queries);
    free(tables->memory);
}

static int lookup_open(struct lookup *tables, unsigned table, unsigned count)
{
    size_t size = virtq_domain_size(count);
    uint64_t seed = count;
    int error;

    memset(tables, 0, sizeof(*tables));
    tables->table = table;
    tables->count = count;
    tables->regions = calloc(count, sizeof(*tables->regions));
    tables->queries = calloc(QUERIES, sizeof(*tables->queries));
    tables->memory = malloc(size);
    if (tables->regions == NULL || tables->queries == NULL || tables->memory == NULL) {
        return -1;
    }
    for (unsigned i = 0; i < count; i++) {
        virtq_addr_t first = (virtq_addr_t)(2 * i + 1) * PAGE;

        tables->regions[i] = (struct virtq_region){
            first, first + PAGE - 1, (void *)(uintptr_t)(first + PAGE), VIRTQ_PERMISSION_READ};
    }
    for (unsigned i = 0; i < QUERIES; i++) {
        tables->queries[i] =
            tables->regions[random_next(&seed) % count].first + random_next(&seed) % PAGE;
    }
    switch (table) {
    case TABLE_IOTLB:
        tables->function = lookup_iotlb;
        error = virtq_iotlb_init(&tables->iotlb, count, tables->memory, size);
        break;
    case TABLE_DOMAIN:
        tables->function = lookup_domain;
        error = virtq_domain_init(&tables->domain, count, tables->memory, size);
        break;
    default:
        tables->function = lookup_direct;
        error = virtq_direct_init_regions(&tables->direct, tables->regions, count);
    }
    if (error == 0 && table != TABLE_DIRECT) {
        error = fill(tables, &seed);
    }
    return error == 0 ? verify(tables) : -1;
}

static int run(const struct bench_command *command, const struct bench_options *options)
{
    static const char *const floors[] = {"sorted array", "empty call"};
    struct bench_effort effort = bench_effort_choose(options->quick, options->rounds, QUICK_NS);
    struct bench_results results;
    struct bench_progress progress;
    struct bench_point point;

    bench_results_begin(&results, options);
    bench_progress_begin(&progress, command->name,
                         bench_axes_count(command->axes, command->axis_count));
    for (bool more = bench_axes_next(command->axes, command->axis_count, &point, true);
         more && !bench_stop_asked();
         more = bench_axes_next(command->axes, command->axis_count, &point, false)) {
        json_t *row = bench_results_row(&results, command, &point);
        struct lookup tables;
        struct bench_subject subject = {run_lookups, &tables};
        struct bench_subject floor[] = {{run_array, &tables}, {run_nothing, &tables}};
        struct bench_measured measured;

        bench_progress_step(&progress, table_names[point.at[0]]);
        if (lookup_open(&tables, point.at[0], counts[point.at[1]]) == 0 &&
            bench_measure(&subject, floor, 2, &effort, &measured) == 0) {
            bench_row_set_measured(row, "lookup", &measured, floors);
        } else {
            bench_row_fail(&results, row, "a wrong window, or no memory");
        }
        lookup_close(&tables);
    }
    bench_progress_end(&progress);
    return bench_results_end(&results, options);
}

const struct bench_command bench_command_lookup = {
    .name = "lookup",
    .summary = "ns to find the window of a random address, over the number of windows",
    .text =
        "Measures random lookups in the tables behind a device end: IOTLB, domain, regions of the direct space.\v"
        "Beside each, in the same round, the floors: a binary search in a sorted array, and the "
        "loop with a call that finds nothing.",
    .axes = axes,
    .axis_count = 2,
    .run = run,
};
