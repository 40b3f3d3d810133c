/* SPDX-License-Identifier: BSD-3-Clause */
/* What the staging tests share: a region that traps every access that is not one of the copy's. */
#ifndef VIRTQ_TESTS_SPACE_BAR_STAGE_FIXTURE_H
#define VIRTQ_TESTS_SPACE_BAR_STAGE_FIXTURE_H

#include <stdlib.h>

#include "support/guarded.h"
#include "support/runner.h"
#include "support/spaces.h"
#include "virtq/space/bar_stage.h"

enum { PAGES = 4, GRANULE = 64, SHIFT = 40, ID = 9 };

/* A region that nobody can touch but the copy's functions, and they only in whole units. */
struct stage {
    struct virtq_bar bar;
    struct virtq_bar_stage stage;
    unsigned char *base;
    size_t size;
    uint64_t *books;
    uint32_t unit;
    uint64_t kept[VIRTQ_SLOTS_CLASSES_MAX * 8];
    unsigned in; /* Calls. */
    unsigned out;
    unsigned done;
};

static inline void let(struct stage *s, int how)
{
    cr_assert_eq(mprotect(s->base, s->size, how), 0);
}

static inline void check_units(const struct stage *s, const void *at, size_t len)
{
    cr_assert((uintptr_t)at % s->unit == 0 && len % s->unit == 0, "an odd access");
    cr_assert((uintptr_t)at - (uintptr_t)s->base <= s->size - len, "outside the region");
}

static inline void copy_in(void *context, void *to, const void *from, size_t len)
{
    struct stage *s = context;

    check_units(s, to, len);
    s->in++;
    let(s, PROT_READ | PROT_WRITE);
    memcpy(to, from, len);
    let(s, PROT_NONE);
}

static inline void copy_out(void *context, void *to, const void *from, size_t len)
{
    struct stage *s = context;

    check_units(s, from, len);
    s->out++;
    let(s, PROT_READ);
    memcpy(to, from, len);
    let(s, PROT_NONE);
}

static inline void copy_done(void *context)
{
    ((struct stage *)context)->done++;
}

static inline struct virtq_bar_stage_config stage_open(struct stage *s, uint32_t memory,
                                                       uint32_t widths, uint32_t low_mask)
{
    struct virtq_bar_stage_config config = VIRTQ_BAR_STAGE_CONFIG_INIT;
    struct virtq_bar_config bar = VIRTQ_BAR_CONFIG_INIT;
    size_t books;

    memset(s, 0, sizeof(*s));
    s->unit = widths != 0 ? widths & (0u - widths) : 1;
    s->size = PAGES * guarded_page();
    s->base = guarded_alloc(s->size);
    let(s, PROT_NONE);
    bar.base = s->base;
    bar.size = s->size;
    bar.permissions = SPACES_BOTH;
    bar.id = ID;
    bar.shift = SHIFT;
    bar.memory = memory;
    bar.widths = widths;
    cr_assert_eq(virtq_bar_init_config(&s->bar, &bar), 0);
    books = virtq_bar_private_size(s->size, GRANULE);
    s->books = malloc(books);
    cr_assert_eq(virtq_bar_manage(&s->bar, GRANULE, s->books, books), 0);
    config.bar = &s->bar;
    config.copy = (struct virtq_copy){copy_in, copy_out, NULL, copy_done, s};
    config.low_mask = low_mask;
    cr_assert_eq(virtq_bar_stage_init(&s->stage, &config), 0);
    return config;
}

/* The same again as the space of one queue, which keeps slots. */
static inline void stage_keep(struct stage *s, struct virtq_bar_stage *stage,
                              struct virtq_bar_stage_config config, uint32_t classes,
                              uint32_t depth, uint64_t *kept)
{
    config.bar = &s->bar;
    config.classes = classes;
    config.depth = depth;
    config.memory = kept;
    config.memory_size = virtq_bar_stage_private_size(&config);
    cr_assert(config.memory_size != 0 && config.memory_size <= sizeof(s->kept));
    cr_assert_eq(virtq_bar_stage_init(stage, &config), 0);
}

static inline struct virtq_slots_usage usage_of(const struct virtq_bar_stage *stage)
{
    struct virtq_slots_usage usage;

    virtq_bar_stage_read_usage(stage, &usage);
    return usage;
}

static inline void stage_close(struct stage *s)
{
    (void)virtq_bar_stage_flush(&s->stage);
    cr_assert_eq(s->bar.granules.taken, 0u, "slots are lost");
    guarded_free(s->base, s->size);
    free(s->books);
}

static inline unsigned char *at(const struct stage *s, const struct virtq_run *run)
{
    const uint64_t offset = run->addr - ((uint64_t)ID << SHIFT);

    cr_assert(run->len <= s->size && offset <= s->size - run->len);
    return s->base + offset;
}

#endif
