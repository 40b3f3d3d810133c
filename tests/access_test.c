/* SPDX-License-Identifier: BSD-3-Clause */
/* Access decisions: what holds for all facts together. The cases by name are in
 * access/positions_test.c. */
#include "virtq/access.h"

#include <stdbool.h>
#include <string.h>

#include "access/plain.h"
#include "random.h"
#include "runner.h"

enum { ROUNDS = 20000 };

#define SEED UINT64_C(0x9e3779b97f4a7c15)

static bool is(const struct virtq_access_facts *facts, enum virtq_access_flag flag)
{
    return (facts->flags & (uint32_t)flag) != 0u;
}

static uint64_t some_features(uint64_t *state)
{
    static const uint64_t bits[] = {VERSION, PLATFORM, ORDER, RESTRICTED};
    uint64_t draw = random_next(state);
    uint64_t features = draw & ~(VERSION | PLATFORM | ORDER | RESTRICTED) & (draw >> 8);

    for (unsigned i = 0; i < 4; i++) {
        features |= (draw >> (40 + 2 * i) & 3u) != 0u ? bits[i] : 0u;
    }
    return features;
}

/* Facts that contradict nothing, of every kind. */
static struct virtq_access_facts some_facts(uint64_t *state)
{
    struct virtq_access_facts facts = VIRTQ_ACCESS_FACTS_INIT;

    do {
        uint64_t draw = random_next(state);

        facts.features = some_features(state);
        facts.known = some_features(state);
        /* Few flags at a time, or most draws would be illegal. */
        facts.flags = (uint32_t)(random_next(state) & random_next(state) & 0xfffu);
        facts.generation = (uint8_t)(draw % 4u > 1u ? 2u : draw % 2u);
        facts.iommu = (uint8_t)(draw >> 8 & 3u);
        facts.pool = (uint8_t)((draw >> 16) % 3u);
        facts.device_bits = (uint8_t)((draw >> 24) % 65u);
        facts.memory_bits = (uint8_t)((draw >> 32) % 65u);
    } while (virtq_access_objection(&facts) != NULL);
    return facts;
}

/* What came of a negotiation. */
struct outcome {
    int offered; /* virtq_access_device() */
    int taken;   /* virtq_access_driver() */
    int agreed;  /* virtq_access_agree() */
    struct virtq_access_decision device, driver, final;
};

static struct outcome negotiate(const struct virtq_access_facts *facts)
{
    struct outcome outcome;
    struct virtq_access_facts seen = *facts;

    memset(&outcome, 0, sizeof(outcome));
    outcome.taken = VIRTQ_ENOTSUP;
    outcome.agreed = VIRTQ_ENOTSUP;
    outcome.offered = virtq_access_device(facts, &outcome.device);
    if (outcome.offered == VIRTQ_OK) {
        seen.features = outcome.device.offer;
        outcome.taken = virtq_access_driver(&seen, &outcome.driver);
    }
    if (outcome.taken == VIRTQ_OK) {
        outcome.agreed = virtq_access_agree(facts, outcome.driver.accept, &outcome.final);
    }
    return outcome;
}

#define FOR_ALL(facts, outcome)                           \
    uint64_t state = SEED;                                \
    struct virtq_access_facts facts = some_facts(&state); \
    struct outcome outcome = negotiate(&facts);           \
    for (unsigned round = 0; round < ROUNDS;              \
         round++, facts = some_facts(&state), outcome = negotiate(&facts))

#define HOLDS(condition) \
    cr_assert(condition, "seed %llx, round %u", (unsigned long long)SEED, round)

Test(core_access, every_kind_of_decision_is_drawn)
{
    unsigned spaces[5] = {0};
    unsigned agreed = 0;

    FOR_ALL(facts, outcome)
    {
        spaces[outcome.driver.space]++;
        agreed += outcome.agreed == VIRTQ_OK ? 1u : 0u;
    }
    for (unsigned space = 0; space < 5; space++) {
        cr_assert(spaces[space] > ROUNDS / 200, "%u times %s", spaces[space],
                  virtq_access_space_name(space));
    }
    cr_assert(agreed > ROUNDS / 10, "%u agreed", agreed);
}

