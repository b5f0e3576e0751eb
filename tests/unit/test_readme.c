/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The README promises nothing that is not there: its keys are in the key table, every key that
 * the bottom line of the screen shows is in the README, and its commands are commands.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "cmd/command.h"
#include "ui/keymap.h"

#define NETWORK_KEYS "In the list of networks"
#define PREFIX_KEYS  "After the prefix"

/* The key that a row "| `KEY` | …" of a table names, or false for other lines. */
static bool row_key(const char *line, struct key *key)
{
    struct error err;
    char name[32];

    if (sscanf(line, "| `%31[^`]` |", name) != 1)
        return false;
    if (key_parse(name, key, &err) < 0)
        fail_msg("README.md: %s", err.text);
    return true;
}

/* Call fn for each key of the README; returns how many there are. */
static size_t each_key(void (*fn)(enum key_context context, const struct key *key, void *arg),
                       void *arg)
{
    cleanup_fclose FILE *f = fopen("README.md", "re");
    enum key_context context = KEYS_MAIN;
    char line[512];
    size_t count = 0;
    struct key key;

    assert_non_null(f);
    while (fgets(line, sizeof(line), f)) {
        if (strstr(line, NETWORK_KEYS))
            context = KEYS_NETWORKS;
        if (strstr(line, PREFIX_KEYS))
            context = KEYS_PREFIX;
        if (row_key(line, &key)) {
            fn(context, &key, arg);
            count++;
        }
    }
    return count;
}

static void check_bound(enum key_context context, const struct key *key, void *arg)
{
    char name[KEY_NAME_ROOM];

    key_name(key, name);
    if (!keymap_find(arg, context, key))
        fail_msg("README.md: the key %s is bound to nothing", name);
}

static void its_keys_are_bound(void **state)
{
    struct keymap map;

    (void)state;
    keymap_defaults(&map);
    assert_true(each_key(check_bound, &map) > 20);
    keymap_free(&map);
}

struct wanted {
    const struct binding *binding;
    const struct keymap *map;
    bool found;
};

static void check_wanted(enum key_context context, const struct key *key, void *arg)
{
    struct wanted *w = arg;
    const struct binding *b = keymap_find(w->map, context, key);

    if (b && context == w->binding->context && strcmp(b->line, w->binding->line) == 0)
        w->found = true;
}

static void it_names_the_keys_of_the_bottom_line(void **state)
{
    struct keymap map;

    (void)state;
    keymap_defaults(&map);
    for (size_t i = 0; i < map.count; i++) {
        const struct binding *b = &map.bindings[i];
        struct wanted w = {b, &map, false};
        if (!b->label || b->context == KEYS_SCROLL)
            continue;
        each_key(check_wanted, &w);
        if (!w.found)
            fail_msg("README.md does not name the key of '%s'", b->line);
    }
    keymap_free(&map);
}

/* Every line of an example that begins with "pult" is a call of a command that is there. */
static void its_commands_are_there(void **state)
{
    cleanup_fclose FILE *f = fopen("README.md", "re");
    char line[512];
    size_t count = 0;

    (void)state;
    assert_non_null(f);
    while (fgets(line, sizeof(line), f)) {
        char *words[8], *save, *shell = strpbrk(line, "#'\\|>");
        int n = 0, used;
        if (strncmp(line, "    pult ", 9) != 0)
            continue;
        if (shell)
            *shell = '\0';
        strtok_r(line, " \n", &save);
        while (n < 8 && (words[n] = strtok_r(NULL, " \n", &save)))
            n++;
        if (n == 0)
            continue;
        if (!command_find(n, words, &used))
            fail_msg("README.md: 'pult %s' is no command", words[0]);
        count++;
    }
    assert_true(count > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(its_keys_are_bound),
        cmocka_unit_test(it_names_the_keys_of_the_bottom_line),
        cmocka_unit_test(its_commands_are_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
