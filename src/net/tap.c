/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Taps, see tap.h.
 */
#include "net/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "net/link.h"

#define TUN_PATH "/dev/net/tun"
#define NEW_NAME "vtap%d"

#define OFFLOADS (TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN)

static bool is_new(const struct tap_request *rq)
{
    return !rq->name || !*rq->name;
}

/* ---- what is there ---- */

static int check_bridge(const char *bridge, struct link *out, struct error *err)
{
    if (link_look(bridge, out, err) < 0)
        return error_hint(err, "a bridge is made by: ip link add %s type bridge", bridge);
    if (!str_eq(out->kind, "bridge"))
        return error_set(err, 0, "'%s' is no bridge", bridge);
    return 0;
}

/* The guest's address must not be that of the host's end, or no frame would get to the guest. */
static int check_mac(const struct tap_request *rq, const struct link *host, struct error *err)
{
    if (!rq->mac || !host->index || memcmp(rq->mac, host->mac, sizeof(host->mac)) != 0)
        return 0;
    return error_set(err, 0, "the guest's address is that of '%s' itself", host->name);
}

/* One that a network made lets only one address pass. */
static int check_promise(const struct tap_request *rq, const struct link *tap, struct error *err)
{
    char network[IFNAMSIZ];
    uint8_t mac[6];

    if (!rq->mac || !link_is_promised(tap, network, mac) || memcmp(mac, rq->mac, 6) == 0)
        return 0;
    error_set(err, 0, "of the tap '%s' a guest has the address %02x:%02x:%02x:%02x:%02x:%02x",
              rq->name, mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
    return error_hint(err, "the network '%s' has it so: leave mac= away", network);
}

/* Look at the tap and its bridge. link->index 0: there is none of its name, it has to be made. */
static int look(const struct tap_request *rq, struct link *tap, struct link *bridge,
                struct error *err)
{
    char name[IFNAMSIZ];
    struct error why = {0};

    *tap = *bridge = (struct link){0};
    if (rq->bridge && check_bridge(rq->bridge, bridge, err) < 0)
        return -1;
    if (check_mac(rq, bridge, err) < 0)
        return -1;
    if (is_new(rq))
        return 0;
    if (link_look(rq->name, tap, &why) < 0) {
        if (why.code == ENODEV)
            return 0;
        return error_set(err, 0, "%s", why.text);
    }
    if (!str_eq(tap->kind, "tun"))
        return error_set(err, 0, "'%s' is no tap", rq->name);
    if (rq->bridge && tap->master && tap->master != bridge->index)
        return error_set(err, 0, "'%s' is to be a port of '%s', and is one of '%s' already",
                         rq->name, rq->bridge, link_name(tap->master, name));
    if (check_mac(rq, tap, err) < 0 || check_promise(rq, tap, err) < 0)
        return -1;
    if (tap->up && tap->running) {
        error_set(err, 0, "the tap '%s' is in use", rq->name);
        if (err)
            err->code = EBUSY;
        return -1;
    }
    return 0;
}

static int needs_root(const struct tap_request *rq, struct error *err)
{
    if (is_new(rq)) {
        error_set(err, 0, "making a tap needs root; name one that is yours");
        return error_hint(err,
                          "root makes one in a network: pult network tap add NETWORK NAME,user=%u",
                          geteuid());
    }
    error_set(err, 0, "there is no tap '%s', and making one needs root", rq->name);
    return error_hint(err, "root makes it in a network: pult network tap add NETWORK %s,user=%u",
                      rq->name, geteuid());
}

int tap_check(const struct tap_request *rq, struct error *err)
{
    struct link tap, bridge;
    struct error why;

    if (rq->parent)
        return link_look(rq->parent, &tap, err);
    if (access(TUN_PATH, R_OK | W_OK) < 0)
        return error_set(err, errno, "open " TUN_PATH);
    if (look(rq, &tap, &bridge, &why) < 0) {
        if (why.code == EBUSY) /* by then it may be free */
            return 0;
        return error_set(err, 0, "%s", why.text);
    }
    return tap.index || geteuid() == 0 ? 0 : needs_root(rq, err);
}

/* ---- opening ---- */

/* One queue of a macvtap: its device has the interface's number. -1 with errno. */
static int open_macvtap(const char *name, unsigned flags)
{
    struct ifreq r = {.ifr_flags = (short)(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | flags)};
    char path[32];

    snprintf(path, sizeof(path), "/dev/tap%u", if_nametoindex(name));
    cleanup_close int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || ioctl(fd, TUNSETIFF, &r) < 0)
        return -1;
    return steal_fd(fd);
}

/* One queue. *name is what it is to be called, and then what it is. -1 with errno. */
static int open_queue(char name[IFNAMSIZ], unsigned flags)
{
    struct ifreq r = {.ifr_flags = (short)(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | flags)};
    cleanup_close int fd = open(TUN_PATH, O_RDWR | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0)
        return -1;
    memcpy(r.ifr_name, name, IFNAMSIZ);
    if (ioctl(fd, TUNSETIFF, &r) < 0)
        return -1;
    memcpy(name, r.ifr_name, IFNAMSIZ);
    return steal_fd(fd);
}