Test(core_access, a_refusal_says_why_and_nothing_else)
{
    FOR_ALL(facts, outcome)
    {
        static const struct virtq_access_decision nothing;
        struct virtq_access_decision device = outcome.device;

        HOLDS((outcome.offered == VIRTQ_OK) == !virtq_access_is_refusal(device.reason));
        HOLDS((outcome.offered == VIRTQ_OK) == (device.space != (uint32_t)VIRTQ_ACCESS_NO_SPACE));
        HOLDS(outcome.offered == VIRTQ_OK || outcome.offered == VIRTQ_ENOTSUP);
        device.reason = 0;
        HOLDS(outcome.offered == VIRTQ_OK || memcmp(&device, &nothing, sizeof(nothing)) == 0);
        if (outcome.offered == VIRTQ_OK) {
            HOLDS((outcome.taken == VIRTQ_OK) == !virtq_access_is_refusal(outcome.driver.reason));
        }
        if (outcome.taken == VIRTQ_OK) {
            HOLDS((outcome.agreed == VIRTQ_OK) == !virtq_access_is_refusal(outcome.final.reason));
        }
    }
}

Test(core_access, only_what_is_implemented_is_offered_required_and_accepted)
{
    FOR_ALL(facts, outcome)
    {
        uint64_t offer = outcome.device.offer;

        HOLDS((offer & ~facts.features) == 0u);
        HOLDS((outcome.device.require & ~offer) == 0u);
        HOLDS((outcome.device.require_any & ~offer) == 0u);
        HOLDS((outcome.driver.accept & ~(offer & facts.known)) == 0u);
        HOLDS((outcome.driver.accept & VERSION) != 0u || outcome.driver.accept == 0u);
    }
}

Test(core_access, no_space_is_chosen_in_which_memory_would_be_corrupted)
{
    FOR_ALL(facts, outcome)
    {
        uint64_t bits = outcome.driver.accept;
        bool mapped = outcome.driver.space == (uint32_t)VIRTQ_ACCESS_IOMMU;
        bool always = is(&facts, VIRTQ_ACCESS_PLATFORM_ALWAYS);
        bool forced = is(&facts, VIRTQ_ACCESS_POOL_FORCED);
        bool translated = facts.iommu == (uint8_t)VIRTQ_ACCESS_IOMMU_TRANSLATES &&
                          !is(&facts, VIRTQ_ACCESS_MAY_BYPASS);

        if (outcome.agreed != VIRTQ_OK) {
            continue;
        }
        HOLDS(mapped == (outcome.final.space == (uint32_t)VIRTQ_ACCESS_IOMMU) ||
              (outcome.driver.flags & (uint32_t)VIRTQ_ACCESS_SET_BYPASS) != 0u ||
              is(&facts, VIRTQ_ACCESS_IOMMU_ALIEN) || forced);
        HOLDS(!mapped || facts.iommu == (uint8_t)VIRTQ_ACCESS_IOMMU_TRANSLATES);
        HOLDS(!mapped || (bits & PLATFORM) != 0u || always);
        HOLDS(!translated || mapped || (bits & RESTRICTED) != 0u || forced);
    }
}

Test(core_access, both_ends_agree_on_the_pool)
{
    FOR_ALL(facts, outcome)
    {
        bool pooled = (outcome.driver.accept & RESTRICTED) != 0u;
        uint32_t space = facts.pool == (uint8_t)VIRTQ_ACCESS_POOL_DEVICE
                             ? (uint32_t)VIRTQ_ACCESS_BAR
                             : (uint32_t)VIRTQ_ACCESS_SWIOTLB;

        if (outcome.agreed != VIRTQ_OK) {
            continue;
        }
        HOLDS(!pooled || (outcome.driver.space == space && outcome.final.space == space));
        HOLDS(!pooled || outcome.driver.bounce == (uint32_t)VIRTQ_ACCESS_BOUNCE_ALL);
        HOLDS((outcome.driver.space == (uint32_t)VIRTQ_ACCESS_BAR) ==
              (outcome.final.space == (uint32_t)VIRTQ_ACCESS_BAR));
        HOLDS(outcome.final.bounce == (uint32_t)VIRTQ_ACCESS_BOUNCE_NONE);
    }
}

