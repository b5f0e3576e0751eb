/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The name servers of a container whose address was set for it: /etc/resolv.conf of its root file
 * system is written as its own DHCP client would do it. A symbolic link there belongs to a program
 * that does so by itself; in a container that forgets what is written to it, and whose own init is
 * not the one that would start that program, it is replaced.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "lxc/container.h"
#include "lxc/sys.h"

#define FILE_NAME "resolv.conf"
#define HEAD      "# by pult, when the container was started\n"

void network_resolver(const struct config *c, int rootfd, const char *text)
{
    cleanup_close int etc = sys_open_in_root(rootfd, "etc", O_RDONLY | O_DIRECTORY, 0, 0);
    struct stat st;

    if (etc < 0)
        return;
    if (fstatat(etc, FILE_NAME, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISREG(st.st_mode) &&
        (!c->app || c->root == ROOT_DIR || !S_ISLNK(st.st_mode) || unlinkat(etc, FILE_NAME, 0) < 0))
        return;
    cleanup_close int fd =
        openat(etc, FILE_NAME, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
               0644);
    if (fd >= 0 && write_all(fd, HEAD, strlen(HEAD)) == 0)
        write_all(fd, text, strlen(text));
}
