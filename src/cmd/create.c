/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pult create container and pult create vm: a definition in the store, all of it or nothing. */
#include "base/cleanup.h"
#include "base/places.h"
#include "cmd/diskfile.h"
#include "cmd/newdisk.h"
#include "cmd/newguest.h"
#include "cmd/newnet.h"
#include "cmd/table.h"
#include "guest/def.h"
#include "guest/store.h"

/* Could a guest so defined be started? What it needs beside an archive's files is there now. */
static int check(const char *name, const struct conf *conf, struct error *err)
{
    cleanup_def struct guest_def *def = NULL;
    if (def_from_conf(name, place_home(), conf_copy(conf), &def, err) < 0)
        return -1;
    return def_check(def, err);
}

static int create(const struct cmd_args *a, const char *type)
{
    struct error err = {0};
    struct new_guest g;
    int status = new_guest(a, type, false, &g);
    if (status != EXIT_OK)
        return status;
    const char *name = cmd_pos(a, 0);
    g.name = name;
    if (g.template)
        disk_cancellable();
    if (guest_name_check(name, &err) < 0 || (!g.template && check(name, g.conf, &err) < 0) ||
        store_init(&err) < 0 || new_net_default(type, g.conf, &err) < 0 ||
        store_create(name, g.conf, new_guest_fill, &g, &err) < 0)
        status = disk_fail(a, &err);
    cleanup_def struct guest_def *def = NULL;
    if (status == EXIT_OK && store_load(name, &def, &err) == 0)
        cmd_warn(a, def);
    new_guest_clear(&g);
    return status;
}

static int create_container_run(const struct cmd_args *a)
{
    if (!cmd_opt(a, "rootfs") && !cmd_opt(a, "template") && !cmd_opt(a, "config") &&
        !cmd_opt(a, "set"))
        return cmd_usage(a, "missing option: --rootfs DIR, --rootfs TAR or --template NAME");
    return create(a, "container");
}

const struct command cmd_create_container = {
    .name = "create container",
    .alias = "create ct",
    .args = "NAME [-- COMMAND...]",
    .min = 1,
    .max = 1,
    .rest = true,
    .options =
        (const struct cmd_option[]){
            OPTION_TEMPLATE,
            OPTION_ROOTFS,
            OPTION_NET,
            OPTION_MEMORY,
            OPTION_CPUS,
            OPTION_CONFIG,
            OPTION_SET,
            {"autostart", 0, NULL, false, "to be started by `pult start --autostart`"},
            {0},
        },
    .help = "define a container",
    .detail = "A directory given as --rootfs is the container's root where it is, and belongs to\n"
              "it from now on; an archive is unpacked into the guest's own directory. COMMAND is\n"
              "what it runs, its own /sbin/init if none is given.\n\n"
              "A --template makes its files, in the guest's own directory; giving up leaves "
              "nothing:\n\n"
              "  debian[:SUITE][,mirror=URL][,variant=V][,packages=A+B][,fresh]   by debootstrap;\n"
              "                   kept in the cache for the next, unless fresh\n"
              "  busybox          a small system of this host's static busybox\n"
              "  host[,data=DIR][,rw=DIR]   one command on this host's programs, read-only\n"
              "  rootfs:DIR       a copy of a root file system\n"
              "  tar:FILE         an archive of one\n"
              "  oci:PATH[:TAG]   an image of OCI or docker: a directory, or an archive\n"
              "  lxc:NAME[,arg=A] a template of the program lxc\n\n"
              "Each --net is a network card: one of `pult network list`, with an address of it;\n"
              "bridge=NAME for a bridge of this host; or user, which needs no rights. Without any\n"
              "it joins nat0, which is made with the first guest; a user's guests have user.\n"
              "--net none keeps it to itself; HOME/pult.conf may say net.default = NAME.\n\n"
              "  pult create container web1 --rootfs /srv/debian --memory 512M\n"
              "  pult create container web2 --rootfs web2.tar --net lan,address=10.87.0.9\n"
              "  pult create container job --rootfs job.tar -- /usr/bin/job --once\n"
              "  pult create container d --template debian:trixie,packages=vim+openssh-server\n"
              "  pult create container c --template oci:/srv/image.tar:latest",
    .safe = true,
    .run = create_container_run,
};

static int create_vm_run(const struct cmd_args *a)
{
    if (!cmd_opt(a, "kernel") && !cmd_opt(a, "disk") && !cmd_opt(a, "config") && !cmd_opt(a, "set"))
        return cmd_usage(a, "missing option: --kernel FILE, or --disk FILE to boot from");
    return create(a, "vm");
}

const struct command cmd_create_vm = {
    .name = "create vm",
    .args = "NAME",
    .min = 1,
    .max = 1,
    .options =
        (const struct cmd_option[]){
            OPTION_KERNEL,
            OPTION_INITRD,
            OPTION_APPEND,
            OPTION_DISK,
            OPTION_SNAPSHOT,
            OPTION_SHARE,
            OPTION_NET,
            OPTION_MEMORY,
            OPTION_CPUS,
            OPTION_CONFIG,
            OPTION_SET,
            {"autostart", 0, NULL, false, "to be started by `pult start --autostart`"},
            {0},
        },
    .help = "define a virtual machine",
    .detail =
        "Its console is its first serial port: console=ttyS0 on the kernel's command line.\n\n"
        "With a --disk and no --kernel it boots from that, with the newest kernel of this "
        "machine.\n\n"
        "  pult create vm web2 --kernel /boot/vmlinuz --initrd /boot/initrd.img \\\n"
        "      --append 'root=/dev/vda1' --memory 1G --cpus 2 --disk /srv/web2.qcow2\n\n"
        "Each --net is a network card: one of `pult network list`; nat0 if none is given. `user` "
        "needs no rights: the guest reaches what this host\n"
        "reaches, through the program passt, and the host's ports that it forwards reach the\n"
        "guest. With host-loopback it also reaches what listens on the host's loopback only, at\n"
        "its gateway's address. A tap is an interface of this host; one that is not there is\n"
        "made, by root, and gone with the guest.\n\n"
        "  --net lan,address=10.87.0.9     a network, and which address it gives\n"
        "  --net user,forward=tcp:8080:80,forward=udp:127.0.0.1:5353:53\n"
        "  --net bridge=br0                a new tap in a bridge\n"
        "  --net tap=tap0,mac=02:00:00:00:00:01,mtu=9000,queues=4,vhost=on",
    .safe = true,
    .run = create_vm_run,
};
