/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Plans as data: what a step says, and plans written down and read back. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "net/plan.h"

static struct error err;

static void says(const struct step *s, const char *text, bool command, const char *wanted)
{
    cleanup_free char *got = step_say(s, text, command);

    assert_string_equal(got, wanted);
}

static void saying(void **state)
{
    (void)state;
    cleanup_plan struct plan p = {.network = "nat0"};
    const struct step *s = plan_add(&p, "address-add", "a'b", "10.0.0.1/24 brd  $x", "", NULL);

    says(s, "give {1} the address {2}", false, "give a'b the address 10.0.0.1/24 brd  $x");
    says(s, "x {1} {2}", true, "x 'a'\\''b' '10.0.0.1/24 brd  $x'");
    says(s, "x {2+}", true, "x 10.0.0.1/24 brd '$x'");
    says(s, "x {2!}", true, "x 10.0.0.1/24 brd  $x");
    says(s, "x {3}", true, ""); /* nothing to be done */
    says(s, "x {4}", true, "");
    says(s, NULL, true, "");
    says(s, "{0} {7} {1 {} {x} {", false, "{0} {7} {1 {} {x} {");
}

/* Every row of the table has what a reader needs, and an argument for each place. */
static void table(void **state)
{
    (void)state;
    for (const struct step_op *const *op = step_ops; *op; op++) {
        cleanup_plan struct plan p = {.network = "x"};
        const struct step *s =
            plan_add(&p, (*op)->name, "a", "b", "c", "d", "e", "f", (char *)NULL);
        assert_ptr_equal(step_op_find((*op)->name), *op);
        const char *const texts[] = {(*op)->what, (*op)->command, (*op)->undo_command,
                                     (*op)->proof};
        for (unsigned i = 0; i < ARRAY_SIZE(texts); i++) {
            assert_non_null(texts[i]);
            cleanup_free char *text = step_say(s, texts[i], true);
            assert_true(*text);
            assert_null(strchr(text, '}'));
        }
        assert_non_null((*op)->apply);
        assert_non_null((*op)->undo);
    }
    assert_null(step_op_find("no-such-step"));
}

static void written_down(void **state)
{
    (void)state;
    cleanup_plan struct plan p = {.network = "nat0"}, back = {0};

    plan_add(&p, "bridge-add", "nat0", NULL);
    struct step *s = plan_add(&p, "link-mtu", "nat0", "1400", "", NULL);
    s->risk = xstrdup("it may");
    s->state = STEP_DOING;
    plan_note(&p, "note %d", 1);
    plan_note(&p, "note %d", 2);
    json_t *o = plan_json(&p);
    assert_int_equal(plan_from_json(o, &back, &err), 0);
    json_decref(o);
    assert_string_equal(back.network, "nat0");
    assert_int_equal(back.count, 2);
    assert_string_equal(back.steps[1].args[1], "1400");
    assert_string_equal(back.steps[1].args[2], "");
    assert_null(back.steps[1].args[3]);
    assert_string_equal(back.steps[1].risk, "it may");
    assert_null(back.steps[0].risk);
    assert_int_equal(back.steps[1].state, STEP_DOING);
    assert_string_equal(back.notes[1], "note 2");
    assert_null(back.notes[2]);
    assert_true(plan_risky(&back));
}

static void broken(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{}",
        "[]",
        "{\"network\": \"a name that is too long for one\", \"steps\": []}",
        "{\"network\": \"x\", \"steps\": [{\"op\": \"nonsense\", \"state\": \"done\"}]}",
        "{\"network\": \"x\", \"steps\": [{\"op\": \"link-up\", \"state\": \"odd\"}]}",
        "{\"network\": \"x\", \"steps\": [{\"op\": \"link-up\", \"state\": \"done\", \"args\": "
        "[1]}]}",
        "{\"network\": \"x\", \"steps\": [{\"op\": \"link-up\", \"state\": \"done\", \"args\":"
        " [\"1\", \"2\", \"3\", \"4\", \"5\", \"6\", \"7\"]}]}",
    };

    for (unsigned i = 0; i < ARRAY_SIZE(texts); i++) {
        struct plan p;
        json_t *o = json_loads(texts[i], 0, NULL);
        assert_non_null(o);
        assert_int_equal(plan_from_json(o, &p, &err), -1);
        assert_null(p.steps);
        json_decref(o);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(saying),
        cmocka_unit_test(table),
        cmocka_unit_test(written_down),
        cmocka_unit_test(broken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
