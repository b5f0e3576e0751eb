/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pult(1), made from the table of verbs: `pult help --man`. In the texts of the table a line
 * that begins with two blanks is an example and is set as it stands.
 */
#include <stdio.h>
#include <string.h>

#include "cmd/args.h"
#include "cmd/help.h"

/* Text for troff: no character of it is a request or an escape. */
static void put_text(const char *s)
{
    bool line_start = true, example = false;
    for (; *s; s++) {
        if (line_start && (strncmp(s, "  ", 2) == 0) != example) {
            example = !example;
            fputs(example ? ".nf\n" : ".fi\n", stdout);
        }
        if (line_start && (*s == '.' || *s == '\''))
            fputs("\\&", stdout);
        line_start = *s == '\n';
        if (line_start && s[1] == '\n' && !example) {
            fputs("\n.PP", stdout);
            continue;
        }
        if (*s == '\\')
            fputs("\\e", stdout);
        else if (*s == '-')
            fputs("\\-", stdout);
        else
            putchar(*s);
    }
    fputs(example ? "\n.fi\n" : "\n", stdout);
}

static void put_options(const struct cmd_option *o)
{
    for (; o && o->name; o++) {
        fputs(".TP\n", stdout);
        if (o->letter)
            printf("\\fB\\-%c\\fR, ", o->letter);
        printf("\\fB\\-\\-%s\\fR", o->name);
        if (o->arg)
            printf(" \\fI%s\\fR", o->arg);
        putchar('\n');
        put_text(o->help);
    }
}

static void put_command(const struct command *cmd)
{
    fputs(".SS \"", stdout);
    help_synopsis(stdout, cmd);
    fputs("\"\n", stdout);
    put_text(cmd->help);
    if (cmd->alias)
        printf("(also: \\fBpult %s\\fR)\n", cmd->alias);
    if (cmd->detail) {
        fputs(".PP\n", stdout);
        put_text(cmd->detail);
    }
    put_options(cmd->options);
    if (cmd->json)
        put_options((const struct cmd_option[]){cmd_common_options(cmd)[0], {0}});
}

void help_man(void)
{
    printf(".TH PULT 1 \"\" \"pult %s\" \"User Commands\"\n", PULT_VERSION);
    fputs(".SH NAME\npult \\- a console for virtual machines and containers\n"
          ".SH SYNOPSIS\n.B pult\n.br\n.B pult\n.I COMMAND\n[\\fIARGUMENT\\fR...]\n"
          ".SH DESCRIPTION\n",
          stdout);
    put_text("pult shows, starts and enters the virtual machines and containers of a host. Without "
             "a command it opens its console on the terminal; with one it does that one thing. It "
             "is its own virtual machine monitor (on /dev/kvm) and its own container engine: no "
             "other program runs a guest.\n\n"
             "A running guest is a process of its own, its keeper, which needs neither the "
             "console nor the terminal it was started from.");
    fputs(".SH COMMANDS\n", stdout);
    for (const struct command *const *c = commands; *c; c++)
        put_command(*c);
    fputs(".SH NAMES AND SIZES\n", stdout);
    put_text("A guest's name begins with a letter or a digit and has at most 63 letters, digits, "
             "dots, dashes and underscores.\n\n"
             "A SIZE is a number of bytes, or one with K, M, G or T after it (powers of 1024): "
             "512M, 1.5G.");
    fputs(".SH EXIT STATUS\n", stdout);
    put_text("0: done. 1: it failed, and standard error says what, on what and why. 2: the command "
             "was called wrongly; nothing was changed. `run` and `exec` end with the status of "
             "the guest's command: its exit status, or 128 and the number of the signal that "
             "ended it.");
    fputs(".SH ENVIRONMENT\n.TP\n.B PULT_HOME\n", stdout);
    put_text("where definitions are kept, instead of /var/lib/pult (root) or "
             "$XDG_DATA_HOME/pult");
    fputs(".TP\n.B PULT_RUN\n", stdout);
    put_text("where running guests have their sockets, instead of /run/pult (root) or "
             "$XDG_RUNTIME_DIR/pult");
    fputs(".TP\n.B VISUAL\\fR, \\fBEDITOR\n", stdout);
    put_text("the editor of `pult config edit`");
    fputs(".SH FILES\n.TP\n.I guests/NAME/config\n", stdout);
    put_text("in PULT_HOME: the definition of a guest, in LXC's grammar: key = value");
    fputs(".TP\n.I guests/NAME/console.log\n", stdout);
    put_text("what the guest printed in its last run, for `pult log`");
}
