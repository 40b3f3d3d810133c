/* SPDX-License-Identifier: BSD-3-Clause */
/* A table as HTML. */
#include "report/table_private.h"

void bench_html_text(FILE *stream, const char *text)
{
    for (; *text != '\0'; text++) {
        switch (*text) {
        case '<':
            (void)fputs("&lt;", stream);
            break;
        case '>':
            (void)fputs("&gt;", stream);
            break;
        case '&':
            (void)fputs("&amp;", stream);
            break;
        case '"':
            (void)fputs("&quot;", stream);
            break;
        default:
            (void)fputc(*text, stream);
        }
    }
}

/* `tag`: "th" or "td", with attributes. */
static void write_cell(FILE *stream, const char *tag, const char *class, const char *text)
{
    (void)fprintf(stream, "<%s class=\"%s\">", tag, class);
    bench_html_text(stream, text);
    (void)fprintf(stream, "</%.2s>", tag);
}

static void write_head(const struct bench_table *table, FILE *stream)
{
    (void)fputs("<thead>", stream);
    if (table_has_groups(table)) {
        (void)fputs("<tr>", stream);
        for (size_t column = 0; column < table->column_count;
             column += table_group_span(table, column)) {
            const char *group = table->columns[column].group;
            char tag[40];

            (void)snprintf(tag, sizeof(tag), "th colspan=\"%zu\"", table_group_span(table, column));
            write_cell(stream, tag, group != NULL ? "group" : "", group != NULL ? group : "");
        }
        (void)fputs("</tr>", stream);
    }
    (void)fputs("<tr>", stream);
    for (size_t column = 0; column < table->column_count; column++) {
        write_cell(stream, "th", table->columns[column].text ? "text" : "",
                   table->columns[column].name);
    }
    (void)fputs("</tr></thead>\n", stream);
}

static void write_body(const struct bench_table *table, FILE *stream)
{
    (void)fputs("<tbody>\n", stream);
    for (size_t cell = 0; cell < table->cell_count; cell++) {
        size_t column = cell % table->column_count;
        const char *class = table->columns[column].text
                                ? "text"
                                : (table_group_begins(table, column) ? "first" : "");
        bool repeats = table_cell_repeats(table, cell);

        if (column == 0) {
            (void)fputs(repeats ? "<tr>" : "<tr class=\"new\">", stream);
        }
        write_cell(stream, "td", class, repeats ? "" : table->cells[cell]);
        if (column + 1 == table->column_count) {
            (void)fputs("</tr>\n", stream);
        }
    }
    (void)fputs("</tbody>\n", stream);
}

void bench_table_html(const struct bench_table *table, FILE *stream)
{
    (void)fputs("<h3>", stream);
    bench_html_text(stream, table->title);
    (void)fputs("</h3>\n", stream);
    if (table->note != NULL) {
        (void)fputs("<p class=\"note\">", stream);
        bench_html_text(stream, table->note);
        (void)fputs("</p>\n", stream);
    }
    (void)fputs("<div class=\"wide\"><table>\n", stream);
    write_head(table, stream);
    write_body(table, stream);
    (void)fputs("</table></div>\n", stream);
}
