/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See form.h. */
#include "ui/form.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/conf.h"
#include "base/util.h"
#include "disk/definition.h"
#include "guest/engine.h"
#include "net/card.h"
#include "net/network.h"
#include "ui/app.h"
#include "ui/field.h"
#include "ui/screen.h"

#define BUTTON "Create"

/* ---- checks of fields ---- */

static int check_name(struct ui *ui, const char *value, struct error *err)
{
    if (guest_name_check(value, err) < 0)
        return -1;
    if (roster_find(&ui->roster, value))
        return error_set(err, 0, "there is a guest '%s' already", value);
    return 0;
}

static int check_size(struct ui *ui, const char *value, struct error *err)
{
    uint64_t bytes;
    (void)ui;
    return size_parse(value, &bytes, err);
}

static int check_cpus(struct ui *ui, const char *value, struct error *err)
{
    (void)ui;
    return conf_is_cpus(value, err);
}

static int check_readable(const char *value, bool dir_too, struct error *err)
{
    struct stat st;
    if (stat(value, &st) < 0 || access(value, R_OK) < 0)
        return error_set(err, 0, "%s", strerror(errno));
    if (S_ISREG(st.st_mode) || (dir_too && S_ISDIR(st.st_mode)))
        return 0;
    return error_set(err, 0, dir_too ? "neither a directory nor a file" : "not a file");
}

static int check_rootfs(struct ui *ui, const char *value, struct error *err)
{
    (void)ui;
    return check_readable(value, true, err);
}

/* NAME[:SOURCE][,OPTION…] */
static int check_template(struct ui *ui, const char *value, struct error *err)
{
    cleanup_options struct options o = {0};
    cleanup_free char *name = xstrndup(value, strcspn(value, ":,"));
    const struct engine *e = engine_by_type("container");
    const struct guest_template *t = e ? engine_template(e, name, err) : NULL;
    (void)ui;
    if (!e)
        return error_set(err, 0, "there are none");
    if (!t || options_parse(value, t->options, &o, err) < 0)
        return -1;
    const char *colon = strchr(options_get(&o, ""), ':');
    if (t->source && !t->optional && (!colon || !colon[1]))
        return error_set(err, 0, "%s:%s", t->name, t->source);
    return 0;
}

static int check_file(struct ui *ui, const char *value, struct error *err)
{
    (void)ui;
    return check_readable(value, false, err);
}

/* A file or a block device. */
static int check_path(struct ui *ui, const char *value, struct error *err)
{
    (void)ui;
    return access(value, R_OK) == 0 ? 0 : error_set(err, 0, "%s", strerror(errno));
}

/* FILE[,OPTION…]; the command says what is wrong with the options. */
static int check_disk(struct ui *ui, const char *value, struct error *err)
{
    cleanup_options struct options o;
    if (options_parse(value, disk_definition_options, &o, err) < 0)
        return -1;
    return check_path(ui, options_get(&o, ""), err);
}

static int check_words(struct ui *ui, const char *value, struct error *err)
{
    (void)ui;
    char **words = str_split_words(value, err);
    strv_free(words);
    return words ? 0 : -1;
}

static int check_net(struct ui *ui, const char *value, struct error *err)
{
    (void)ui;
    cleanup_free char *whole = card_expand(value);
    return card_is_value(whole, err);
}

