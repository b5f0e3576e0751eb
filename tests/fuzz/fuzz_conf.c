/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The config grammar: whatever is read is written and read again as the same, changes do what they
 * say, and a refusal has a reason.
 */
#include "fuzz/feed.h"

#include "base/cleanup.h"
#include "base/conf.h"
#include "base/util.h"

static const struct conf_key keys_a[] = {
    {.name = "guest.memory", .check = conf_is_size},
    {.name = "guest.autostart", .check = conf_is_bool},
    {.name = "guest.cpus", .check = conf_is_cpus},
    {0},
};
static const struct conf_key keys_b[] = {
    {.name = "lxc.net.#.type", .list = true},
    {.name = "lxc.net.#.ipv4.#", .list = true},
    {.name = "lxc.rootfs.path", .check = conf_is_abs_path},
    {.name = "lxc.aa_profile", .ignored = "there is none"},
    {.name = "lxc.start.order", .check = conf_is_uint},
    {.name = "lxc.cgroup2.*", .list = true},
    {0},
};
static const struct conf_key *const tables[] = {keys_a, keys_b, NULL};

static const char *const keys[] = {
    "guest.memory",    "guest.autostart",
    "guest.cpus",      "lxc.net.0.type",
    "lxc.net.17.type", "lxc.rootfs.path",
    "lxc.aa_profile",  "lxc.cgroup2.memory.max",
    "lxc.start.order", "lxc.net.1.ipv4.2",
    "lxc.net.3.tpye",  "a",
    "a.b-c_d",         "9",
};
static const char *const values[] = {
    "", "1", "512M", "1.5G", "yes", "0.5", "/srv/a b", "x = y", "# no comment", "'q'", "-1", "\xff",
};
static const char *const blanks[] = {"", " ", "\t", "  \t "};
static const char *const ends[] = {"\n", "\r\n", "\n\n", " \n", "\r\r\n", ""};
static const char *const odd[] = {
    "# comment\n", "\n", "=\n", "a\n", "a b = c\n", "=x\n", "a/b=c\n", "\r\n", "lxc.include =\n",
};

/* A file of mostly right lines. */
static char *generate(struct feed *f, size_t *len)
{
    char *text = NULL;
    FILE *out = open_memstream(&text, len);
    while (f->left > 0) {
        if (feed_rarely(f, 16)) {
            char raw[40];
            fwrite(raw, 1, feed_bytes(f, raw, sizeof raw), out);
        } else if (feed_rarely(f, 8)) {
            fputs(feed_pick(f, odd), out);
        } else {
            fprintf(out, "%s%s%s=%s%s%s", feed_pick(f, blanks), feed_pick(f, keys),
                    feed_pick(f, blanks), feed_pick(f, blanks), feed_pick(f, values),
                    feed_pick(f, ends));
        }
    }
    fclose(out);
    return text;
}

static void ignore_warning(void *arg, const char *text)
{
    (void)arg;
    must(*text != '\0');
}

/* Both say the same of every key. */
static void must_agree(const struct conf *a, const struct conf *b)
{
    for (size_t i = 0; i < a->count; i++) {
        const char *key = a->lines[i].key;
        if (key == NULL)
            continue;
        must(str_eq(conf_get(a, key), conf_get(b, key)));
        const struct conf_line *la = conf_next(a, key, NULL), *lb = conf_next(b, key, NULL);
        while (la != NULL && lb != NULL) {
            must(str_eq(la->value, lb->value));
            la = conf_next(a, key, la);
            lb = conf_next(b, key, lb);
        }
        must(la == NULL && lb == NULL);
    }
}

/* Written and read again, a conf is the same. */
static void round_trip(const struct conf *c)
{
    size_t len, again_len;
    struct error err;
    cleanup_conf struct conf *again = NULL;
    cleanup_free char *text = conf_text(c, &len);
    if (len > 1 << 20)
        return;
    must(conf_parse("fuzz", text, len, &again, &err) == 0);
    cleanup_free char *again_text = conf_text(again, &again_len);
    must(len == again_len && memcmp(text, again_text, len) == 0);
    must(again->count == c->count);
    must_agree(c, again);
}

/* A few changes, each of which must be seen at once. */
static void change(struct conf *c, struct feed *f)
{
    for (int i = 0; i < 8 && f->left > 0; i++) {
        const char *key = feed_pick(f, keys);
        cleanup_free char *raw =
            feed_rarely(f, 4) ? feed_string(f, 20) : xstrdup(feed_pick(f, values));
        cleanup_free char *plain = xstrdup(raw);
        for (char *p = plain; *p; p++)
            *p = *p == '\n' ? ' ' : *p;
        const char *want = str_trim(plain);
        switch (feed_below(f, 3)) {
        case 0:
            conf_set(c, key, raw);
            must(str_eq(conf_get(c, key), *want ? want : NULL));
            break;
        case 1:
            conf_add(c, key, raw);
            must(str_eq(conf_get(c, key), *want ? want : NULL));
            break;
        default:
            conf_unset(c, key);
            must(conf_get(c, key) == NULL && conf_next(c, key, NULL) == NULL);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct feed f = {data, size};
    struct feed changes = {data, min(size, (size_t)64)};
    struct error err = {0};
    size_t len;
    cleanup_conf struct conf *c = NULL;
    cleanup_free char *text = generate(&f, &len);

    /* What the machine has lying about is no business of this test. */
    if (memmem(text, len, "lxc.include", 11) && !memmem(text, len, "lxc.include =\n", 14))
        return 0;
    if (conf_parse("fuzz", text, len, &c, &err) < 0) {
        must(strncmp(err.text, "fuzz:", 5) == 0);
        return 0;
    }
    if (conf_check(c, tables, ignore_warning, NULL, &err) < 0)
        must(strncmp(err.text, "fuzz:", 5) == 0 && err.code != 0);
    round_trip(c);
    change(c, &changes);
    round_trip(c);
    return 0;
}
