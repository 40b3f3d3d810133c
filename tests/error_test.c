/* SPDX-License-Identifier: BSD-3-Clause */
/* Names of errors and reasons, and their numbers, which are part of the ABI. */
#include "virtq/error.h"

#include <limits.h>
#include <string.h>

#include "runner.h"

enum { ERRORS = 12, BUFFER_REASONS = 12, QUEUE_REASONS = 11, REASONS = 23 };

static uint32_t reason_at(unsigned i)
{
    return i < BUFFER_REASONS ? i : VIRTQ_REASON_QUEUE_INDEX + i - BUFFER_REASONS;
}

Test(core_error, every_error_has_a_name_of_its_own)
{
    for (int i = 0; i < ERRORS; i++) {
        cr_assert_not_null(virtq_error_name(-i));
        cr_assert(strlen(virtq_error_name(-i)) > 1);
        cr_assert(strcmp(virtq_error_name(-i), "unknown error") != 0, "error %d", -i);
        for (int k = 0; k < i; k++) {
            cr_assert(strcmp(virtq_error_name(-i), virtq_error_name(-k)) != 0, "%d, %d", -i, -k);
        }
    }
}

Test(core_error, errors_have_the_numbers_of_the_abi)
{
    static const int errors[ERRORS] = {VIRTQ_OK,      VIRTQ_EINVAL, VIRTQ_EFULL,   VIRTQ_ENOMEM,
                                       VIRTQ_EFAULT,  VIRTQ_EMISS,  VIRTQ_EBROKEN, VIRTQ_EBUSY,
                                       VIRTQ_ETOOBIG, VIRTQ_EPERM,  VIRTQ_ENOTSUP, VIRTQ_EPEER};

    for (int i = 0; i < ERRORS; i++) {
        cr_assert_eq(errors[i], -i);
    }
}

Test(core_error, a_result_of_zero_or_more_is_ok)
{
    static const int results[] = {0, 1, 2, 255, 32768, INT_MAX};

    for (unsigned i = 0; i < 6; i++) {
        cr_assert_str_eq(virtq_error_name(results[i]), "ok");
    }
}

Test(core_error, an_unknown_error_is_called_so)
{
    static const int errors[] = {-ERRORS, -12, -13, -255, -32768, INT_MIN + 1, INT_MIN};

    for (unsigned i = 0; i < 7; i++) {
        cr_assert_str_eq(virtq_error_name(errors[i]), "unknown error");
    }
}

Test(core_error, every_reason_has_a_name_of_its_own)
{
    for (unsigned i = 0; i < REASONS; i++) {
        const char *name = virtq_reason_name(reason_at(i));

        cr_assert_not_null(name);
        cr_assert(strlen(name) > 1);
        cr_assert(strcmp(name, "unknown reason") != 0, "reason %u", reason_at(i));
        for (unsigned k = 0; k < i; k++) {
            cr_assert(strcmp(name, virtq_reason_name(reason_at(k))) != 0, "%u, %u", reason_at(i),
                      reason_at(k));
        }
    }
    cr_assert_str_eq(virtq_reason_name(VIRTQ_REASON_NONE), "none");
    cr_assert_eq((int)VIRTQ_REASON_TABLE_LOOP, BUFFER_REASONS - 1);
    cr_assert_eq((int)VIRTQ_REASON_QUEUE_RING, 32 + QUEUE_REASONS - 1);
}

Test(core_error, the_names_of_some_reasons_say_what_they_are_about)
{
    /* A table shifted by one would still be full and distinct. */
    cr_assert_not_null(strstr(virtq_reason_name(VIRTQ_REASON_PERMISSION), "permitted"));
    cr_assert_not_null(strstr(virtq_reason_name(VIRTQ_REASON_TOTAL), "2^32"));
    cr_assert_not_null(strstr(virtq_reason_name(VIRTQ_REASON_TABLE_NESTED), "inside a table"));
    cr_assert_not_null(strstr(virtq_reason_name(VIRTQ_REASON_TABLE_LOOP), "loop"));
    cr_assert_not_null(strstr(virtq_reason_name(VIRTQ_REASON_QUEUE_INDEX), "index"));
    cr_assert_not_null(strstr(virtq_reason_name(VIRTQ_REASON_QUEUE_IN_FLIGHT), "in flight"));
    cr_assert_not_null(strstr(virtq_reason_name(VIRTQ_REASON_QUEUE_ID), "not outstanding"));
    cr_assert_not_null(strstr(virtq_reason_name(VIRTQ_REASON_QUEUE_ORDER), "order"));
    cr_assert_not_null(strstr(virtq_reason_name(VIRTQ_REASON_QUEUE_RING), "granted"));
    cr_assert_not_null(strstr(virtq_error_name(VIRTQ_EFULL), "full"));
    cr_assert_not_null(strstr(virtq_error_name(VIRTQ_EBROKEN), "broken"));
    cr_assert_not_null(strstr(virtq_error_name(VIRTQ_EBUSY), "busy"));
    cr_assert_not_null(strstr(virtq_error_name(VIRTQ_ENOTSUP), "not supported"));
    cr_assert_not_null(strstr(virtq_error_name(VIRTQ_EPEER), "peer"));
}

Test(core_error, an_unknown_reason_is_called_so)
{
    for (uint32_t reason = BUFFER_REASONS; reason < 32; reason++) {
        cr_assert_str_eq(virtq_reason_name(reason), "unknown reason");
    }
    for (uint32_t reason = 32 + QUEUE_REASONS; reason < 1000; reason++) {
        cr_assert_str_eq(virtq_reason_name(reason), "unknown reason");
    }
    for (unsigned bit = 10; bit < 32; bit++) {
        cr_assert_str_eq(virtq_reason_name((uint32_t)1 << bit), "unknown reason");
    }
    cr_assert_str_eq(virtq_reason_name(UINT32_MAX), "unknown reason");
    cr_assert_str_eq(virtq_reason_name((uint32_t)INT_MIN), "unknown reason");
}

Test(core_error, below_32_a_reason_is_about_a_buffer_from_32_on_about_the_queue)
{
    for (uint32_t reason = 0; reason < 32; reason++) {
        cr_assert(!virtq_reason_is_queue(reason));
    }
    for (uint32_t reason = 32; reason < 100; reason++) {
        cr_assert(virtq_reason_is_queue(reason));
    }
    cr_assert(virtq_reason_is_queue(UINT32_MAX));
}
