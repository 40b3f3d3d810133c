/* SPDX-License-Identifier: BSD-3-Clause */
/* The tiny runner: main() of a test program, where Criterion does not run. Nothing otherwise. */
#include "runner.h"

#if defined(VIRTQ_TINY_RUNNER) || defined(VIRTQ_TEST_TINY)

#    include <setjmp.h>
#    include <stdarg.h>
#    include <stdbool.h>
#    include <stdio.h>

static struct virtq_test *tests;
static const struct virtq_test *running;
static jmp_buf out;

void virtq_test_register(struct virtq_test *test)
{
    test->next = tests;
    tests = test;
}

void virtq_test_assert(const char *file, int line, const char *text, int holds, ...)
{
    const char *format;
    va_list arguments;

    if (holds != 0) {
        return;
    }
    printf("%s:%d: %s::%s: failed: %s", file, line, running->suite, running->name, text);
    va_start(arguments, holds);
    format = va_arg(arguments, const char *);
    if (format != NULL) {
        printf(": ");
        vprintf(format, arguments);
    }
    va_end(arguments);
    printf("\n");
    (void)fflush(stdout); /* A sanitizer may end the process before exit() does. */
    longjmp(out, 1);
}

/* Constructors ran in no promised order, but those of one file in its order: back to that. */
static struct virtq_test *reversed(struct virtq_test *list)
{
    struct virtq_test *result = NULL;

    while (list != NULL) {
        struct virtq_test *next = list->next;

        list->next = result;
        result = list;
        list = next;
    }
    return result;
}

static bool passes(const struct virtq_test *test)
{
    running = test;
    if (setjmp(out) != 0) {
        return false;
    }
    test->run();
    return true;
}

/* Whether "suite::name" begins with `prefix`. */
static bool selected(const struct virtq_test *test, const char *prefix)
{
    char name[512];

    (void)snprintf(name, sizeof(name), "%s::%s", test->suite, test->name);
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

static int usage(const char *program)
{
    fprintf(stderr, "usage: %s [-v] [--filter PREFIX]\n", program);
    return 2;
}

int main(int count, char **words)
{
    const char *prefix = "";
    bool verbose = false;
    unsigned passed = 0;
    unsigned failed = 0;
    const struct virtq_test *test;
    int i;

    for (i = 1; i < count; i++) {
        if (strcmp(words[i], "-v") == 0) {
            verbose = true;
        } else if (strcmp(words[i], "--filter") == 0 && i + 1 < count) {
            prefix = words[++i];
        } else {
            return usage(words[0]);
        }
    }
    for (test = reversed(tests); test != NULL; test = test->next) {
        bool good;

        if (!selected(test, prefix)) {
            continue;
        }
        if (verbose) {
            /* Before it runs, so that a crash has a name. */
            printf("%s::%s: ", test->suite, test->name);
            (void)fflush(stdout);
        }
        good = passes(test);
        passed += good;
        failed += !good;
        if (verbose) {
            printf("%s\n", good ? "ok" : "FAILED");
        } else if (!good) {
            printf("%s::%s: FAILED\n", test->suite, test->name);
        }
    }
    printf("%u passed, %u failed\n", passed, failed);
    return failed != 0;
}

#endif
