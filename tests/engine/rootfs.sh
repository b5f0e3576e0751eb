#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 400 s (in the lab everything takes its time)
# Root file systems: directories, archives, hostile ones, mounts; and a copy of this host.
. "$(dirname "$0")/engine.bash"
[ "$(id -u)" = 0 ] || skip_all "needs root"

n=r-$test_id

# ---- a lasting directory ----
pult create container "$n" --rootfs "$ROOT" -- /bin/sleep 1000
pult start "$n"
pult exec "$n" -- /bin/sh -c 'echo kept >/root/kept; chown 7:8 /root/kept; ls -n /etc/passwd' >"$WORK/out"
like "its files are root's inside" "$(cat "$WORK/out")" "^-rw-r--r-- +1 0 +0 "
is "what is written is kept" "$(cat "$ROOT/root/kept")" kept
is "with the owner it was given" "$(stat -c %u:%g "$ROOT/root/kept")" 7:8
is "and files of the directory keep theirs" "$(stat -c %u:%g "$ROOT/etc/passwd")" 0:0
pult kill "$n"
pult destroy "$n"
ok "destroying it leaves the directory" test -e "$ROOT/root/kept"

# ---- throwaway ----
is "a throwaway one sees it" "$(inside /bin/cat /root/kept)" kept
inside /bin/sh -c 'echo x >/root/kept; rm -rf /etc; echo y >/new'
is "and changes nothing" "$(cat "$ROOT/root/kept") $(cat "$ROOT/etc/group")" "kept root:x:0:"
ok "nothing at all" test ! -e "$ROOT/new"

# ---- a directory that others reach: there its set-user-ID programs are the host's ----
others="other users of this host reach '$ROOT'"
chmod 711 "$WORK" "${TMPDIR:-/tmp}"
like "others reach its root: said when it is made" \
    "$(pult create container "$n" --rootfs "$ROOT" -- /bin/true 2>&1)" "warning: $others.*as root"
like "… by doctor" "$(pult doctor)" "note +container +roots +$others.* '$n'"
is "… but not for a throwaway, which writes elsewhere" "$(inside /bin/true 2>&1)" ""
pult config set "$n" lxc.rootfs.options=ro
is "… nor a root that is only read" "$(pult start "$n" 2>&1)" ""
wait_for 20 eval '[ "$(state_of "$n")" = stopped ]'
pult config unset "$n" lxc.rootfs.options
chmod 700 "$WORK"
is "… nor below a directory that is closed to them" "$(pult start "$n" 2>&1)" ""
wait_for 20 eval '[ "$(state_of "$n")" = stopped ]'
pult destroy "$n"

# ---- archives ----
for z in "" gz xz; do
    tar -caf "$WORK/root.tar${z:+.$z}" -C "$ROOT" . 2>/dev/null || continue
    is "from a tar${z:+.$z}" "$(pult run --rootfs "$WORK/root.tar${z:+.$z}" -- /bin/cat /root/kept)" kept
done
pult create container "$n" --rootfs "$WORK/root.tar" -- /bin/sleep 1000
is "owners are kept" "$(stat -c %u:%g "$PULT_HOME/guests/$n/rootfs/root/kept")" 7:8
pult start "$n"
is "and seen inside" "$(pult exec "$n" -- /bin/stat -c %u:%g /root/kept)" 7:8
pult kill "$n"
pult destroy "$n"
ok "destroyed with it" test ! -e "$PULT_HOME/guests/$n"
mkdir -p "$WORK/evil" && (cd "$WORK/evil" && ln -s "$WORK" out && tar -cf "$WORK/evil.tar" out &&
    rm out && mkdir out && echo x >out/escaped && tar -rf "$WORK/evil.tar" out/escaped &&
    tar -rPf "$WORK/evil.tar" --transform "s|.*|../../../escaped|" out/escaped)
