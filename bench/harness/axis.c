/* SPDX-License-Identifier: BSD-3-Clause */
#include "harness/axis.h"

#include <string.h>

static unsigned axis_length(const struct bench_axis *axis)
{
    unsigned length = 0;

    while (axis->values[length] != NULL) {
        length++;
    }
    return length;
}

int bench_axis_index(const struct bench_axis *axis, const char *value, size_t length)
{
    for (unsigned index = 0; axis->values[index] != NULL; index++) {
        if (strlen(axis->values[index]) == length &&
            memcmp(axis->values[index], value, length) == 0) {
            return (int)index;
        }
    }
    return -1;
}

static void say_unknown(const struct bench_axis *axis, const char *value, size_t length,
                        char *error, size_t room)
{
    int used = snprintf(error, room, "--%s: '%.*s' is not one of", axis->name, (int)length, value);

    for (unsigned index = 0; axis->values[index] != NULL && used > 0 && (size_t)used < room;
         index++) {
        used += snprintf(error + used, room - (size_t)used, "%s %s", index == 0 ? "" : ",",
                         axis->values[index]);
    }
}

bool bench_axis_choose(struct bench_axis *axis, const char *list, char *error, size_t room)
{
    for (const char *value = list;;) {
        size_t length = strcspn(value, ",");
        int index = bench_axis_index(axis, value, length);

        if (index < 0) {
            say_unknown(axis, value, length, error, room);
            return false;
        }
        axis->chosen |= (uint64_t)1 << index;
        if (value[length] == '\0') {
            return true;
        }
        value += length + 1;
    }
}

static bool is_chosen(const struct bench_axis *axis, unsigned index)
{
    return axis->chosen == 0 || ((axis->chosen >> index) & 1u) != 0;
}

/* The next chosen value of one axis from `from` on; the axis' length if there is none. */
static unsigned next_chosen(const struct bench_axis *axis, unsigned from)
{
    unsigned length = axis_length(axis);

    while (from < length && !is_chosen(axis, from)) {
        from++;
    }
    return from;
}

bool bench_axes_next(const struct bench_axis *axes, unsigned count, struct bench_point *point,
                     bool first)
{
    if (first) {
        for (unsigned axis = 0; axis < count; axis++) {
            point->at[axis] = next_chosen(&axes[axis], 0);
        }
        return true;
    }
    for (unsigned axis = count; axis-- > 0;) {
        unsigned next = next_chosen(&axes[axis], point->at[axis] + 1u);

        if (next < axis_length(&axes[axis])) {
            point->at[axis] = next;
            return true;
        }
        point->at[axis] = next_chosen(&axes[axis], 0);
    }
    return false;
}

unsigned bench_axes_count(const struct bench_axis *axes, unsigned count)
{
    unsigned points = 1;

    for (unsigned axis = 0; axis < count; axis++) {
        unsigned chosen = 0;

        for (unsigned index = 0; index < axis_length(&axes[axis]); index++) {
            chosen += is_chosen(&axes[axis], index);
        }
        points *= chosen;
    }
    return points;
}

void bench_axes_label(const struct bench_axis *axes, unsigned count,
                      const struct bench_point *point, char *label, size_t room)
{
    size_t used = 0;

    label[0] = '\0';
    for (unsigned axis = 0; axis < count && used < room; axis++) {
        int added = snprintf(label + used, room - used, "%s%s", axis == 0 ? "" : " ",
                             axes[axis].values[point->at[axis]]);

        used += added > 0 ? (size_t)added : 0;
    }
}
