/* SPDX-License-Identifier: BSD-3-Clause */
/* The virtio-iommu device against a model that is an array of granules, for random requests. M5. */
#include <stdio.h>

#include "support/random.h"
#include "virtio_iommu_device_fixture.h"

enum {
    GRANULES = 512, /* Of each domain. */
    DOMAINS = 3,
    MAPPINGS = 200,
    PAGE = 4096,
#ifdef VIRTQ_TEST_TINY
    STEPS = 20000
#else
    STEPS = 200000
#endif
};

/* A granule that is mapped: by which mapping, and to where. */
struct granule {
    uint32_t mapping; /* 0: none. */
    uint32_t flags;
    uint64_t phys;
};

struct model {
    struct granule granules[DOMAINS][GRANULES];
    int attached[RIG_ENDPOINTS]; /* A domain, or -1. */
    uint32_t mappings;
    uint32_t next;
};

static bool exists(const struct model *model, int domain)
{
    unsigned i;

    for (i = 0; i < RIG_ENDPOINTS; i++) {
        if (model->attached[i] == domain) {
            return true;
        }
    }
    return false;
}

/* How many mappings begin in a range of granules. */
static uint32_t starts(const struct granule *row, unsigned first, unsigned last)
{
    uint32_t count = 0;
    unsigned i;

    for (i = first; i <= last; i++) {
        count += row[i].mapping != 0 && (i == 0 || row[i - 1].mapping != row[i].mapping);
    }
    return count;
}

static void leave(struct model *model, unsigned endpoint)
{
    const int domain = model->attached[endpoint];

    model->attached[endpoint] = -1;
    if (domain >= 0 && !exists(model, domain)) {
        model->mappings -= starts(model->granules[domain], 0, GRANULES - 1);
        memset(model->granules[domain], 0, sizeof(model->granules[domain]));
    }
}

static int model_map(struct model *model, int domain, unsigned first, unsigned last, uint64_t phys,
                     uint32_t flags)
{
    struct granule *row = model->granules[domain];
    unsigned i;

    if (!exists(model, domain)) {
        return VIRTIO_IOMMU_S_NOENT;
    }
    if (model->mappings == MAPPINGS) {
        return VIRTIO_IOMMU_S_NOMEM;
    }
    for (i = first; i <= last; i++) {
        if (row[i].mapping != 0) {
            return VIRTIO_IOMMU_S_INVAL;
        }
    }
    model->next++;
    model->mappings++;
    for (i = first; i <= last; i++) {
        row[i] = (struct granule){model->next, flags, phys + (uint64_t)(i - first) * PAGE};
    }
    return VIRTIO_IOMMU_S_OK;
}

static int model_unmap(struct model *model, int domain, unsigned first, unsigned last)
{
    struct granule *row = model->granules[domain];

    if (!exists(model, domain)) {
        return VIRTIO_IOMMU_S_NOENT;
    }
    if ((first > 0 && row[first].mapping != 0 && row[first - 1].mapping == row[first].mapping) ||
        (last + 1 < GRANULES && row[last].mapping != 0 &&
         row[last + 1].mapping == row[last].mapping)) {
        return VIRTIO_IOMMU_S_RANGE;
    }
    model->mappings -= starts(row, first, last);
    memset(row + first, 0, (last - first + 1) * sizeof(*row));
    return VIRTIO_IOMMU_S_OK;
}

/* An address of an endpoint, through the device and through the model. */
static void compare(struct rig *rig, const struct model *model, unsigned endpoint, unsigned at,
                    uint32_t permission)
{
    const int domain = model->attached[endpoint];
    const struct granule *granule = domain < 0 ? NULL : &model->granules[domain][at];
    struct virtq_virtio_iommu_mapping mapping = {0, 0, 0, 0};
    const uint64_t addr = (uint64_t)at * PAGE + 5;
    const int error = virtq_virtio_iommu_endpoint_translate(&rig->endpoints[endpoint], addr,
                                                            permission, &mapping);

    if (granule == NULL || granule->mapping == 0) {
        cr_assert_eq(error, VIRTQ_EFAULT);
    } else if ((granule->flags & permission) != permission) {
        cr_assert_eq(error, VIRTQ_EPERM);
    } else {
        cr_assert_eq(error, VIRTQ_OK);
        cr_assert_eq(mapping.phys + (addr - mapping.first), granule->phys + 5);
        cr_assert_eq(mapping.flags, granule->flags);
        cr_assert(mapping.first <= addr && addr <= mapping.last);
    }
}

static void step(struct rig *rig, struct model *model, uint64_t *random)
{
    const int domain = (int)random_below(random, DOMAINS);
    const unsigned endpoint = (unsigned)random_below(random, RIG_ENDPOINTS);
    const unsigned first = (unsigned)random_below(random, GRANULES);
    const uint64_t most = random_below(random, 40) == 0 ? GRANULES : 4;
    unsigned last = first + (unsigned)random_below(random, most);
    const uint32_t flags = (uint32_t)random_below(random, 4);
    const uint64_t phys = RIG_PHYS + random_below(random, 64) * PAGE;

    last = last < GRANULES ? last : GRANULES - 1;
    switch (random_below(random, 100)) {
    case 0:
        leave(model, endpoint);
        model->attached[endpoint] = -1;
        (void)rig_detach(rig, (uint32_t)domain, 0);
        if (rig->endpoints[endpoint].domain != NULL) {
            unsigned id;

            for (id = 0; id < DOMAINS && rig_detach(rig, id, RIG_ID + endpoint) != 0; id++) {
            }
        }
        break;
    case 1:
        if (model->attached[endpoint] != domain) {
            leave(model, endpoint);
        }
        model->attached[endpoint] = domain;
        cr_assert_eq(rig_attach(rig, (uint32_t)domain, RIG_ID + endpoint), VIRTIO_IOMMU_S_OK);
        break;
    default:
        if (random_below(random, 2) == 0) {
            const int expected = model_map(model, domain, first, last, phys, flags);

            cr_assert_eq(rig_map(rig, (uint32_t)domain, (uint64_t)first * PAGE,
                                 (uint64_t)last * PAGE + PAGE - 1, phys, flags),
                         expected);
        } else {
            const int expected = model_unmap(model, domain, first, last);

            cr_assert_eq(rig_unmap(rig, (uint32_t)domain, (uint64_t)first * PAGE,
                                   (uint64_t)last * PAGE + PAGE - 1),
                         expected);
        }
        break;
    }
    compare(rig, model, endpoint, first, 1 + (uint32_t)random_below(random, 3));
    compare(rig, model, endpoint, last, RIG_READ);
}

Test(iommu_virtio_iommu_device_random, the_device_equals_its_model)
{
    static struct model model;
    uint64_t random = 20260718;
    struct rig rig;
    unsigned i;

    (void)fprintf(stderr, "seed %llu\n", (unsigned long long)random);
    memset(&model, 0, sizeof(model));
    rig_prepare(&rig);
    rig.config.mappings = MAPPINGS;
    rig_start(&rig);
    for (i = 0; i < RIG_ENDPOINTS; i++) {
        model.attached[i] = -1;
    }
    for (i = 0; i < STEPS; i++) {
        step(&rig, &model, &random);
        if (i % 64 == 0) {
            cr_assert_eq(rig_usage(&rig).mappings, model.mappings, "step %u", i);
        }
    }
    rig_close(&rig);
}
