/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pult config edit: a guest's definition in the user's editor. A copy is edited; it replaces the
 * definition when it is valid, and until then the definition stays what it was. Also the way to
 * mend a broken one.
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
#include "cmd/table.h"
#include "cmd/terminal.h"
#include "guest/store.h"

#define CONFIG_MAX (1u << 20)

char *config_path(const char *name, struct error *err)
{
    struct guest_info info = {0};
    if (store_info(name, &info, err) < 0)
        return NULL;
    char *path = info.throwaway ? xasprintf("%s/%s/config", place_run(), name)
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

/* Try to make this text the definition. */
static int accept_file(const char *name, const char *path, struct error *err)
{
    cleanup_free char *text = NULL;
    size_t len;
    if (file_read_at(AT_FDCWD, path, CONFIG_MAX, &text, &len, err) < 0)
        return -1;
    return store_replace(name, text, len, err);
}

/* Edit until it is valid or the user gives up. */
static int edit_until_valid(const char *name, const char *path, const char *old, struct error *err)
{
    for (;;) {
        cleanup_free char *text = NULL;
        if (run_editor(path, err) < 0 ||
            file_read_at(AT_FDCWD, path, CONFIG_MAX, &text, NULL, err) < 0)
            return -1;
        if (strcmp(text, old) == 0) {
            fprintf(stderr, "pult: nothing was changed\n");
            return 0;
        }
        if (accept_file(name, path, err) == 0)
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

static int edit_run(const struct cmd_args *a)
{
    struct error err = {0};
    const char *name = cmd_pos(a, 0), *tmp = getenv("TMPDIR");
    cleanup_free char *config = config_path(name, &err);
    cleanup_free char *old = NULL;
    size_t len;
    if (config == NULL || file_read_at(AT_FDCWD, config, CONFIG_MAX, &old, &len, &err) < 0)
        return cmd_fail(a, &err);

    cleanup_free char *copy = xasprintf("%s/pult-%s-XXXXXX.conf", tmp && *tmp ? tmp : "/tmp", name);
    cleanup_close int fd = mkstemps(copy, 5);
    if (fd < 0 || write_all(fd, old, len) < 0) {
        error_set(&err, errno, "make a copy to edit, '%s'", copy);
        if (fd >= 0)
            unlink(copy);
        return cmd_fail(a, &err);
    }
    int ret = edit_until_valid(name, copy, old, &err);
    unlink(copy);
    return ret < 0 ? cmd_fail(a, &err) : EXIT_OK;
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
