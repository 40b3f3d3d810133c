/* SPDX-License-Identifier: BSD-3-Clause */
/* Staging with slots that the queue keeps. L5. */
#include <pthread.h>

#include "bar_stage_fixture.h"
#include "support/random.h"

Test(space_bar_stage_slots, a_queue_keeps_as_many_slots_of_a_size_as_it_was_told)
{
    static unsigned char bytes[65536];
    struct spaces_buffer buffers[6];
    struct virtq_bar_stage_config config;
    struct stage s;

    config = stage_open(&s, VIRTQ_BAR_CACHEABLE, 0, 0);
    stage_keep(&s, &s.stage, config, 2, 4, s.kept);
    for (unsigned i = 0; i < 6; i++) {
        spaces_segment(&buffers[i], 0, bytes, 100);
        cr_assert_eq(spaces_map(&s.stage.space, &buffers[i], i % 2, 1 - i % 2, 1), 0);
    }
    cr_assert_eq(s.bar.granules.taken, 12u);
    for (unsigned i = 0; i < 6; i++) {
        spaces_unmap(&s.stage.space, &buffers[i], 0);
    }
    cr_assert_eq(s.bar.granules.taken, 8u);
    cr_assert_eq(usage_of(&s.stage).misses, 6u);
    cr_assert_eq(usage_of(&s.stage).returns, 2u);
    cr_assert_eq(usage_of(&s.stage).high_water, 6 * 128u);
    cr_assert_eq(usage_of(&s.stage).held, 4 * 128u);
    cr_assert_eq(usage_of(&s.stage).kept, 4 * 128u);
    /* Larger than the largest class, and all that is left: what is kept goes for it. */
    spaces_segment(&buffers[0], 0, bytes, s.size);
    cr_assert_eq(spaces_map(&s.stage.space, &buffers[0], 1, 0, 1), 0);
    cr_assert_eq(usage_of(&s.stage).kept, 0u);
    spaces_segment(&buffers[1], 0, bytes, 1);
    cr_assert_eq(spaces_map(&s.stage.space, &buffers[1], 1, 0, 1), VIRTQ_ENOMEM);
    spaces_unmap(&s.stage.space, &buffers[0], 0);
    cr_assert_eq(s.bar.granules.taken, 0u);
    spaces_segment(&buffers[1], 0, bytes, s.size + 1);
    cr_assert_eq(spaces_map(&s.stage.space, &buffers[1], 1, 0, 1), VIRTQ_ETOOBIG);
    cr_assert_eq(usage_of(&s.stage).shortages, 1u);
    cr_assert_eq(usage_of(&s.stage).too_big, 1u);
    stage_close(&s);
}

/* A queue on a thread of its own, with several buffers outstanding, of sizes that vary. */
struct worker {
    struct stage *s;
    struct virtq_bar_stage stage;
    uint64_t kept[VIRTQ_SLOTS_CLASSES_MAX * 8];
    unsigned char mark;
    unsigned rounds;
    int wrong;
};

enum { OUTSTANDING = 4 };

static void *stages(void *context)
{
    struct worker *worker = context;
    struct virtq_space *space = &worker->stage.space;
    uint64_t seed = worker->mark;

    for (unsigned round = 0; round < worker->rounds; round++) {
        struct spaces_buffer buffers[OUTSTANDING];
        unsigned char data[OUTSTANDING][300];
        uint32_t len[OUTSTANDING];

        for (unsigned i = 0; i < OUTSTANDING; i++) {
            len[i] = 1 + (uint32_t)random_below(&seed, 150);
            memset(data[i], worker->mark + (int)i, sizeof(data[i]));
            spaces_segment(&buffers[i], 0, data[i], len[i]);
            spaces_segment(&buffers[i], 1, data[i] + 150, len[i]);
            worker->wrong |= spaces_map(space, &buffers[i], 1, 1, 2) != 0;
        }
        for (unsigned i = 0; i < OUTSTANDING; i++) {
            unsigned char *in = at(worker->s, &buffers[i].runs[0]);
            unsigned char *out = at(worker->s, &buffers[i].runs[1]);

            worker->wrong |=
                memcmp(in, data[i], len[i]) != 0 || memcmp(out, data[i] + 150, len[i]) != 0;
            memset(out, 0x80 | worker->mark, len[i]);
            spaces_unmap(space, &buffers[i], len[i]);
            worker->wrong |= data[i][150 + len[i] - 1] != (0x80 | worker->mark);
        }
    }
    return NULL;
}

Test(space_bar_stage_slots, l5_two_queues_share_no_lock_in_steady_state)
{
    static struct worker workers[2];
    const unsigned rounds = getenv("VIRTQ_TEST_HURRIED") != NULL ? 100 : 10000;
    struct virtq_bar_stage_config config;
    pthread_t threads[2];
    uint64_t misses[2];
    struct stage s;

    config = stage_open(&s, VIRTQ_BAR_CACHEABLE, 0, 0);
    config.copy = (struct virtq_copy){NULL, NULL, NULL, NULL, NULL};
    let(&s, PROT_READ | PROT_WRITE);
    for (unsigned i = 0; i < 2; i++) {
        workers[i].s = &s;
        workers[i].mark = (unsigned char)(16 * (i + 1));
        stage_keep(&s, &workers[i].stage, config, 4, OUTSTANDING, workers[i].kept);
        /* All sizes have come as often as they ever will at once. */
        for (unsigned size = 0; size < 4; size++) {
            static unsigned char bytes[512];
            struct spaces_buffer buffers[OUTSTANDING];

            for (unsigned k = 0; k < OUTSTANDING; k++) {
                spaces_segment(&buffers[k], 0, bytes, (uint64_t)GRANULE << size);
                cr_assert_eq(spaces_map(&workers[i].stage.space, &buffers[k], 1, 0, 1), 0);
            }
            for (unsigned k = 0; k < OUTSTANDING; k++) {
                spaces_unmap(&workers[i].stage.space, &buffers[k], 0);
            }
        }
        misses[i] = usage_of(&workers[i].stage).misses;
        workers[i].rounds = rounds;
    }
    /* With the books locked for good, one question to them would not come back. */
    s.bar.granules.lock = 1;
    for (unsigned i = 0; i < 2; i++) {
        cr_assert_eq(pthread_create(&threads[i], NULL, stages, &workers[i]), 0);
    }
    for (unsigned i = 0; i < 2; i++) {
        cr_assert_eq(pthread_join(threads[i], NULL), 0);
        cr_assert_eq(workers[i].wrong, 0);
        cr_assert_eq(usage_of(&workers[i].stage).misses, misses[i]);
    }
    s.bar.granules.lock = 0;
    for (unsigned i = 0; i < 2; i++) {
        cr_assert_eq(virtq_bar_stage_flush(&workers[i].stage), 4 * (64 + 128 + 256 + 512u));
        cr_assert_eq(usage_of(&workers[i].stage).held, 0u);
    }
    stage_close(&s);
}
