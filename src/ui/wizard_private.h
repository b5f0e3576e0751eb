/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of the wizards share: wizard.c has the pages' keys, wizard_draw.c draws them,
 * wizard_run.c has the commands. */
#ifndef PULT_UI_WIZARD_PRIVATE_H
#define PULT_UI_WIZARD_PRIVATE_H

#include "ui/app.h"
#include "ui/wizard.h"

enum wizard_page { PAGE_KIND, PAGE_PLACE, PAGE_SETTINGS, PAGE_RUN, PAGES };

/* What is chosen on the first page. */
struct wizard_kind {
    enum net_kind kind;
    const char *label, *about, *name; /* name: what the first of them is called */
};
extern const struct wizard_kind wizard_kinds[]; /* ends with a NULL label */

struct wizard_field {
    const char *label, *option, *key, *hint; /* option NULL: the name; key: of its check */
    unsigned kinds;                          /* that have it, a bit each */
    bool flag;                               /* yes or no */
};
extern const struct wizard_field wizard_fields[WIZARD_FIELDS];

/* The kind that the choices so far amount to. */
enum net_kind wizard_kind(const struct wizard *w);
/* What a page is called, and whether this wizard has it. */
const char *wizard_title(enum wizard_page p);
/* Is this field shown? */
bool wizard_has(const struct wizard *w, size_t i);
/* Is it a bridge over a NIC, which the host's own configuration could make, too? */
bool wizard_persists(const struct wizard *w);
/* -1: what is typed into it is wrong. */
int wizard_check(const struct wizard *w, size_t i, struct error *err);

/* "network VERB NAME --kind …", for strv_free(); NULL: a field is wrong. */
char **wizard_words(const struct wizard *w, const char *verb, struct error *err);
/* Have the plan made anew, soon. */
void wizard_replan(struct ui *ui);
/* It is settled: make the network. */
void wizard_go(struct ui *ui);
/* Say that one is still connected, or that all is to be put back. */
void wizard_confirm(struct ui *ui);
void wizard_undo(struct ui *ui);
void wizard_forget_plan(struct wizard *w);

void wizard_draw(struct ui *ui, struct rect area);

#endif