Test(core_access, a_device_that_reaches_only_a_pool_is_never_given_anything_else)
{
    FOR_ALL(facts, outcome)
    {
        if (outcome.agreed == VIRTQ_OK && is(&facts, VIRTQ_ACCESS_POOL_ONLY)) {
            HOLDS((outcome.driver.accept & RESTRICTED) != 0u ||
                  outcome.final.space == (uint32_t)VIRTQ_ACCESS_IOMMU ||
                  is(&facts, VIRTQ_ACCESS_POOL_FORCED));
        }
    }
}

Test(core_access, hidden_memory_is_never_handed_out)
{
    FOR_ALL(facts, outcome)
    {
        if (outcome.taken == VIRTQ_OK && is(&facts, VIRTQ_ACCESS_HIDDEN)) {
            HOLDS(outcome.driver.bounce == (uint32_t)VIRTQ_ACCESS_BOUNCE_ALL ||
                  (outcome.driver.space == (uint32_t)VIRTQ_ACCESS_IOMMU &&
                   is(&facts, VIRTQ_ACCESS_IOMMU_SHARES)));
        }
    }
}

Test(core_access, an_unprivileged_driver_is_confined_or_refused)
{
    FOR_ALL(facts, outcome)
    {
        if (outcome.taken == VIRTQ_OK && is(&facts, VIRTQ_ACCESS_UNPRIVILEGED)) {
            HOLDS(outcome.driver.space == (uint32_t)VIRTQ_ACCESS_IOMMU ||
                  outcome.driver.space == (uint32_t)VIRTQ_ACCESS_BAR);
            HOLDS((outcome.device.require | outcome.device.require_any) & (PLATFORM | RESTRICTED));
        }
    }
}

Test(core_access, a_device_end_does_not_use_what_it_cannot_know)
{
    FOR_ALL(facts, outcome)
    {
        struct virtq_access_facts less = facts;
        struct outcome again;

        if (is(&facts, VIRTQ_ACCESS_HIDDEN_LATE)) {
            less.flags &= ~((uint32_t)VIRTQ_ACCESS_HIDDEN | (uint32_t)VIRTQ_ACCESS_HIDDEN_LATE);
        }
        less.flags &= ~(uint32_t)VIRTQ_ACCESS_IOMMU_ALIEN;
        less.known = 0;
        less.memory_bits = 64;
        again = negotiate(&less);
        HOLDS(again.offered == outcome.offered);
        HOLDS(memcmp(&again.device, &outcome.device, sizeof(again.device)) == 0);
    }
}

Test(core_access, a_driver_end_does_not_use_what_it_cannot_know)
{
    FOR_ALL(facts, outcome)
    {
        struct virtq_access_facts less = facts;
        struct virtq_access_decision with, without;

        (void)outcome;
        less.flags &= ~(uint32_t)VIRTQ_ACCESS_POOL_ONLY;
        HOLDS(virtq_access_driver(&facts, &with) == virtq_access_driver(&less, &without));
        HOLDS(memcmp(&with, &without, sizeof(with)) == 0);
    }
}

Test(core_access, at_features_ok_whatever_the_driver_wrote_is_judged)
{
    FOR_ALL(facts, outcome)
    {
        uint64_t wrote = some_features(&state);
        struct virtq_access_decision decision = {0};
        int result = virtq_access_agree(&facts, wrote, &decision);

        HOLDS(outcome.offered == VIRTQ_OK || result == VIRTQ_ENOTSUP);
        if (result == VIRTQ_OK) {
            HOLDS((outcome.device.require & ~wrote) == 0u);
            HOLDS(outcome.device.require_any == 0u || (outcome.device.require_any & wrote) != 0u);
            HOLDS((decision.accept & ~(outcome.device.offer & wrote)) == 0u);
        }
    }
}
