/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Facts on standard output; print.h says how. */
#include "cmd/print.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"

void print_json(json_t *value)
{
    json_dumpf(value, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(15) | JSON_ENCODE_ANY);
    putchar('\n');
    json_decref(value);
}

int print_json_line(json_t *value)
{
    json_dumpf(value, stdout, JSON_COMPACT | JSON_REAL_PRECISION(15));
    putchar('\n');
    json_decref(value);
    return fflush(stdout) == 0 ? 0 : -1;
}

struct table *table_new(const char *const *head)
{
    struct table *t = xcalloc(1, sizeof *t);
    t->head = head;
    while (head[t->columns])
        t->columns++;
    return t;
}

void table_cell(struct table *t, const char *fmt, ...)
{
    if (t->count == t->room) {
        t->room = t->room ? 2 * t->room : 64;
        t->cells = xrealloc(t->cells, t->room, sizeof *t->cells);
    }
    va_list ap;
    va_start(ap, fmt);
    t->cells[t->count++] = printable(xvasprintf(fmt, ap));
    va_end(ap);
}

/* The text that stands in a row (0 is the head) and column. */
static const char *cell_text(const struct table *t, size_t row, size_t column)
{
    const char *head = t->head[column];
    if (row == 0)
        return head + (*head == '>');
    return t->cells[(row - 1) * t->columns + column];
}

/* Columns on the screen: bytes that do not continue a UTF-8 character. */
static size_t text_width(const char *s)
{
    size_t n = 0;
    for (; *s; s++)
        n += (*s & 0xc0) != 0x80;
    return n;
}

void table_print(struct table *t)
{
    size_t rows = 1 + t->count / t->columns;
    size_t *widths = xcalloc(t->columns, sizeof *widths);
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < t->columns; c++)
            widths[c] = max(widths[c], text_width(cell_text(t, r, c)));

    for (size_t r = 0; r < rows; r++) {
        for (size_t c = 0; c < t->columns; c++) {
            const char *text = cell_text(t, r, c);
            bool right = t->head[c][0] == '>', last = c + 1 == t->columns;
            int pad = (int)(widths[c] - text_width(text));
            printf("%*s%s%*s%s", right ? pad : 0, "", text, right || last ? 0 : pad, "",
                   last ? "\n" : "  ");
        }
    }
    free(widths);
    table_free(t);
}

void table_free(struct table *t)
{
    for (size_t i = 0; i < t->count; i++)
        free(t->cells[i]);
    free(t->cells);
    free(t);
}

void duration_human(unsigned long long s, char out[16])
{
    if (s < 60)
        snprintf(out, 16, "%llus", s);
    else if (s < 3600)
        snprintf(out, 16, "%llum%02llus", s / 60, s % 60);
    else if (s < 86400)
        snprintf(out, 16, "%lluh%02llum", s / 3600, s / 60 % 60);
    else
        snprintf(out, 16, "%llud%lluh", s / 86400 % 100000, s / 3600 % 24);
}

/* Also UTF-8's C1 controls (U+0080 to U+009F), which some terminals obey. */
char *printable(char *s)
{
    for (unsigned char *p = (unsigned char *)s; *p; p++)
        if (*p < ' ' || *p == 0x7f)
            *p = '?';
        else if (p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0)
            p[0] = p[1] = '?';
    return s;
}

char *printable_text(char *s)
{
    for (char *p = s, *end; *p; p = end) {
        end = p + strcspn(p, "\n\t");
        const char was = *end;
        *end = '\0';
        str_printable(p);
        *end = was;
        end += was != '\0';
    }
    return s;
}

void print_text(char *text)
{
    fputs(isatty(STDOUT_FILENO) ? printable_text(text) : text, stdout);
}
