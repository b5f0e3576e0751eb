/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The step by which a process of ours becomes a program of the container's: init, the command, or
 * what `pult exec` runs.
 *
 * Up to that step /proc/self/exe of the process is pult's own binary on the host, on a mount that
 * is none of the container's. A program that is a link to it, or a script that names it behind its
 * "#!", would make the kernel run that binary with the container's own ld.so, which then holds it:
 * it could change the mode, the owner and, later, the content of what root of the host runs
 * (CVE-2019-5736). Where 0 inside is 0 outside, or pult is the user's own, nothing else forbids it.
 *
 * So no link of /proc is ever followed here, whatever the container changes meanwhile:
 *
 *   - directories are opened with RESOLVE_NO_MAGICLINKS;
 *   - the last part is looked up by the kernel with AT_SYMLINK_NOFOLLOW. Is it a link, its text is
 *     resolved in the same way, and the text of a magic link means a file of the container's;
 *   - the directory's descriptor is closed by the exec. A file that is given so cannot be named
 *     after it, and the kernel refuses all formats that pass a name to another program (scripts,
 *     binfmt_misc) before it opens that one. The "#!" is obeyed here, by these same rules.
 *
 * An ELF file may name the link as its loader: then it is only mapped, /proc/self/exe is the file
 * itself, and the links to mapped files are for who has CAP_CHECKPOINT_RESTORE on the host. Links
 * of other processes of ours are closed, too: they are not dumpable, and their memory belongs to
 * the host's user namespace.
 */
#include "lxc/container.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "lxc/sys.h"

#define LINKS_MAX   40 /* as the kernel has it, path_resolution(7) */
#define SCRIPTS_MAX 4  /* likewise, execve(2) */

/* Open path, but through no magic link. */
static int open_plain(int dir, const char *path, uint64_t flags, uint64_t resolve)
{
    struct open_how how = {.flags = flags | O_CLOEXEC, .resolve = RESOLVE_NO_MAGICLINKS | resolve};
    return (int)syscall(SYS_openat2, dir, path, &how, sizeof how);
}

/* The directory that path leads to at last, and the name therein, which was no link. */
static int program_find(const char *path, char name[PATH_MAX])
{
    char text[PATH_MAX];
    cleanup_close int dir = -1;
    if (snprintf(text, sizeof text, "%s", path) >= (int)sizeof text) {
        errno = ENAMETOOLONG;
        return -1;
    }
    for (int links = 0; links < LINKS_MAX; links++) {
        char *slash = strrchr(text, '/');
        snprintf(name, PATH_MAX, "%s", slash ? slash + 1 : text);
        if (slash)
            slash[slash == text] = '\0'; /* "/init" is in "/" */
        int next =
            open_plain(dir < 0 ? AT_FDCWD : dir, slash ? text : ".", O_PATH | O_DIRECTORY, 0);
        if (next < 0)
            return -1;
        if (dir >= 0)
            close(dir);
        dir = next;
        ssize_t n = readlinkat(dir, name, text, sizeof text - 1);
        if (n < 0)
            return errno == EINVAL ? steal_fd(dir) : -1;
        text[n] = '\0';
    }
    errno = ELOOP;
    return -1;
}

/* The words behind "#!" of a file, as the kernel takes them: a path, and perhaps one argument. */
static int script_words(int dir, const char *name, char line[256], char *words[2])
{
    cleanup_close int fd =
        open_plain(dir, name, O_RDONLY | O_NONBLOCK | O_NOCTTY, RESOLVE_NO_SYMLINKS);
    ssize_t n = fd < 0 ? -1 : pread(fd, line, 255, 0);
    if (n < 0)
        return -1;
    line[n] = '\0';
    if (!str_starts(line, "#!"))
        return 0;
    line[strcspn(line, "\n")] = '\0';
    words[0] = str_trim(line + 2);
    size_t len = strcspn(words[0], " \t");
    words[1] = words[0][len] ? str_trim(words[0] + len) : NULL;
    words[0][len] = '\0';
    return *words[0] ? 1 : 0;
}

static int exec_path(const char *path, char *const *argv, char *const *env, int scripts);

/* Run `interpreter [word] path argv[1]…`. */
static int exec_script(const char *interpreter, char *word, const char *path, char *const *argv,
                       char *const *env, int scripts)
{
    size_t count = 0, n = 0;
    while (argv[count])
        count++;
    cleanup_free char **list = xcalloc(count + 4, sizeof *list);
    list[n++] = (char *)interpreter;
    if (word)
        list[n++] = word;
    list[n++] = (char *)path;
    for (size_t i = 1; i < count; i++)
        list[n++] = argv[i];
    return exec_path(interpreter, list, env, scripts + 1);
}

/* execve(2), as is told above. Returns only with errno. */
static int exec_path(const char *path, char *const *argv, char *const *env, int scripts)
{
    char name[PATH_MAX], line[256], *words[2];
    cleanup_close int dir = program_find(path, name);
    if (dir < 0)
        return -1;
    syscall(SYS_execveat, dir, name, argv, env, AT_SYMLINK_NOFOLLOW);
    if (errno == ENOEXEC && scripts == 0) /* a script without "#!", which execvp(3) runs so */
        return exec_script("/bin/sh", NULL, path, argv, env, SCRIPTS_MAX);
    if (errno != ENOENT)
        return -1;
    int script = script_words(dir, name, line, words);
    if (script < 0)
        return -1;
    if (script == 0) {
        errno = ELIBACC; /* it is there, but its loader is not, or it is of another architecture */
        return -1;
    }
    if (scripts >= SCRIPTS_MAX) {
        errno = ELOOP;
        return -1;
    }
    return exec_script(words[0], words[1], path, argv, env, scripts);
}

/* Look for a program as a shell does. */
static int exec_search(char *const *argv, char *const *env)
{
    const char *dirs = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    char path[PATH_MAX];
    int why = ENOENT;
    if (strchr(argv[0], '/'))
        return exec_path(argv[0], argv, env, 0);
    for (char *const *e = env; *e; e++)
        if (str_starts(*e, "PATH="))
            dirs = *e + 5;
    for (const char *d = dirs; *argv[0]; d += strcspn(d, ":") + 1) {
        int len = (int)strcspn(d, ":");
        if (snprintf(path, sizeof path, "%.*s/%s", len ? len : 1, len ? d : ".", argv[0]) <
            PATH_MAX)
            exec_path(path, argv, env, 0);
        if (errno == EACCES)
            why = EACCES;
        else if (errno != ENOENT && errno != ENOTDIR)
            return -1;
        if (d[len] == '\0')
            break;
    }
    errno = why;
    return -1;
}

int exec_command(char *const *argv, char *const *env, struct error *err)
{
    exec_search(argv, env);
    int why = errno;
    error_set(err, why, "run '%s' in the container", argv[0]);
    if (why == ELIBACC)
        error_hint(err, "its loader is missing there, or it is of another architecture");
    return why == ENOENT ? 127 : 126; /* as shells have it */
}