static int explain(const struct tap_request *rq, const struct tap *t, int code, struct error *err)
{
    if (code == EPERM && t->made)
        return needs_root(rq, err);
    error_set(err, code, "open the tap '%s'", t->made && is_new(rq) ? "(new)" : t->name);
    if (code == EPERM)
        return error_hint(err, "it belongs to another user");
    if (code == EBUSY)
        return error_hint(err, "somebody uses it");
    if (code == EINVAL && rq->queues > 1)
        return error_hint(err,
                          "for queues=%u it must be made with: ip tuntap add %s mode tap "
                          "multi_queue",
                          rq->queues, t->name);
    return -1;
}

/* An interface was made with multiple queues or without, and is opened in the same way. */
static int open_queues(const struct tap_request *rq, struct tap *t, struct error *err)
{
    unsigned flags = rq->queues > 1 ? IFF_MULTI_QUEUE : 0;
    int header = (int)rq->header;

    for (; t->queues < rq->queues; t->queues++) {
        int fd = rq->parent
                     ? open_macvtap(t->name, flags)
                     : open_queue(t->name, flags | (t->made && !t->queues ? IFF_TUN_EXCL : 0));
        if (fd < 0 && errno == EINVAL && !flags && !t->made) {
            flags = IFF_MULTI_QUEUE;
            fd = open_queue(t->name, flags);
        }
        if (fd < 0)
            return explain(rq, t, errno, err);
        t->fd[t->queues] = fd;
        if (ioctl(fd, TUNSETVNETHDRSZ, &header) < 0) {
            t->queues++;
            return error_set(err, errno, "set up the tap '%s'", t->name);
        }
    }
    t->offloads = OFFLOADS;
    if (ioctl(t->fd[0], TUNSETOFFLOAD, (unsigned long)(OFFLOADS | TUN_F_UFO)) == 0)
        t->offloads |= TUN_F_UFO;
    return tap_set_offloads(t, 0) < 0
               ? error_set(err, errno, "reset the offloads of the tap '%s'", t->name)
               : 0;
}

/* At its other end is a guest, which is not to configure this host. */
static int set_up_new(const struct tap_request *rq, const struct tap *t, struct error *err)
{
    uint8_t mac[6];

    link_distrust(t->name);
    if ((!rq->bridge && !rq->port) || !rq->mac)
        return 0;
    link_host_mac(rq->mac, mac);
    return link_set_mac(t->name, mac, err);
}

/* Everything about the interface itself. */
static int set_up(const struct tap_request *rq, struct tap *t, const struct link *tap,
                  const struct link *bridge, struct error *err)
{
    unsigned mtu = rq->mtu;
    struct link now;

    if (t->made && set_up_new(rq, t, err) < 0)
        return -1;
    if (!mtu && t->made && rq->bridge) /* a smaller one would become the bridge's */
        mtu = bridge->mtu;
    if (mtu && mtu != tap->mtu && link_set_mtu(t->name, mtu, err) < 0)
        return -1;
    if (rq->bridge && tap->master != bridge->index && link_join(t->name, rq->bridge, err) < 0)
        return -1;
    if (link_up(t->name, err) < 0 || link_look(t->name, &now, err) < 0)
        return -1;
    t->mtu = now.mtu;
    return 0;
}

/* What a tap's set_up() does; the interface is the guest's own, address and all. */
static int open_on_nic(const struct tap_request *rq, struct tap *t, struct error *err)
{
    struct link now;

    t->made = true;
    snprintf(t->name, sizeof(t->name), "%s", rq->name);
    if (link_make_macvtap(rq->name, rq->parent, rq->mac, rq->mtu, err) < 0)
        return -1;
    if (open_queues(rq, t, err) < 0 || link_look(t->name, &now, err) < 0) {
        tap_close(t);
        link_delete(rq->name, NULL);
        return -1;
    }
    t->mtu = now.mtu;
    return 0;
}

int tap_open(const struct tap_request *rq, struct tap *out, struct error *err)
{
    struct link tap, bridge;

    *out = (struct tap){0};
    if (rq->parent)
        return open_on_nic(rq, out, err);
    if (look(rq, &tap, &bridge, err) < 0)
        return -1;
    out->made = !tap.index;
    snprintf(out->name, sizeof(out->name), "%s", is_new(rq) ? NEW_NAME : rq->name);
    if (open_queues(rq, out, err) < 0 || set_up(rq, out, &tap, &bridge, err) < 0) {
        tap_close(out);
        return -1;
    }
    return 0;
}

void tap_close(struct tap *t)
{
    for (unsigned i = 0; i < t->queues; i++)
        close(t->fd[i]);
    *t = (struct tap){0};
}

/* ---- while it is used ---- */

int tap_set_offloads(const struct tap *t, unsigned offloads)
{
    return ioctl(t->fd[0], TUNSETOFFLOAD, (unsigned long)offloads);
}

void tap_use_queues(const struct tap *t, unsigned n)
{
    for (unsigned i = 1; i < t->queues; i++) {
        struct ifreq r = {.ifr_flags = i < n ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE};
        ioctl(t->fd[i], TUNSETQUEUE, &r); /* fails where it is so already */
    }
}
