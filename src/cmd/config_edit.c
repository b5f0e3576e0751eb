/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pult config edit and network edit: a definition in the user's editor. A copy is edited; it
 * replaces the definition when it is valid, and until then the definition stays what it was. Also
 * the way to mend a broken one.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/conf.h"
#include "base/file.h"
#include "base/places.h"
#include "base/util.h"
#include "cmd/configfile.h"
#include "cmd/network.h"
#include "cmd/table.h"
#include "cmd/terminal.h"
#include "guest/store.h"

#define CONFIG_MAX (1u << 20)

char *config_path(const char *name, struct error *err)
{
    struct guest_info info = {0};
    if (store_info(name, &info, err) < 0)
        return NULL;
    char *path = info.place       ? xasprintf("%s/%s/config", info.place, name)
                 : info.throwaway ? xasprintf("%s/%s/config", place_run(), name)
                                  : xasprintf("%s/guests/%s/config", place_home(), name);
    guest_info_clear(&info);
    return path;
}

/* Run the editor on path, as the shell does for git and crontab: EDITOR may hold options. */
static int run_editor(const char *path, struct error *err)
{
    const char *editor = getenv("VISUAL");
    if (editor == NULL || !*editor)
        editor = getenv("EDITOR");
    if (editor == NULL || !*editor)
        editor = "editor";
    cleanup_free char *command = xasprintf("%s \"$1\"", editor);
    fflush(NULL);
    struct sigaction ignore = {.sa_handler = SIG_IGN}, before;
    sigaction(SIGINT, &ignore, &before); /* Ctrl-C is the editor's */
    pid_t pid = fork();
    if (pid == 0) {
        sigaction(SIGINT, &before, NULL);
        execl("/bin/sh", "sh", "-c", command, "sh", path, NULL);
        _exit(127);
    }
    int status = -1;
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    sigaction(SIGINT, &before, NULL);
    if (status == 0)
        return 0;
    return error_set(err, 0, "the editor '%s' failed, and nothing was changed", editor);
}

/* Try to make this text the definition of a guest or a network. */
typedef int accept_fn(const char *name, const char *text, size_t len, struct error *err);

/* Edit until it is valid or the user gives up. */
static int edit_until_valid(const char *name, const char *path, const char *old, accept_fn *accept,
                            struct error *err)
{
    for (;;) {
        cleanup_free char *text = NULL;
        size_t len;
        if (run_editor(path, err) < 0 ||
            file_read_at(AT_FDCWD, path, CONFIG_MAX, &text, &len, err) < 0)
            return -1;
        if (strcmp(text, old) == 0) {
            fprintf(stderr, "pult: nothing was changed\n");
            return 0;
        }
        if (accept(name, text, len, err) == 0)
            return 0;
        if (!terminal_here())
            return error_hint(err, "the definition is as it was");
        fprintf(stderr, "pult: %s\nEdit again? [Y/n] ", err->text);
        int c = getchar();
        for (int rest = c; rest != '\n' && rest != EOF;)
            rest = getchar();
        if (c == 'n' || c == 'N' || c == EOF)
            return error_set(err, 0, "given up; the definition of '%s' is as it was", name);
    }
}

/* Edit a copy of the file `config`. */
static int edit(const struct cmd_args *a, const char *config, accept_fn *accept)
{
    struct error err = {0};
    const char *name = cmd_pos(a, 0), *tmp = getenv("TMPDIR");
    cleanup_free char *old = NULL;
    size_t len;
    if (file_read_at(AT_FDCWD, config, CONFIG_MAX, &old, &len, &err) < 0)
        return cmd_fail(a, &err);

    cleanup_free char *copy = xasprintf("%s/pult-%s-XXXXXX.conf", tmp && *tmp ? tmp : "/tmp", name);
    cleanup_close int fd = mkstemps(copy, 5);
    if (fd < 0 || write_all(fd, old, len) < 0) {
        error_set(&err, errno, "make a copy to edit, '%s'", copy);
        if (fd >= 0)
            unlink(copy);
        return cmd_fail(a, &err);
    }
    int ret = edit_until_valid(name, copy, old, accept, &err);
    unlink(copy);
    return ret < 0 ? cmd_fail(a, &err) : EXIT_OK;
}

static int edit_run(const struct cmd_args *a)
{
    struct error err = {0};
    cleanup_free char *config = config_path(cmd_pos(a, 0), &err);
    return config ? edit(a, config, store_replace) : cmd_fail(a, &err);
}

const struct command cmd_config_edit = {
    .name = "config edit",
    .args = "NAME",
    .min = 1,
    .max = 1,
    .help = "edit a guest's definition with $VISUAL or $EDITOR",
    .detail = "A copy is edited, and checked before it replaces the definition; if it has an\n"
              "error you may edit it again, and the definition stays as it was until it has none.",
    .safe = true,
    .states = ON_ANY,
    .run = edit_run,
};

static int network_edit_run(const struct cmd_args *a)
{
    struct error err = {0};
    if (network_name_check(cmd_pos(a, 0), &err) < 0)
        return cmd_fail(a, &err);
    cleanup_free char *path = network_home_path(cmd_pos(a, 0), "conf");
    if (access(path, F_OK) < 0) {
        error_set(&err, 0, "there is no network '%s'", cmd_pos(a, 0));
        return cmd_fail(a, &err);
    }
    return edit(a, path, network_replace);
}

const struct command cmd_network_edit = {
    .name = "network edit",
    .args = "NAME",
    .min = 1,
    .max = 1,
    .help = "edit a network's definition with $VISUAL or $EDITOR",
    .detail = "As `config edit` does with a guest's. A network that is up takes forwards and taps\n"
              "over at once, and everything else when it is brought up again.",
    .safe = true,
    .run = network_edit_run,
};
