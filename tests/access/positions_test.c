/* SPDX-License-Identifier: BSD-3-Clause */
/* Each row of the table in docs/access.md is a test of that name. The rows are those of the
 * command, which prints the table; what is expected is written in them by hand. */
#include "../../bench/access/positions.h"

#include <string.h>

#include "runner.h"

static void check(const struct access_position *position)
{
    struct virtq_access_facts seen = position->facts;
    struct virtq_access_decision device = {0};
    struct virtq_access_decision driver = {0};
    struct virtq_access_decision agreed = {0};

    cr_assert_null(virtq_access_objection(&seen), "%s", virtq_access_objection(&seen));
    cr_assert_eq(virtq_access_device(&position->facts, &device) == VIRTQ_OK,
                 position->device.space != 0u, "%s", virtq_access_reason_name(device.reason));
    cr_assert_eq(device.space, position->device.space, "%s",
                 virtq_access_reason_name(device.reason));
    cr_assert_eq(device.reason, position->device.reason, "%s",
                 virtq_access_reason_name(device.reason));
    cr_assert_eq(device.bounce, (uint32_t)VIRTQ_ACCESS_BOUNCE_NONE);
    if (device.space == 0u) {
        cr_assert_eq(position->driver.reason, 0u, "the driver is never asked");
        return;
    }
    seen.features = device.offer;
    cr_assert_eq(virtq_access_driver(&seen, &driver) == VIRTQ_OK, position->driver.space != 0u,
                 "%s", virtq_access_reason_name(driver.reason));
    cr_assert_eq(driver.space, position->driver.space, "%s",
                 virtq_access_reason_name(driver.reason));
    cr_assert_eq(driver.bounce, position->driver.bounce);
    cr_assert_eq(driver.reason, position->driver.reason, "%s",
                 virtq_access_reason_name(driver.reason));
    if (driver.space == 0u) {
        cr_assert_eq(position->agreed.reason, 0u, "nothing is negotiated");
        return;
    }
    cr_assert_eq(virtq_access_agree(&position->facts, driver.accept, &agreed) == VIRTQ_OK,
                 position->agreed.space != 0u, "%s", virtq_access_reason_name(agreed.reason));
    cr_assert_eq(agreed.space, position->agreed.space);
    cr_assert_eq(agreed.reason, position->agreed.reason, "%s",
                 virtq_access_reason_name(agreed.reason));
}

#define POSITION(name, seed, text, facts, device, driver, agreed) \
    Test(access_positions, name)                                  \
    {                                                             \
        static const struct access_position row = {               \
            #name, seed, text, facts, device, driver, agreed,     \
        };                                                        \
                                                                  \
        check(&row);                                              \
    }
#include "../../bench/access/position_rows.h"
#undef POSITION

#define POSITION(name, seed, text, facts, device, driver, agreed) \
    {#name, seed, text, facts, device, driver, agreed},
static const struct access_position rows[] = {
#include "../../bench/access/position_rows.h"
};
#undef POSITION

enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

Test(access_positions, every_reason_but_what_only_a_foreign_peer_causes_is_in_some_row)
{
    for (uint32_t reason = 0; reason <= (uint32_t)VIRTQ_ACCESS_VERSION_MISSING; reason++) {
        unsigned count = 0;

        for (unsigned i = 0; i < ROWS; i++) {
            count += rows[i].device.reason == reason || rows[i].driver.reason == reason ||
                             rows[i].agreed.reason == reason
                         ? 1u
                         : 0u;
        }
        /* Offset: no position; the rest: an end that is not this library's. */
        if (strcmp(virtq_access_reason_name(reason), "unknown reason") != 0 &&
            reason != (uint32_t)VIRTQ_ACCESS_OFFSET &&
            reason != (uint32_t)VIRTQ_ACCESS_NOT_BYPASSED &&
            reason != (uint32_t)VIRTQ_ACCESS_NOT_OFFERED &&
            reason != (uint32_t)VIRTQ_ACCESS_VERSION_MISSING) {
            cr_assert(count > 0, "%s", virtq_access_reason_name(reason));
        }
    }
}

Test(access_positions, every_row_has_a_name_of_its_own_and_a_discussion)
{
    for (unsigned i = 0; i < ROWS; i++) {
        cr_assert(strcmp(rows[i].seed, "000") == 0 || strcmp(rows[i].seed, "002") == 0 ||
                  strcmp(rows[i].seed, "003") == 0);
        cr_assert(strlen(rows[i].text) > 20);
        for (unsigned k = 0; k < i; k++) {
            cr_assert(strcmp(rows[i].name, rows[k].name) != 0, "%s", rows[i].name);
        }
    }
}
