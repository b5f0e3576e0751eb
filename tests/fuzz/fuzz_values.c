/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sizes, numbers and words: no text is read as something out of bounds, and what we write ourselves
 * is read back as the same.
 */
#include "fuzz/feed.h"

#include "base/cleanup.h"
#include "base/util.h"

static const char *const pieces[] = {
    "0",
    "1",
    "9",
    "512",
    "1024",
    "18446744073709551615",
    "9223372036854775807",
    ".",
    "-",
    "K",
    "M",
    "G",
    "T",
    "i",
    "B",
    " ",
    "\t",
    "'",
    "\"",
    "\\",
    "a",
    "b c",
    "\xc3\xbc",
    "=",
};

static char *generate(struct feed *f)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    for (int i = 0; i < 40 && f->left > 0; i++) {
        if (feed_rarely(f, 16)) {
            cleanup_free char *raw = feed_string(f, 12);
            fputs(raw, out);
        } else {
            fputs(feed_pick(f, pieces), out);
        }
    }
    fclose(out);
    return text;
}

static void sizes(const char *text)
{
    char exact[24], human[8];
    uint64_t bytes, back;
    struct error err = {0};

    if (size_parse(text, &bytes, &err) < 0) {
        must(*err.text != '\0');
        return;
    }
    must(bytes <= INT64_MAX);
    size_exact(bytes, exact);
    must(size_parse(exact, &back, NULL) == 0 && back == bytes);
    size_human(bytes, human);
    must(strlen(human) <= 5);
}

static void any_size(uint64_t bytes)
{
    char exact[24], human[8];
    uint64_t back;
    size_human(bytes, human);
    must(strlen(human) >= 1 && strlen(human) <= 5);
    size_exact(bytes, exact);
    must(bytes > INT64_MAX || (size_parse(exact, &back, NULL) == 0 && back == bytes));
}

static void numbers(const char *text, int64_t lo, int64_t hi)
{
    int64_t n;
    struct error err = {0};
    if (number_parse(text, lo, hi, &n, &err) == 0)
        must(n >= lo && n <= hi);
    if (milli_parse(text, lo, hi, &n, &err) == 0)
        must(n >= lo && n <= hi);
}

static void words(const char *text)
{
    struct error err = {0};
    char **w = str_split_words(text, &err);
    if (w == NULL) {
        must(*err.text != '\0');
        return;
    }
    cleanup_free char *joined = str_join_words(w);
    char **again = str_split_words(joined, NULL);
    must(again != NULL && strv_len(again) == strv_len(w));
    for (size_t i = 0; w[i]; i++)
        must(str_eq(w[i], again[i]));
    const char *near = str_nearest(text, (const char *const *)w, strv_len(w));
    must(near == NULL || strv_len(w) > 0);
    strv_free(w);
    strv_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct feed f = {data, size};
    int64_t lo = (int64_t)feed_u64(&f), hi = (int64_t)feed_u64(&f);
    any_size((uint64_t)lo);
    cleanup_free char *text = generate(&f);

    sizes(text);
    numbers(text, min(lo, hi), max(lo, hi));
    numbers(text, 0, INT64_MAX);
    words(text);
    cleanup_free char *copy = xstrdup(text);
    str_printable(copy);
    must(strlen(copy) == strlen(text));
    cleanup_free char *again = xstrdup(copy);
    str_printable(again);
    must(str_eq(copy, again));
    str_trim(copy);
    return 0;
}
