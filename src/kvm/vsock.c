/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The sockets of a VM, see vsock.h.
 */
#include "kvm/vsock.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "guest/def.h"
#include "guest/keeper.h"
#include "kvm/machine.h"
#include "kvm/virtio/vsock.h"

#define SOCKET_NAME "vsock"
#define BACKLOG     16

/* What the value says: 0 for off, 1 for on, else a CID. */
static int parse(const char *value, uint32_t *out, struct error *err)
{
    int64_t cid;

    *out = strcmp(value, "on") == 0;
    if (*out || strcmp(value, "off") == 0)
        return 0;
    if (number_parse(value, VSOCK_CID_FIRST, VSOCK_CID_LAST, &cid, NULL) < 0)
        return error_set(err, 0, "'%s' is neither on nor off nor a CID from %u to %u", value,
                         VSOCK_CID_FIRST, VSOCK_CID_LAST);
    *out = (uint32_t)cid;
    return 0;
}

int vsock_is_setting(const char *value, struct error *err)
{
    uint32_t cid;

    return parse(value, &cid, err);
}

/* The same for every start of a guest, and hardly the same for two (FNV-1a). */
static uint32_t cid_of_name(const char *name)
{
    uint32_t h = 2166136261u;

    for (; *name; name++)
        h = (h ^ (uint8_t)*name) * 16777619u;
    return VSOCK_CID_FIRST + h % (1u << 31);
}

uint32_t vsock_cid(const struct guest_def *def)
{
    const char *value = conf_get(def->conf, "vm.vsock");
    uint32_t cid;

    if (!value || parse(value, &cid, NULL) < 0)
        return 0;
    return cid == 1 ? cid_of_name(def->name) : cid;
}

/* Through /proc, since a socket's path may have 107 bytes only. */
static struct sockaddr_un address_in(int dir, const char *name)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};

    snprintf(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d/%s", dir, name);
    return a;
}

int vsock_connect(void *k, uint32_t port)
{
    char name[24];

    snprintf(name, sizeof(name), SOCKET_NAME "_%" PRIu32, port);
    return keeper_connect(k, name, NULL);
}

static const struct vsock_owner owner = {vsock_connect};

/* The socket for clients of the host. */
static int open_listener(int dir, struct error *err)
{
    const struct sockaddr_un a = address_in(dir, SOCKET_NAME);
    cleanup_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0 || bind(fd, (const struct sockaddr *)&a, sizeof(a)) < 0 ||
        fchmodat(dir, SOCKET_NAME, 0600, 0) < 0 || listen(fd, BACKLOG) < 0)
        return error_set(err, errno, "open the socket '%s'", SOCKET_NAME);
    return steal_fd(fd);
}

int vsock_add(struct machine *m, struct keeper *k, struct error *err)
{
    const uint32_t cid = vsock_cid(k->def);

    if (!cid)
        return 0;
    cleanup_close int listener = open_listener(k->run_dir, err);
    if (listener < 0 || virtio_vsock_add(&m->virtio, cid, listener, &owner, k, err) < 0)
        return -1;
    steal_fd(listener);
    return 0;
}
