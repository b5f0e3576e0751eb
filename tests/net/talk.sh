#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 120 s
#
# The configuration of the talk of 2010, word for word, and keys of LXC's about interfaces: scripts,
# routes, an address that the host answers for. /srv and /etc/lxc are of this test alone.
if [ -z "${TALK_INSIDE:-}" ]; then
    TALK_INSIDE=1 exec unshare -m --propagation private "$0"
fi
. "$(dirname "$0")/../engine/engine.bash"
[ "$(id -u)" = 0 ] || skip_all "needs root"
mount -t tmpfs none /srv || skip_all "cannot mount"
mkdir -p /etc/lxc 2>/dev/null
mount -t tmpfs none /etc/lxc || skip_all "there is no /etc/lxc"
mkdir -p /srv/lxc/con1 /etc/lxc/con1 /srv/www
cp -a "$ROOT/." /srv/lxc/con1/
mkdir -p /srv/lxc/con1/var/www
echo page >/srv/www/index
echo "/srv/www /srv/lxc/con1/var/www none bind,ro,nosuid 0 0" >/etc/lxc/con1/fstab
cat >/etc/lxc/con1.conf <<'END'
lxc.utsname       = con1
lxc.network.type  = veth
lxc.network.flags = up
lxc.network.link  = br0
lxc.network.ipv4  = 192.168.1.16/24
lxc.network.name  = eth0
lxc.mount         = /etc/lxc/con1/fstab
lxc.rootfs        = /srv/lxc/con1
END
mkdir -p /srv/lxc/con1/sbin
[ -e /srv/lxc/con1/sbin/init ] || ln -s /bin/busybox /srv/lxc/con1/sbin/init
ip link add br0 type bridge && ip link set br0 up && ip addr add 192.168.1.1/24 dev br0
at_exit "ip link del br0 2>/dev/null"

ok "the talk's file is taken as it is" pult create container con1 -f /etc/lxc/con1.conf
ok "it starts" pult start con1
x() { pult exec con1 -- /bin/sh -c "$1" 2>&1; }
is "by its name" "$(x hostname)" con1
like "its eth0" "$(x 'ip -4 -o addr show dev eth0')" "192\.168\.1\.16/24"
ok "which the host reaches" busybox ping -c 1 -W 5 192.168.1.16
is "a port of br0" "$(ip -o link show master br0 | wc -l)" 1
is "its fstab" "$(x 'cat /var/www/index')" page
like "read-only" "$(x 'echo x >/var/www/index')" "Read-only"
like "its init is the system's" "$(x 'tr "\\0" " " </proc/1/cmdline')" "init"
ok "it stops" pult stop con1 -t 10
ok "in today's spelling" pult config modernize con1
is "…" "$(pult config get con1 | sed 's/ *= */=/')" "$(cat <<'END'
lxc.uts.name=con1
lxc.net.0.type=veth
lxc.net.0.flags=up
lxc.net.0.link=br0
lxc.net.0.ipv4.address=192.168.1.16/24
lxc.net.0.name=eth0
lxc.mount.fstab=/etc/lxc/con1/fstab
lxc.rootfs.path=/srv/lxc/con1
guest.type=container
END
)"

# ---- more of interfaces ----
cat >"$WORK/script" <<'END'
#!/bin/sh
echo "$*" >>"${0%/*}/scripts"
END
chmod 755 "$WORK/script"
pult config set con1 lxc.execute.cmd="/bin/sleep 1000" lxc.net.0.veth.pair=con1v \
    lxc.net.0.script.up="$WORK/script" lxc.net.0.script.down="$WORK/script" \
    lxc.net.0.veth.ipv4.route=10.9.0.0/16 lxc.net.0.l2proxy=1
pult start con1
is "a route of the host's" "$(ip route show 10.9.0.0/16 | sed 's/ *$//')" "10.9.0.0/16 dev con1v scope link"
like "l2proxy" "$(ip neigh show proxy)" "192.168.1.16 dev br0"
pult kill con1
is "scripts" "$(cat "$WORK/scripts")" "con1 net up veth br0 con1v
con1 net down veth br0 con1v"
is "the host answers no more" "$(ip neigh show proxy)" ""
pult start con1
kill -9 "$(pult info con1 -o json | sed -n 's/^ *"keeper_pid": \([0-9]*\),*$/\1/p')"
ok "a killed keeper is found" wait_for 10 sh -c "'$PULT' list | grep -q crashed"
is "nor does the host answer after that" "$(ip neigh show proxy)" ""
pult destroy con1
finish
