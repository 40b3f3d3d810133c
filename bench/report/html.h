/* SPDX-License-Identifier: BSD-3-Clause */
/* The report as one HTML file that needs nothing else. */
#ifndef BENCH_REPORT_HTML_H
#define BENCH_REPORT_HTML_H

#include <jansson.h>
#include <stdio.h>

/* Returns how many plots there are; -1 if gnuplot could not draw one (the page then says so). */
int bench_html_write(const json_t *root, FILE *stream);

#endif