pult create container "$n" --rootfs "$WORK/evil.tar" >/dev/null 2>&1
is "an archive cannot write elsewhere" "$(find "$WORK" "$PULT_HOME" -name escaped -not -path "$WORK/evil/*" \
    -not -path "*/rootfs/*")" ""
pult destroy "$n" 2>/dev/null
echo hello >"$WORK/text"
refused "what is no archive" "not an archive" pult create container "$n" --rootfs "$WORK/text"
ok "leaves nothing" test ! -e "$PULT_HOME/guests/$n"

# ---- hostile directories ----
etc_state() { find /etc -printf '%p %i %m %c\n' | sort; }
etc=$(etc_state)
for d in dev proc sys; do
    cp -a "$ROOT" "$WORK/hostile"
    rm -rf "${WORK:?}/hostile/$d" && ln -s /etc "$WORK/hostile/$d"
    link="'/$d' of the root file system is not a directory \(a symbolic link\?\)"
    refused "/$d is a symbolic link" "$link" pult run --rootfs "$WORK/hostile" -- /bin/true
    refused "…, for a lasting one" "$link" pult create container "$n" --rootfs "$WORK/hostile"
    tar -cf "$WORK/hostile.tar" -C "$WORK/hostile" .
    refused "…, in an archive" "$link" pult run --rootfs "$WORK/hostile.tar" -- /bin/true
    rm -rf "$WORK/hostile"
    pult create container "$n" --rootfs "$ROOT" -- /bin/true
    mv "$ROOT/$d" "$WORK/$d" && ln -s /etc "$ROOT/$d"
    refused "…, made later" "$link" pult start "$n"
    rm "$ROOT/$d" && mv "$WORK/$d" "$ROOT/$d"
    is "…: it stays stopped" "$(state_of "$n")" stopped
    pult destroy "$n"
done
is "and the host's is as it was" "$(etc_state)" "$etc"
is "none is left" "$(pult list --names)" ""
refused "a file" "has no file system that is known" pult create container "$n" --set "lxc.rootfs.path=$WORK/text"
refused "nothing" "No such file|nothing" pult create container "$n" --rootfs "$WORK/nothing"

# ---- mounts ----
mkdir -p "$WORK/data" && echo shared >"$WORK/data/file"
m() { pult run --rootfs "$ROOT" --set "lxc.mount.entry=$1" -- "${@:2}"; }
is "a bind mount" "$(m "$WORK/data mnt/data none bind,create=dir" /bin/cat /mnt/data/file)" shared
like "read-only" "$(m "$WORK/data mnt/data none bind,ro,create=dir" /bin/touch /mnt/data/x 2>&1)" "ead-only"
is "a file" "$(m "$WORK/data/file etc/deep/er none bind,create=file" /bin/cat /etc/deep/er)" shared
if can_idmap; then
    m "$WORK/data mnt none bind,create=dir,idmap=container" /bin/touch /mnt/mine
    is "with the container's ids" "$(stat -c %u "$WORK/data/mine")" 0
fi
is "a tmpfs" "$(m "tmpfs mnt tmpfs size=64k,create=dir" /bin/sh -c 'grep " /mnt " /proc/mounts | cut -d " " -f 3')" tmpfs
ln -s "$WORK" "$ROOT/link"
like "a link does not lead out" "$(m "$WORK/data link/out none bind,create=dir" /bin/ls "$WORK" 2>&1)" "out"
ok "nothing was made outside" test ! -e "$WORK/out/file"
refused "a source that is missing" "No such file" m "/nothing mnt none bind,create=dir" /bin/true
ok "may be, if optional" m "/nothing mnt none bind,optional" /bin/true
rm "$ROOT/link"

# ---- a copy of this host ----
tag=pult-$test_id
host() { pult run -- /bin/sh -c "$1" </dev/null; }
is "a copy of this host" "$(host 'cat /etc/os-release')" "$(cat /etc/os-release)"
is "can be written to" "$(host "echo x >/etc/$tag && echo y >/usr/$tag && cat /etc/$tag /usr/$tag")" $'x\ny'
ok "and the host sees nothing" test ! -e "/etc/$tag" -a ! -e "/usr/$tag"
is "homes are hidden" "$(host 'ls -A /root /home')" $'/home:\n\n/root:'
is "so is what runs on the host" "$(host 'ls -A /run /tmp')" $'/run:\n\n/tmp:'
is "root's home is private" "$(host 'stat -c %a /root')" 700
is "the store is hidden" "$(host "ls -A $PULT_HOME 2>/dev/null")" ""
for f in /etc/shadow /etc/gshadow /etc/ssh/ssh_host_*_key; do
    [ -s "$f" ] || continue
    is "$f is empty, and has its owner and mode" "$(host "stat -c %s:%a:%u:%g $f")" "$(stat -c 0:%a:%u:%g "$f")"
    ok "the host's is not" test -s "$f"
done
is "programs can still change /etc/shadow" \
    "$(host "useradd -M u$test_id 2>&1; cut -d: -f1 /etc/shadow")" "u$test_id"
if can_replace; then
    is "a directory can be replaced" "$(host 'rm -rf /srv && mkdir /srv && echo z >/srv/z && cat /srv/z')" z
else
    skip "a directory can be replaced" "tmpfs without user attributes, before Linux 6.6"
fi
is "a shell by default" "$(echo 'echo $0 $HOME' | SHELL=/bin/sh pult run 2>/dev/null | grep -c '/root')" 1

# Homes elsewhere. (The guard gives this test a mount namespace of its own.)
mkdir -p "$WORK/srv"/{person,linked,caller,other} && ln -s linked "$WORK/srv/link"
for d in person linked caller other; do echo secret >"$WORK/srv/$d/file"; done
{
    cat /etc/passwd
    echo "p1-$test_id:x:4321:4321::/srv/person:/bin/sh"
    echo "p2-$test_id:x:4322:4322::/srv/link/:/bin/sh"
    echo "p3-$test_id:x:4323:4323::/:/bin/sh"
} >"$WORK/passwd"
if [ "$(stat -c %Hd "$WORK")" != 0 ] && mount --bind "$WORK/srv" /srv && at_exit "umount -l /srv" &&
    mount --bind "$WORK/passwd" /etc/passwd && at_exit "umount -l /etc/passwd"; then
    is "homes elsewhere are hidden, too" \
        "$(HOME=/srv/caller host 'cd /srv; for d in *; do echo $d $(ls -A $d/); done')" \
        $'caller\nlink\nlinked\nother file\nperson'
else
    skip "homes elsewhere are hidden, too" "cannot bind to /srv from a disk"
fi
finish
