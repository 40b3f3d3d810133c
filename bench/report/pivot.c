/* SPDX-License-Identifier: BSD-3-Clause */
#include "report/pivot.h"

#include <string.h>

#include "report/value.h"

/* The axes of a pivot that tell its rows apart. */
struct choice {
    const char *down[BENCH_PIVOT_AXES];
    const char *across[BENCH_PIVOT_AXES];
};

/* What a row has on some axes, as one text: the key of its place. Numbers need their axis' name to
 * be understood. */
static void key_of(const json_t *row, const char *const *axes, const char *separator, char *key,
                   size_t room)
{
    size_t used = 0;

    key[0] = '\0';
    for (unsigned axis = 0; axis < BENCH_PIVOT_AXES && axes[axis] != NULL && used < room; axis++) {
        const char *value = bench_value_axis(row, axes[axis]);
        bool number = value[0] >= '0' && value[0] <= '9';
        int added = snprintf(key + used, room - used, "%s%s%s%s", axis == 0 ? "" : separator,
                             number ? axes[axis] : "", number ? " " : "", value);

        used += added > 0 ? (size_t)added : 0;
    }
}

/* The value that all of a command's rows have on an axis; NULL if they differ, "" if there are
 * none. */
static const char *common_value(const json_t *rows, const char *command, const char *axis)
{
    const char *common = "";
    size_t index;
    json_t *row;

    json_array_foreach(rows, index, row)
    {
        const char *value = bench_value_axis(row, axis);

        if (strcmp(bench_value_text(row, "command"), command) != 0) {
            continue;
        }
        if (common[0] != '\0' && strcmp(common, value) != 0) {
            return NULL;
        }
        common = value;
    }
    return common;
}

/* Of the axes that go down, keeps those that tell rows apart; the others become a text. The first
 * one always stays. */
static void choose(const struct bench_pivot *pivot, const json_t *rows, struct choice *choice,
                   char *same, size_t room)
{
    unsigned kept = 0;
    size_t used = 0;

    memset(choice, 0, sizeof(*choice));
    memcpy(choice->across, pivot->across, sizeof(choice->across));
    same[0] = '\0';
    for (unsigned axis = 0; axis < BENCH_PIVOT_AXES && pivot->down[axis] != NULL; axis++) {
        const char *common = common_value(rows, pivot->command, pivot->down[axis]);

        if (common == NULL || (kept == 0 && pivot->down[axis + 1] == NULL)) {
            choice->down[kept++] = pivot->down[axis];
        } else if (used < room) {
            int added = snprintf(same + used, room - used, "%s%s %s",
                                 used == 0 ? "\nEverywhere: " : ", ", pivot->down[axis], common);

            used += added > 0 ? (size_t)added : 0;
        }
    }
}

static struct bench_table *new_table(const struct bench_pivot *pivot, const struct choice *choice,
                                     const char *same, json_t *groups)
{
    char note[640];
    struct bench_table *table;
    const char *group;
    json_t *unused;

    (void)snprintf(note, sizeof(note), "%s%s", pivot->note, same);
    table = bench_table_new(pivot->title, note);
    for (unsigned axis = 0; axis < BENCH_PIVOT_AXES && choice->down[axis] != NULL; axis++) {
        bench_table_column(table, NULL, choice->down[axis], true);
    }
    json_object_foreach(groups, group, unused)
    {
        pivot->columns(table, group[0] != '\0' ? group : NULL);
    }
    return table;
}

static void fill_table(struct bench_table *table, const struct bench_pivot *pivot,
                       const struct choice *choice, json_t *places, json_t *groups)
{
    const char *key;
    json_t *place;

    json_object_foreach(places, key, place)
    {
        const json_t *any = json_object_iter_value(json_object_iter(place));
        const char *group;
        json_t *unused;

        for (unsigned axis = 0; axis < BENCH_PIVOT_AXES && choice->down[axis] != NULL; axis++) {
            bench_table_cell(table, "%s", bench_value_axis(any, choice->down[axis]));
        }
        json_object_foreach(groups, group, unused)
        {
            pivot->cells(table, json_object_get(place, group));
        }
    }
}

struct bench_table *bench_pivot_table(const struct bench_pivot *pivot, const json_t *rows)
{
    json_t *places = json_object(); /* key down -> {key across -> row}; jansson keeps the order */
    json_t *groups = json_object();
    struct bench_table *table;
    struct choice choice;
    char same[240];
    size_t index;
    json_t *row;

    choose(pivot, rows, &choice, same, sizeof(same));
    json_array_foreach(rows, index, row)
    {
        char down[160];
        char across[160];

        if (strcmp(bench_value_text(row, "command"), pivot->command) != 0) {
            continue;
        }
        key_of(row, choice.down, " ", down, sizeof(down));
        key_of(row, choice.across, ", ", across, sizeof(across));
        if (json_object_get(places, down) == NULL) {
            (void)json_object_set_new(places, down, json_object());
        }
        (void)json_object_set(json_object_get(places, down), across, row);
        (void)json_object_set_new(groups, across, json_true());
    }
    table = new_table(pivot, &choice, same, groups);
    fill_table(table, pivot, &choice, places, groups);
    json_decref(places);
    json_decref(groups);
    return table;
}