/* Which networks there are. */
static const char *net_offers(void)
{
    static char text[160];
    char **names = NULL;
    size_t used;

    network_names(&names);
    used = (size_t)snprintf(text, sizeof text, "the default; ");
    for (char **n = names; n && *n && used + 40 < sizeof text; n++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s, ", *n);
    snprintf(text + used, sizeof text - used, "user, none or bridge=NAME");
    strv_free(names);
    return text;
}

/* The templates that there are. */
static const char *template_offers(void)
{
    static char text[160];
    const struct engine *e = engine_by_type("container");
    size_t used = (size_t)snprintf(text, sizeof text, "Space:");
    for (const struct guest_template *t = e ? e->templates : NULL; t && t->name; t++)
        if (used < sizeof text)
            used += (size_t)snprintf(text + used, sizeof text - used, " %s", t->name);
    return text;
}

/* The template that a value begins with, NULL: none. */
static const struct guest_template *template_of(const char *value)
{
    const struct engine *e = engine_by_type("container");
    const size_t n = strcspn(value, ":,");
    for (const struct guest_template *t = e ? e->templates : NULL; t && t->name; t++)
        if (strlen(t->name) == n && strncmp(t->name, value, n) == 0)
            return t;
    return NULL;
}

/* Space in the field of templates: the next one. False: a blank is meant. */
static bool template_next(struct edit *e)
{
    const struct guest_template *t = template_of(e->text);
    const char *end = e->text + strcspn(e->text, ":,");
    const struct engine *engine = engine_by_type("container");
    if (!engine || !engine->templates || (*e->text && !t) || (*end && end[1]))
        return false;
    t = t && t[1].name ? t + 1 : engine->templates;
    cleanup_free char *text = xasprintf("%s%s", t->name, t->source && !t->optional ? ":" : "");
    edit_set(e, text);
    return true;
}

/* While there is no more than its name, that something is missing is no news. */
static const char *template_about(const char *value, bool wrong)
{
    const struct guest_template *t = template_of(value);
    return t && (!wrong || strlen(value) <= strlen(t->name) + 1) ? t->help : NULL;
}

static const struct field container_fields[] = {
    {"Name", NULL, "letters, digits, . _ -", true, check_name},
    {"Root", "--rootfs", "a directory or a tar archive; or:", false, check_rootfs},
    {"Template", "--template", NULL, false, check_template, template_offers, template_next,
     template_about},
    {"Memory", "--memory", "no limit; such as 512M", false, check_size},
    {"CPUs", "--cpus", "no limit; such as 1.5", false, check_cpus},
    {"Command", "--", "/sbin/init", false, check_words},
    {"Network", "--net", NULL, false, check_net, net_offers},
    {NULL, NULL, NULL, false, NULL},
};

static const struct field vm_fields[] = {
    {"Name", NULL, "letters, digits, . _ -", true, check_name},
    {"Kernel", "--kernel", "a bzImage or vmlinux; with a disk, this host's", false, check_file},
    {"Initrd", "--initrd", "none", false, check_file},
    {"Kernel options", "--append", "such as console=ttyS0 quiet", false, NULL},
    {"Disk", "--disk", "none; /srv/web1.qcow2, to boot from", false, check_disk},
    {"Memory", "--memory", "such as 512M", false, check_size},
    {"CPUs", "--cpus", "1", false, check_cpus},
    {"Network", "--net", NULL, false, check_net, net_offers},
    {NULL, NULL, NULL, false, NULL},
};

const struct form_type form_types[] = {
    {"container", "create container", "Shares this host's kernel; starts at once.",
     container_fields},
    {"vm", "create vm", "A machine of its own, with a kernel of its own.", vm_fields},
    {NULL, NULL, NULL, NULL},
};

static int field_count(const struct form_type *t)
{
    int n = 0;
    while (t->fields[n].label)
        n++;
    return n;
}

static int field_check(struct ui *ui, const struct form *f, int i, struct error *err)
{
    const struct field *field = &f->type->fields[i];
    const char *value = f->values[i].text;
    if (str_eq(field->option, "--rootfs") && !*value == !*f->values[i + 1].text)
        return error_set(err, 0, *value ? "there is a template, too" : "needed, or a template");
    if (*value == '\0')
        return field->required ? error_set(err, 0, "needed") : 0;
    return field->check ? field->check(ui, value, err) : 0;
}

/* ---- the command line ---- */

char **form_words(struct ui *ui, const struct form *f, struct error *err)
{
    char **words = NULL;
    for (int i = 0; f->type->fields[i].label; i++) {
        if (field_check(ui, f, i, err) < 0) {
            error_wrap(err, "%s", f->type->fields[i].label);
            return NULL;
        }
    }
    words_push_split(&words, f->type->verb);
    for (int i = 0; f->type->fields[i].label; i++) {
        const struct field *field = &f->type->fields[i];
        const char *value = f->values[i].text;
        if (*value == '\0')
            continue;
        if (field->option)
            words_push(&words, field->option);
        if (field->option && strcmp(field->option, "--") == 0)
            words_push_split(&words, value);
        else
            words_push(&words, value);
    }
    return words;
}

/* ---- the view ---- */

void form_open(struct ui *ui, const char *type)
{
    struct form *f = &ui->form;
    *f = (struct form){.type = &form_types[0], .at = -1};
    for (const struct form_type *t = form_types; type && t->name; t++) {
        if (strcmp(t->name, type) == 0) {
            f->type = t;
            f->at = 0;
        }
    }
    ui_overlay(ui, &view_form);
}

/* Another type of guest: what was typed stays in the fields that both have. */
static void switch_type(struct form *f)
{
    const struct form_type *next = f->type[1].name ? f->type + 1 : form_types;
    struct form old = *f;
    memset(f->values, 0, sizeof f->values);
    for (int i = 0; next->fields[i].label; i++) {
        for (int k = 0; old.type->fields[k].label; k++) {
            if (strcmp(next->fields[i].label, old.type->fields[k].label) == 0)
                f->values[i] = old.values[k];
        }
    }
    f->type = next;
}

static struct rect form_place(struct ui *ui, int rows, int cols)
{
    return rect_centred(rows, cols, field_count(ui->form.type) + 8, 76);
}

static void draw_types(const struct form *f, int y, int x)
{
    screen_put(y, x, 16, EL_FAINT, "Type");
    x += 16;
    for (const struct form_type *t = form_types; t->name; t++) {
        enum element el = t != f->type ? EL_FAINT : f->at == -1 ? EL_FIELD_NOW : EL_STRONG;
        x += screen_putf(y, x, 20, el, " %s ", t->name) + 1;
    }
    if (f->at == -1)
        screen_put(y, x + 1, 30, EL_FAINT, "Space: the other one");
}

/* Is this field wrong, as far as one has come? What is not typed yet is no fault until submitted. */
static bool field_wrong(struct ui *ui, const struct form *f, int i, struct error *err)
{
    return (f->values[i].len > 0 || f->submitted) && field_check(ui, f, i, err) < 0;
}

static void draw_field(struct ui *ui, const struct form *f, int i, int y, struct rect in)
{
    const struct field *field = &f->type->fields[i];
    const struct field_look look = {.label = field->label,
                                    .hint = field->offers ? field->offers() : field->hint,
                                    .required = field->required,
                                    .wrong = field_wrong(ui, f, i, NULL),
                                    .now = f->at == i};
    field_draw(&look, &f->values[i], y, in);
}

/*
 * What is wrong with the field where the cursor is, else with the first that is wrong, else why the
 * command refused all of them, else what the form is about.
 */
static void draw_hint(struct ui *ui, const struct form *f, int y, struct rect in)
{
    int n = field_count(f->type), i = 0;
    cleanup_free char *named = NULL;
    const char *said = NULL;
    struct error err;
    if (f->at >= 0 && f->at < n && field_wrong(ui, f, f->at, &err)) {
        said = err.text;
    } else {
        while (i < n && !field_wrong(ui, f, i, &err))
            i++;
        if (i < n)
            said = named = xasprintf("%s: %s", f->type->fields[i].label, err.text);
        else if (f->refused[0])
            said = f->refused;
    }
    const struct field *now = f->at >= 0 && f->at < n ? &f->type->fields[f->at] : NULL;
    const char *about = now && now->about ? now->about(f->values[f->at].text, said != NULL) : NULL;
    if (about)
        screen_wrapped(y, in.x + 2, in.w - 4, 2, EL_FAINT, about);
    else if (said)
        screen_wrapped(y, in.x + 2, in.w - 4, 2, EL_BAD, said);
    else
        screen_put(y, in.x + 2, in.w - 4, EL_FAINT, f->type->about);
}

static void form_draw(struct ui *ui, struct rect area)
{
    const struct form *f = &ui->form;
    struct rect in = rect_inner(area);
    int n = field_count(f->type), y = in.y + 1;
    screen_fill(area, EL_TEXT);
    screen_box(area, EL_BORDER_FOCUS, EL_TITLE, "New guest");
    draw_types(f, y++, in.x + 2);
    for (int i = 0; i < n && y < in.y + in.h; i++)
        draw_field(ui, f, i, y++, in);
    if (y + 1 < in.y + in.h)
        draw_hint(ui, f, ++y, in);
    if ((y += 2) < in.y + in.h) {
        enum element el = f->at == n ? EL_FIELD_NOW : EL_FIELD;
        screen_put(y, in.x + 2, 12, el, "  " BUTTON "  ");
        screen_put(y, in.x + 16, in.w - 18, EL_FAINT, "Tab next field   Enter create   Esc cancel");
    }
}

/* Done: select the guest that the form made, or let what was refused be mended. */
static void created(void *arg, const struct job *job)
{
    struct ui *ui = arg;
    char said[300];
    job_last_line(job, said, sizeof said);
    if (job_status(job) != 0) {
        const char *why = said[0] ? said : job_line(job);
        ui->enter_soon[0] = '\0';
        ui_error(ui, "%s", why);
        if (ui->form.job == job && ui->overlay_count == 0 && !ui_attached(ui)) {
            snprintf(ui->form.refused, sizeof ui->form.refused, "%s", why);
            ui_overlay(ui, &view_form); /* what was typed is not lost */
        }
        return;
    }
    char start[KEY_NAME_ROOM];
    keymap_name_of(&ui->keymap, "start", start);
    ui_note(ui, "the guest is made; %s starts it", start);
    ui_take_list(ui);
}

static unsigned submit(struct ui *ui)
{
    struct form *f = &ui->form;
    struct error err;
    f->submitted = true;
    char **words = form_words(ui, f, &err);
    if (!words) {
        for (int i = 0; f->type->fields[i].label; i++) {
            if (field_check(ui, f, i, NULL) < 0) {
                f->at = i;
                break;
            }
        }
        return HANDLED | REDRAW;
    }
    unsigned did = HANDLED | LEAVE;
    f->job = job_start(ui->jobs, words, created, ui, &err);
    if (f->job) {
        snprintf(ui->enter_soon, sizeof ui->enter_soon, "%.*s", GUEST_NAME_MAX, f->values[0].text);
        ui->enter_console = false;
    } else {
        ui_error(ui, "%s", err.text);
        did = HANDLED | REDRAW;
    }
    strv_free(words);
    return did;
}

static unsigned form_key(struct ui *ui, const struct key *key)
{
    struct form *f = &ui->form;
    int n = field_count(f->type);
    bool back = key->code == K_UP || (key->code == K_TAB && key->mods & MOD_SHIFT);
    if (key->code == K_ESC || (key->code == 'c' && key->mods == MOD_CTRL))
        return HANDLED | LEAVE;
    if (key->code == K_ENTER && f->at >= 0)
        return submit(ui);
    if (key->code == K_F0 + 2 && f->at >= 0 && str_eq(f->type->fields[f->at].option, "--net")) {
        wizard_open(ui, &f->values[f->at]); /* the network that is made there is the answer */
        return HANDLED | REDRAW;
    }
    const struct field *now = f->at >= 0 && f->at < n ? &f->type->fields[f->at] : NULL;
    if (key->code == ' ' && now && now->next && now->next(&f->values[f->at])) {
        f->refused[0] = '\0';
        return HANDLED | REDRAW;
    }
    if (back)
        f->at = f->at < 0 ? n : f->at - 1;
    else if (key->code == K_DOWN || key->code == K_TAB || key->code == K_ENTER)
        f->at = f->at == n ? -1 : f->at + 1;
    else if (f->at == -1 && (key->code == ' ' || key->code == K_LEFT || key->code == K_RIGHT))
        switch_type(f);
    else if (f->at < n && edit_key(&f->values[max(f->at, 0)], key)) {
        f->at = max(f->at, 0);
        f->refused[0] = '\0';
    }
    return HANDLED | REDRAW;
}

const struct view view_form = {
    .name = "form",
    .place = form_place,
    .draw = form_draw,
    .key = form_key,
};
