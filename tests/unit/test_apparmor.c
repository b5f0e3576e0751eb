/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Profiles of AppArmor: what they say, and that its own parser takes them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "lxc/apparmor.h"

static char *const raw[] = {(char *)(uintptr_t) "deny /etc/secret r,",
                            (char *)(uintptr_t) "mount fstype=ext4,", NULL};

static void test_text(void **state)
{
    (void)state;
    cleanup_free char *command = apparmor_text("pult-command-1", true, true, NULL);
    cleanup_free char *own = apparmor_text("pult:web1", false, true, raw);
    cleanup_free char *flat = apparmor_text("pult-flat-1", false, false, NULL);
    assert_null(strstr(own, "deny pivot_root"));
    assert_non_null(strstr(flat, "  deny pivot_root,\n"));
    assert_non_null(strstr(command, "profile \"pult-command-1\""));
    assert_null(strstr(command, "mount,"));
    assert_non_null(strstr(command, "core_pattern"));
    assert_non_null(strstr(own, "  mount,\n"));
    assert_non_null(strstr(own, "  deny /etc/secret r,\n  mount fstype=ext4,\n}"));
}

/* Where the parser is: it needs no kernel with AppArmor to look at a profile. */
static void parses(const char *text)
{
    FILE *f = popen(
        "PATH=$PATH:/sbin:/usr/sbin:${B:-build}/cache/apparmor/sbin apparmor_parser -Q -K >&2",
        "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(pclose(f), 0);
}

static void test_parser(void **state)
{
    (void)state;
    if (system("PATH=$PATH:/sbin:/usr/sbin:${B:-build}/cache/apparmor/sbin; command -v "
               "apparmor_parser >/dev/null") != 0) {
        print_message("apparmor_parser is not installed\n");
        skip();
    }
    cleanup_free char *system_ = apparmor_text("pult-system-1", false, true, NULL);
    cleanup_free char *command = apparmor_text("pult-command-1", true, true, NULL);
    cleanup_free char *own = apparmor_text("pult:web1", false, true, raw);
    cleanup_free char *flat = apparmor_text("pult-flat-1", false, false, NULL);
    parses(flat);
    parses(system_);
    parses(command);
    parses(own);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_parser),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
