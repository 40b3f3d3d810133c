/* SPDX-License-Identifier: BSD-3-Clause */
#include "report/value.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const json_t *find(const json_t *object, const char *path)
{
    char key[64];

    while (object != NULL) {
        size_t length = strcspn(path, ".");

        (void)snprintf(key, sizeof(key), "%.*s", (int)length, path);
        object = json_object_get(object, key);
        if (path[length] == '\0') {
            return object;
        }
        path += length + 1;
    }
    return NULL;
}

double bench_value_number(const json_t *object, const char *path)
{
    const json_t *value = find(object, path);

    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

const char *bench_value_text(const json_t *object, const char *path)
{
    const char *text = json_string_value(find(object, path));

    return text != NULL ? text : "";
}

const char *bench_value_axis(const json_t *row, const char *axis)
{
    return bench_value_text(json_object_get(row, "axes"), axis);
}

bool bench_value_matches(const json_t *row, const char *command, ...)
{
    bool matches = strcmp(bench_value_text(row, "command"), command) == 0;
    const char *condition;
    va_list conditions;

    va_start(conditions, command);
    while (matches && (condition = va_arg(conditions, const char *)) != NULL) {
        char axis[64];
        size_t length = strcspn(condition, "=");

        (void)snprintf(axis, sizeof(axis), "%.*s", (int)length, condition);
        matches = condition[length] == '=' &&
                  strcmp(bench_value_axis(row, axis), condition + length + 1) == 0;
    }
    va_end(conditions);
    return matches;
}

static int digits_after_point(double value)
{
    if (value >= 99.95) {
        return 0;
    }
    return value >= 9.995 ? 1 : 2;
}

const char *bench_value_ns(char *text, double ns)
{
    (void)snprintf(text, BENCH_VALUE_ROOM, isfinite(ns) ? "%.*f" : "-", digits_after_point(ns), ns);
    return text;
}

const char *bench_value_time(char *text, double ns)
{
    static const char *const units[] = {"ns", "us", "ms", "s"};
    unsigned unit = 0;

    if (!isfinite(ns)) {
        return bench_value_ns(text, ns);
    }
    for (; ns >= 999.5 && unit < 3; unit++) {
        ns /= 1000.0;
    }
    (void)snprintf(text, BENCH_VALUE_ROOM, "%.*f %s", unit == 0 ? 0 : digits_after_point(ns), ns,
                   units[unit]);
    return text;
}

const char *bench_value_ratio(char *text, double ratio)
{
    (void)snprintf(text, BENCH_VALUE_ROOM, isfinite(ratio) ? "%.*fx" : "-",
                   digits_after_point(ratio), ratio);
    return text;
}

const char *bench_value_rate(char *text, double bytes)
{
    if (!isfinite(bytes)) {
        return bench_value_ns(text, bytes);
    }
    if (bytes >= 1e9) {
        (void)snprintf(text, BENCH_VALUE_ROOM, "%.*f GB/s", digits_after_point(bytes / 1e9),
                       bytes / 1e9);
    } else {
        (void)snprintf(text, BENCH_VALUE_ROOM, "%.0f MB/s", bytes / 1e6);
    }
    return text;
}

const char *bench_value_count(char *text, double count)
{
    (void)snprintf(text, BENCH_VALUE_ROOM, isfinite(count) ? "%.0f" : "-", count);
    return text;
}

const char *bench_value_spread(char *text, const json_t *spread)
{
    double median = bench_value_number(spread, "median");
    double half = (bench_value_number(spread, "p75") - bench_value_number(spread, "p25")) / 2.0;

    (void)snprintf(text, BENCH_VALUE_ROOM, isfinite(half) && median > 0.0 ? "%.0f" : "-",
                   half / median * 100.0);
    return text;
}
