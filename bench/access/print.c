/* SPDX-License-Identifier: BSD-3-Clause */
#include "access/print.h"

#include <stdio.h>

#include "access/positions.h"
#include "access/words.h"

struct access_outcome access_negotiate(const struct virtq_access_facts *facts)
{
    struct access_outcome outcome = {0};
    struct virtq_access_facts seen = *facts;

    outcome.shown = virtq_access_device(facts, &outcome.device) == VIRTQ_OK;
    seen.features = outcome.device.offer;
    outcome.accepted = outcome.shown && virtq_access_driver(&seen, &outcome.driver) == VIRTQ_OK;
    outcome.works = outcome.accepted &&
                    virtq_access_agree(facts, outcome.driver.accept, &outcome.agreed) == VIRTQ_OK;
    return outcome;
}

static void print_bits(uint64_t bits, unsigned restricted_bit, const char *separator)
{
    const char *before = "";

    for (unsigned i = 0; i < (unsigned)ACCESS_FEATURE_WORDS; i++) {
        if ((bits & access_feature_mask(i, restricted_bit)) != 0u) {
            (void)printf("%s%s", before, access_feature_words[i].name);
            before = separator;
        }
    }
    if (bits == 0u) {
        (void)printf("nothing");
    }
}

static const char *bounce_text(uint32_t bounce)
{
    static const char *const texts[] = {"", ", bounces what is out of reach",
                                        ", bounces everything"};

    return texts[bounce];
}

static void print_advice(const struct virtq_access_decision *decision)
{
    if ((decision->flags & (uint32_t)VIRTQ_ACCESS_DEVICE_ORDER) != 0u) {
        (void)printf(", barriers for devices");
    }
    if ((decision->flags & (uint32_t)VIRTQ_ACCESS_STAGING) != 0u) {
        (void)printf(", may stage parts on the device");
    }
    if ((decision->flags & (uint32_t)VIRTQ_ACCESS_SET_BYPASS) != 0u) {
        (void)printf(", IOMMU set to bypass");
    }
    if ((decision->flags & (uint32_t)VIRTQ_ACCESS_MAP_POOL) != 0u) {
        (void)printf(", pool mapped in the IOMMU");
    }
    if (decision->space != 0u && decision->address_bits < 64u) {
        (void)printf(", addresses of up to %u bits", decision->address_bits);
    }
}

static void print_device(const struct virtq_access_decision *device, unsigned restricted_bit,
                         const char *separator)
{
    (void)printf("%s", virtq_access_space_name(device->space));
    print_advice(device);
    if (device->space == 0u) {
        return;
    }
    (void)printf("; offers ");
    print_bits(device->offer, restricted_bit, separator);
    if (device->require != 0u) {
        (void)printf("; requires ");
        print_bits(device->require, restricted_bit, separator);
    }
    if (device->require_any != 0u) {
        (void)printf("; requires one of ");
        print_bits(device->require_any, restricted_bit, separator);
    }
}

static void print_driver(const struct virtq_access_decision *driver)
{
    (void)printf("%s%s", virtq_access_space_name(driver->space), bounce_text(driver->bounce));
    print_advice(driver);
}

void access_print_outcome(const struct virtq_access_facts *facts,
                          const struct access_outcome *outcome)
{
    unsigned bit = facts->restricted_bit;

    (void)printf("device end:      ");
    print_device(&outcome->device, bit, ", ");
    (void)printf("\n  reason:        %s\n", virtq_access_reason_name(outcome->device.reason));
    if (!outcome->shown) {
        return;
    }
    (void)printf("driver end:      ");
    print_driver(&outcome->driver);
    (void)printf("\n  reason:        %s\n", virtq_access_reason_name(outcome->driver.reason));
    if (!outcome->accepted) {
        return;
    }
    (void)printf("driver accepts:  ");
    print_bits(outcome->driver.accept, bit, ", ");
    (void)printf("\nat FEATURES_OK:  %s", virtq_access_space_name(outcome->agreed.space));
    print_advice(&outcome->agreed);
    (void)printf("\n  reason:        %s\n", virtq_access_reason_name(outcome->agreed.reason));
    if (outcome->works) {
        (void)printf("negotiated:      ");
        print_bits(outcome->agreed.accept, bit, ", ");
        (void)printf("\n");
    }
}

