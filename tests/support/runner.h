/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * @brief The tests' runner: Criterion, or a tiny one of ours where Criterion does not run (other
 * machines, qemu-user).
 *
 * With VIRTQ_TINY_RUNNER (or VIRTQ_TEST_TINY) it is ours: Test(suite, name) and the cr_assert
 * family, each of which ends the test when it fails. Both know the same macros, so a test body is
 * written once; tests keep to what is defined here, and to no signals, no fork and no options of
 * Test(). Build runner.c along with the tests.
 */
#ifndef VIRTQ_TESTS_RUNNER_H
#define VIRTQ_TESTS_RUNNER_H

#if !defined(VIRTQ_TINY_RUNNER) && !defined(VIRTQ_TEST_TINY)

#    pragma GCC diagnostic push
#    pragma GCC diagnostic ignored "-Wpedantic"
#    pragma GCC diagnostic ignored "-Wconversion"
#    pragma GCC diagnostic ignored "-Wsign-conversion"
#    pragma GCC diagnostic ignored "-Wundef"
#    include <criterion/criterion.h>
#    pragma GCC diagnostic pop
/* What the macros expand to is judged where they are used. */
#    ifdef __clang__
#        pragma GCC diagnostic ignored "-Wgnu-zero-variadic-macro-arguments"
#    endif
#    pragma GCC diagnostic ignored "-Wpedantic"

#else

/* Criterion's header brings these along: what compiles with one runner has to with the other. */
#    include <stdbool.h>
#    include <stddef.h>
#    include <stdint.h>
#    include <stdio.h>
#    include <stdlib.h>
#    include <string.h>

/** @brief One test, linked into a list before main() runs. */
struct virtq_test {
    const char *suite;       /**< As given to Test(). */
    const char *name;        /**< As given to Test(). */
    const char *file;        /**< Where it stands. */
    void (*run)(void);       /**< Its body. */
    struct virtq_test *next; /**< The one registered before it. */
};

/** @brief Adds a test to the list. */
void virtq_test_register(struct virtq_test *test);

/** @brief Ends the running test unless `holds`.
 * @param file  where the assertion stands
 * @param line  where the assertion stands
 * @param text  the assertion
 * @param holds what it found
 * What follows is nothing but NULL, or a format and its arguments. */
void virtq_test_assert(const char *file, int line, const char *text, int holds, ...);

/** @brief Defines a test; its name is a sentence. */
#    define Test(suite_, name_)                                                            \
        static void suite_##_##name_##_run(void);                                          \
        static struct virtq_test suite_##_##name_##_test = {#suite_, #name_, __FILE__,     \
                                                            suite_##_##name_##_run, NULL}; \
        __attribute__((constructor)) static void suite_##_##name_##_register(void)         \
        {                                                                                  \
            virtq_test_register(&suite_##_##name_##_test);                                 \
        }                                                                                  \
        static void suite_##_##name_##_run(void)

/* The NULL that is added says where the message ends, and that there is none. */
#    define VIRTQ_TEST_TRUE(condition, ...) \
        virtq_test_assert(__FILE__, __LINE__, #condition, (condition) ? 1 : 0, __VA_ARGS__)
#    define VIRTQ_TEST_COMPARE(operation, a, b, ...)                                     \
        virtq_test_assert(__FILE__, __LINE__, #a " " #operation " " #b, (a)operation(b), \
                          __VA_ARGS__)
#    define VIRTQ_TEST_END (const char *)NULL

#    define cr_assert(...) VIRTQ_TEST_TRUE(__VA_ARGS__, VIRTQ_TEST_END)
#    define cr_assert_eq(...) VIRTQ_TEST_COMPARE(==, __VA_ARGS__, VIRTQ_TEST_END)
#    define cr_assert_neq(...) VIRTQ_TEST_COMPARE(!=, __VA_ARGS__, VIRTQ_TEST_END)
#    define cr_assert_lt(...) VIRTQ_TEST_COMPARE(<, __VA_ARGS__, VIRTQ_TEST_END)
#    define cr_assert_leq(...) VIRTQ_TEST_COMPARE(<=, __VA_ARGS__, VIRTQ_TEST_END)
#    define cr_assert_gt(...) VIRTQ_TEST_COMPARE(>, __VA_ARGS__, VIRTQ_TEST_END)
#    define cr_assert_geq(...) VIRTQ_TEST_COMPARE(>=, __VA_ARGS__, VIRTQ_TEST_END)

#    define VIRTQ_TEST_NULL(pointer, ...) \
        virtq_test_assert(__FILE__, __LINE__, #pointer " is NULL", (pointer) == NULL, __VA_ARGS__)
#    define VIRTQ_TEST_NOT_NULL(pointer, ...)                                             \
        virtq_test_assert(__FILE__, __LINE__, #pointer " is not NULL", (pointer) != NULL, \
                          __VA_ARGS__)
#    define VIRTQ_TEST_STR(a, b, ...) \
        virtq_test_assert(__FILE__, __LINE__, #a " is " #b, strcmp((a), (b)) == 0, __VA_ARGS__)

#    define cr_assert_null(...) VIRTQ_TEST_NULL(__VA_ARGS__, VIRTQ_TEST_END)
#    define cr_assert_not_null(...) VIRTQ_TEST_NOT_NULL(__VA_ARGS__, VIRTQ_TEST_END)
#    define cr_assert_str_eq(...) VIRTQ_TEST_STR(__VA_ARGS__, VIRTQ_TEST_END)

#endif

#endif