/* Facts as the options of this command that say the same. */
static void print_option(const char **before, const char *option, const char *value)
{
    (void)printf("%s--%s%s%s", *before, option, value[0] != '\0' ? "=" : "", value);
    *before = " ";
}

static void print_list(const char **before, const char *option, uint64_t features, unsigned first,
                       unsigned restricted_bit)
{
    const char *comma = "";

    (void)printf("%s--%s=", *before, option);
    *before = " ";
    for (unsigned i = first; i < (unsigned)ACCESS_FEATURE_WORDS; i++) {
        if ((features & access_feature_mask(i, restricted_bit)) != 0u) {
            (void)printf("%s%s", comma, access_feature_words[i].word);
            comma = ",";
        }
    }
    (void)printf("%s", comma[0] == '\0' ? "none" : "");
}

static void print_flags(const char **before, uint32_t flags)
{
    uint32_t implied = 0;

    for (unsigned i = 0; i < (unsigned)ACCESS_FLAG_WORDS; i++) {
        implied |= (flags & access_flag_words[i].flag) != 0u ? access_flag_words[i].implies : 0u;
    }
    for (unsigned i = 0; i < (unsigned)ACCESS_FLAG_WORDS; i++) {
        if ((flags & ~implied & access_flag_words[i].flag) != 0u) {
            print_option(before, access_flag_words[i].option, "");
        }
    }
}

static void print_facts(const struct virtq_access_facts *facts)
{
    uint64_t all = 0;
    unsigned bit = facts->restricted_bit;
    const char *before = "";
    char number[8];

    for (unsigned i = 0; i < (unsigned)ACCESS_FEATURE_WORDS; i++) {
        all |= access_feature_mask(i, bit);
    }
    print_option(&before, "device", access_generation_words[facts->generation]);
    if ((facts->features & all & ~access_feature_mask(0, bit)) != 0u) {
        print_list(&before, "implements", facts->features, 1, bit);
    }
    if ((facts->known & all) != all) {
        print_list(&before, "driver-knows", facts->known, 0, bit);
    }
    if (facts->iommu != (uint8_t)VIRTQ_ACCESS_IOMMU_ABSENT) {
        print_option(&before, "iommu", access_iommu_words[facts->iommu]);
    }
    if (facts->pool != (uint8_t)VIRTQ_ACCESS_POOL_NONE) {
        print_option(&before, "pool", access_pool_words[facts->pool]);
    }
    print_flags(&before, facts->flags);
    if (facts->device_bits != 64u) {
        (void)snprintf(number, sizeof(number), "%u", facts->device_bits);
        print_option(&before, "device-bits", number);
    }
    if (facts->memory_bits != 64u) {
        (void)snprintf(number, sizeof(number), "%u", facts->memory_bits);
        print_option(&before, "memory-bits", number);
    }
}

/* The reason on which it turned: of whoever refused, else the driver's. */
static uint32_t turning_point(const struct access_outcome *outcome)
{
    if (!outcome->shown) {
        return outcome->device.reason;
    }
    return outcome->accepted && !outcome->works ? outcome->agreed.reason : outcome->driver.reason;
}

static void print_row(const struct access_position *position)
{
    struct access_outcome outcome = access_negotiate(&position->facts);
    unsigned bit = position->facts.restricted_bit;

    (void)printf("| %s | `%s`: %s | `", position->seed, position->name, position->text);
    print_facts(&position->facts);
    (void)printf("` | ");
    print_device(&outcome.device, bit, " ");
    (void)printf(" | ");
    if (outcome.shown) {
        print_driver(&outcome.driver);
    }
    (void)printf(" | ");
    if (outcome.works) {
        print_bits(outcome.agreed.accept, bit, " ");
    } else if (outcome.accepted) {
        (void)printf("refused at FEATURES_OK");
    }
    (void)printf(" | %s |\n", virtq_access_reason_name(turning_point(&outcome)));
}

void access_print_table(void)
{
    (void)printf("| seed | position | facts | device end | driver end | negotiated | why |\n"
                 "|---|---|---|---|---|---|---|\n");
    for (size_t i = 0; access_position_at(i) != NULL; i++) {
        print_row(access_position_at(i));
    }
}
