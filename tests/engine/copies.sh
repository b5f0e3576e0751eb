#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 300 s
# Copies of containers: clone, snapshot and back, rename, export and import.
. "$(dirname "$0")/engine.bash"

[ "$(id -u)" = 0 ] || skip_all "owners of files need root"
G=$PULT_HOME/guests
of() { cat "$G/$1/rootfs/etc/state" 2>&1; }
facts() { (cd "$1" && stat -c '%n %u:%g %a %h %s' etc/state bin/true etc/holes && stat -c %b etc/holes); }

ok "made" pult create container one --template busybox --net none --memory 64M
echo first >"$G/one/rootfs/etc/state"
chown 5:6 "$G/one/rootfs/etc/state" && truncate -s 32M "$G/one/rootfs/etc/holes"
ln "$G/one/rootfs/etc/state" "$G/one/rootfs/etc/again"
echo one >"$G/one/rootfs/etc/hostname" && chown 7:8 "$G/one/rootfs/etc/hostname" && chmod 750 "$G/one/rootfs/etc"
calls_itself() { echo "$(cat "$1/etc/hostname") $(stat -c '%a %u:%g' "$1/etc/hostname") $(stat -c %a "$1/etc")"; }

# ---- clone ----

cat >"$WORK/hook" <<'END'
#!/bin/sh
echo "$1 $2 $3 $LXC_SRC_NAME" >"$LXC_ROOTFS_PATH/etc/cloned"
END
chmod 755 "$WORK/hook"
pult config set one "lxc.hook.clone=$WORK/hook"
ok "clone" pult clone one two
is "clone: lxc.hook.clone" "$(cat "$G/two/rootfs/etc/cloned")" "two lxc clone one"
pult config set one "lxc.hook.clone=/bin/false"
refused "clone: a hook that fails" "lxc.hook.clone" pult clone one three
pult config unset one lxc.hook.clone
is "clone: but the name that it calls itself by" "$(calls_itself "$G/one/rootfs") $(calls_itself "$G/two/rootfs")" \
    "one 644 7:8 750 two 644 7:8 750"
is "clone: the same files" "$(facts "$G/two/rootfs")" "$(facts "$G/one/rootfs")"
is "clone: the same definition" "$(pult config get two guest.memory)" 64M
pult config set one guest.net.0=bridge=br0,mac=02:00:00:00:00:01
pult config set one "lxc.environment=A=b" lxc.uts.name=first
pult clone one twin
is "cloneconfig: its own address and name, else the same" \
    "$(pult config get twin guest.net.0; pult config get twin lxc.environment; pult config get twin lxc.uts.name 2>/dev/null)" \
    "$(printf 'bridge=br0\nA=b')"
pult destroy twin
pult config set one lxc.net.0.type=veth lxc.net.0.hwaddr=00:16:3e:11:22:33 lxc.net.0.veth.pair=one0 \
    lxc.net.1.type=veth lxc.net.1.hwaddr=00:16:3e:xx:xx:xx
pult clone one twin
is "clone: nor has it the same MAC address, or interface on the host" \
    "$(pult config get twin | grep '^lxc.net')" \
    $'lxc.net.0.type = veth\nlxc.net.1.type = veth\nlxc.net.1.hwaddr = 00:16:3e:xx:xx:xx'
pult destroy twin
pult config unset one lxc.net.0.type lxc.net.0.hwaddr lxc.net.0.veth.pair lxc.net.1.type lxc.net.1.hwaddr
pult config unset one guest.net.0 lxc.environment lxc.uts.name
echo second >"$G/two/rootfs/etc/state"
is "clone: its own files" "$(of one)" first

# ---- snapshots ----

pult start one
wait_for 10 pult exec one -- true
ok "snapshot: of one that runs" pult snapshot create one s1
is "snapshot: it runs on" "$(state_of one)" running
ok "snapshot: broken" pult exec one -- sh -c 'echo broken >/etc/state; rm -r /bin/[a-c]*'
refused "snapshot: not under what runs" "force" pult snapshot restore one s1
refused "clone: not of what runs" "is running" pult clone one three
ok "snapshot: restored" pult snapshot restore one s1 --force
is "snapshot: what ran runs" "$(state_of one)" running
is "snapshot: what it was" "$(of one)" first
ok "snapshot: it works" wait_for 10 pult exec one -- cat /etc/state
ok "clone: of a snapshot" pult clone one four --snapshot s1
is "clone: of a snapshot, its files" "$(of four)" first
ok "stopped" pult stop one
ok "snapshot: of one that is stopped" pult snapshot create one s2 --comment 'before: the "upgrade"'
like "snapshot: what it is for" "$(pult snapshot list one)" 's2 .* before: the "upgrade"'
is "snapshot: as JSON, of both" "$(pult snapshot list one -o json | sed -n 's/.*"comment": "\(.*\)".*/\1/p' | paste -sd /)" \
    '/before: the \"upgrade\"'
refused "snapshot: a comment is a line" "one line" pult snapshot create one s3 --comment $'two\nlines'
refused "snapshot: and a short one" "too long; it may have 200" \
    pult snapshot create one s3 --comment "$(printf '%0201d' 0)"
is "snapshot: both are listed" "$(pult snapshot list one | awk 'NR > 1 {print $1}' | paste -sd ' ')" "s1 s2"
used=$(du -s --block-size=1 "$G/one/snapshots/s2/rootfs" | cut -f 1)
like "snapshot: its size" "$(pult snapshot list one -o json | tr -d ' \n')" \
    "\"s2\",\"time\":[0-9]*,\"size_bytes\":$((used / 1000000))[0-9]{6},"
refused "snapshot: taken already" "has a snapshot" pult snapshot create one s2
ok "snapshot: deleted" pult snapshot delete one s1 s2
is "snapshot: nothing stays" "$(ls -A "$G/one/snapshots")" ""

ln -sf /etc/victim "$G/one/rootfs/etc/hostname" && echo untouched >"$G/one/rootfs/etc/victim"
pult clone one linked && pult clone -s one linked2
is "clone: a link is not followed" \
    "$(cat "$G/linked/rootfs/etc/victim") $(readlink "$G/linked/rootfs/etc/hostname") $(ls -A "$G/linked2/overlay/delta")" \
    "untouched /etc/victim "
ok "clone: they go" pult destroy linked linked2
rm "$G/one/rootfs/etc/hostname" && echo one >"$G/one/rootfs/etc/hostname"
chown 7:8 "$G/one/rootfs/etc/hostname"

# ---- clones by overlay ----

pult snapshot create one s3
ok "overlay: clone" pult clone --overlay one over
is "overlay: as LXC writes it" "$(pult config get over lxc.rootfs.path)" "overlay:$G/one/rootfs:$G/over/overlay/delta"
is "overlay: nothing is copied but its name" "$(find "$G/over/overlay" -type f) $(calls_itself "$G/over/overlay/delta")" \
    "$G/over/overlay/delta/etc/hostname over 644 7:8 750"
pult start over
wait_for 10 pult exec over -- true
is "overlay: the other's files" "$(pult exec over -- cat /etc/state)" first
is "overlay: their owners" "$(pult exec over -- stat -c %u:%g /etc/state)" 5:6
ok "overlay: written to" pult exec over -- sh -c 'echo over >/etc/state; rm /etc/again; mv /bin/true /bin/verum; rm -r /tmp && mkdir /tmp'
is "overlay: owners of its own files" "$(stat -c %u:%g "$G/over/overlay/delta/etc/state")" 5:6
is "overlay: the other keeps its own" "$(of one) $(stat -c %h "$G/one/rootfs/etc/state")" "first 2"
ok "overlay: a snapshot" pult snapshot create over s
pult exec over -- sh -c 'echo later >/etc/state; rm -r /etc'
ok "overlay: put back" pult snapshot restore over s --force
wait_for 10 pult exec over -- sh -c :
is "overlay: as it was" "$(pult exec over -- sh -c 'cat /etc/state; ls /etc/again /bin/verum 2>&1 | wc -l')" $'over\n2'
refused "overlay: the other does not run meanwhile" "lie on 'one' run: over; .*stop them first" pult start one
ok "overlay: stopped" pult stop over
ok "overlay: then the other may" pult start one
refused "overlay: it does not go back" "lie on: over" pult snapshot restore --force one s3
is "overlay: nor is it killed for that" "$(state_of one)" running
refused "overlay: and the clone does not" "'one', which this clone by overlay lies on, runs" pult start over
ok "overlay: the other is killed" pult kill one
refused "overlay: the other is needed" "one' is what clones by overlay lie on: over" pult destroy --force one
refused "overlay: keeps its name" "lie on: over" pult rename one uno
refused "overlay: stays what it is" "lie on: over" pult snapshot restore one s3
ok "overlay: of an overlay" pult clone -s over over2
is "overlay: three layers" "$(pult config get over2 lxc.rootfs.path)" \
    "overlay:$G/over/overlay/delta:$G/one/rootfs:$G/over2/overlay/delta"
pult start over2
wait_for 10 pult exec over2 -- sh -c :
is "overlay: sees both" "$(pult exec over2 -- sh -c 'cat /etc/state; ls /etc/again /bin/true 2>/dev/null | wc -l')" $'over\n0'
ok "overlay: down" pult stop over2
ok "overlay: a clone of it is whole" pult clone over2 whole
is "overlay: with files of all layers" "$(of whole) $(ls -d "$G"/whole/rootfs/{etc/again,bin/verum,bin/ls} 2>/dev/null | wc -l)" "over 2"
is "overlay: nothing lies elsewhere" "$(pult config get whole lxc.rootfs.path 2>/dev/null)" ""
ok "overlay: of a snapshot" pult clone -s --snapshot s3 one over3
refused "overlay: the snapshot is needed" "lie on: over3" pult snapshot delete one s3
ok "overlay: renamed" pult rename over3 trois
pult start trois
is "overlay: still starts" "$(wait_for 10 pult exec trois -- true; pult exec trois -- cat /etc/state)" first
pult kill trois
ok "overlay: destroyed from the top" pult destroy --force trois over2 over whole
is "overlay: nothing is left" "$(ls -A "$G")" "$(printf '%s\n' four one two)"
refused "reflink: not on this file system" "reflink|cannot|not supported" pult clone --reflink one sharing ||
    pult destroy --force sharing

# ---- a root in an image ----
modprobe -aq loop ext4 2>/dev/null

if truncate -s 48M "$WORK/root.img" && mkfs.ext4 -q -d "$G/one/rootfs" "$WORK/root.img" 2>/dev/null &&
    losetup -f >/dev/null 2>&1; then
    ok "image: defined" pult create container img --set "lxc.rootfs.path=loop:$WORK/root.img" --net none
    ok "image: starts" pult start img
    wait_for 10 pult exec img -- true
    is "image: its files" "$(pult exec img -- sh -c 'cat /etc/state; stat -c %u:%g /etc/state')" $'first\n5:6'
    pult exec img -- sh -c 'echo image >/etc/state'
    pult create container img2 --set "lxc.rootfs.path=loop:$WORK/root.img" --net none
    refused "image: not twice" "is in use" pult start img2
    pult stop img
    ok "image: cloned into a directory" pult clone img dir
    is "image: the clone's files" "$(of dir)" image
    no_loop() { ! losetup -j "$WORK/root.img" | grep -q .; }
    ok "image: no device is left" wait_for 5 no_loop
    ok "image: destroyed" pult destroy --force img img2 dir
    ok "image: which stays" test -s "$WORK/root.img"
else
    skip "image: a root in one" "no mkfs.ext4, or no loop devices"
fi

# ---- rename ----

ok "rename" pult rename two deux
is "rename: its files" "$(of deux)" second
refused "rename: the old name" "no guest 'two'" pult info two
refused "rename: a name that is taken" "already a guest" pult rename deux one

# ---- export, import ----

for z in tar tar.gz; do
    ok "export: $z" pult export one "$WORK/one.$z"
    ok "import: $z" pult import "$WORK/one.$z" "i-${z//./}"
    is "import: $z, the same files" "$(facts "$G/i-${z//./}/rootfs")" "$(facts "$G/one/rootfs")"
done
is "import: the definition" "$(pult config get i-tar guest.memory)" 64M
refused "export: no archive's name" "does not end" pult export one "$WORK/one.img"
refused "export: a file that is there" "exists" pult export one "$WORK/one.tar"
ok "export: replaces it when told" pult export --force one "$WORK/one.tar"
head -c 64M /dev/urandom >"$G/one/rootfs/big"
mkdir "$WORK/cut"
"$PULT" export one "$WORK/cut/one.tar.xz" &
cut=$!
wait_for 10 sh -c "ls -l /proc/$cut/fd | grep -q '$WORK/cut/.*deleted'"
kill -9 $cut
{ wait $cut; } 2>/dev/null
is "export: killed, it leaves nothing" "$(ls -A "$WORK/cut")" ""
rm "$G/one/rootfs/big"
refused "import: a name that is taken" "already a guest" pult import "$WORK/one.tar"
tar -C "$ROOT" -cf "$WORK/none.tar" .
refused "import: another archive" "no .pult export. made it|config" pult import "$WORK/none.tar"

# ---- what others wrote ----

python3 - "$WORK" <<'END'
import io, sys, tarfile
def archive(name, *members):
    with tarfile.open(f"{sys.argv[1]}/{name}", "w") as t:
        for path, kind, text in members:
            i = tarfile.TarInfo(path)
            i.type, i.mode = kind, 0o755
            i.linkname = text if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE) else ""
            data = text.encode() if kind == tarfile.REGTYPE else b""
            i.size = len(data)
            t.addfile(i, io.BytesIO(data))
D, F, S, L = tarfile.DIRTYPE, tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE
config = ("config", F, "lxc.environment = A=b\nlxc.hook.pre-start = /bin/true\nlxc.hook.start = /bin/true\n"
          "lxc.network.type = none\nlxc.mount.entry = tmpfs opt tmpfs rw 0 0\n"
          "lxc.cgroup.devices.deny = a\nlxc.hook.pre-start = /bin/false\n")
archive("evil.tar", config, ("rootfs", D, ""), ("rootfs/up", S, ".."), ("rootfs/abs", S, "/"),
        ("rootfs/up/snapshots/s/rootfs", D, ""), ("rootfs/abs/log", S, "/etc/passwd"),
        ("rootfs/up/config", F, "lxc.hook.stop = /bin/false\n"), ("rootfs/./config/", S, "x"))
archive("hard.tar", config, ("rootfs", D, ""), ("rootfs/def", L, "config"))
archive("bare.tar", config)
END
said=$(pult import "$WORK/evil.tar" 2>&1 >/dev/null)
is "import: links lead nowhere but into its root" "$(find "$G/evil" -mindepth 1 -maxdepth 1 -printf '%f ' | tr ' ' '\n' | sort | xargs)" "config rootfs"
is "import: the definition is the archive's own" "$(pult config get evil lxc.hook.stop 2>/dev/null; pult config get evil lxc.environment)" "A=b"
like "import: what reaches into the host is said" "$said" "this host: lxc.hook.pre-start, lxc.net.0.type; see"
is "import: nothing is said where nothing does" "$(pult import "$WORK/one.tar" quiet 2>&1)" quiet
refused "import: a hard link to its definition" "outside of it" pult import "$WORK/hard.tar"
refused "import: no root" "no rootfs" pult import "$WORK/bare.tar"
# A name below /proc/PID of the init, whose root is the host's as yet.
victim=/var/tmp/pult$$victim
at_exit "rm -f $victim"
echo "the host's" >"$victim"
mkdir -p "$WORK/proc/rootfs"
cat >"$WORK/proc/config" <<END
guest.type = container
lxc.init.cmd = /bin/true
lxc.proc.root.var.tmp.pult$$victim = theirs
lxc.mount.entry = overlay mnt overlay lowerdir=/etc:/usr,create=dir
lxc.apparmor.raw = }
lxc.environment = PATH
lxc.net.0.type = veth
lxc.net.0.veth.mode = router
lxc.net.0.veth.ipv4.route = 192.0.2.0/24
END
tar -C "$WORK/proc" -cf "$WORK/proc.tar" config rootfs
like "import: what reaches the host by other ways is told" "$(pult import "$WORK/proc.tar" proc 2>&1)" \
    "lxc.proc.root.*, lxc.mount.entry, lxc.apparmor.raw, lxc.environment, lxc.net.0.veth.mode, lxc.net.0.veth.ipv4.route;"
pult config unset proc lxc.mount.entry lxc.apparmor.raw lxc.net.0.type lxc.net.0.veth.mode lxc.net.0.veth.ipv4.route
refused "import: no file of the host's is one of the init's" "lxc.proc.root.var.tmp.*symbolic links" pult start proc
is "import: nor is it written to" "$(cat "$victim")" "the host's"
pult destroy proc
rm -r "$WORK/proc"
python3 - "$WORK" <<'END'
import io, sys, tarfile
with tarfile.open(f"{sys.argv[1]}/holes.tar", "w", format=tarfile.PAX_FORMAT) as t:
    i = tarfile.TarInfo("config")
    i.size = 3
    i.pax_headers = {"GNU.sparse.numblocks": "1", "GNU.sparse.map": "2000000000,3", "GNU.sparse.size": "100"}
    t.addfile(i, io.BytesIO(b"a=b"))
END
refused "import: a definition that is all holes" "too large" pult import "$WORK/holes.tar"
is "failures leave nothing" "$(ls -A "$G" "$WORK" | grep -E '(none|hard|bare)$|three|pult-|\.tar\.')" "one.tar.gz"

# ---- who makes a copy is killed, or what is copied does not stand still ----

mkdir "$WORK/slow" && cat >"$WORK/slow/cp" <<'END'
#!/bin/sh
sleep 30
END
chmod 755 "$WORK/slow/cp"
ok "still: started" pult start one
PATH=$WORK/slow:$PATH "$PULT" snapshot create one never >/dev/null 2>&1 &
maker=$!
ok "still: frozen for a snapshot" wait_for 10 eval '[ "$(state_of one)" = frozen ]'
kill -9 $maker
wait $maker 2>/dev/null
ok "still: whoever makes it is killed, and it goes on" wait_for 10 eval '[ "$(state_of one)" = running ]'
PATH=$WORK/slow:$PATH "$PULT" snapshot create one never >"$WORK/said" 2>&1 &
maker=$!
wait_for 10 eval '[ "$(state_of one)" = frozen ]'
pult unfreeze one
kill -TERM $maker
wait $maker 2>/dev/null
is "still: given up, it runs" "$(state_of one)" running
pult kill one

# A system that does not hear that it is to stop, and puts links to the host's files for directories.
cat >"$WORK/swap.c" <<'END'
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int argc, char **argv)
{
    char dir[16], link[16];
    if (argc < 3 || chdir(argv[1]) < 0)
        return 1;
    for (int i = 1; i < 65; i++)
        signal(i, SIG_IGN);
    for (int i = 0;; i = (i + 1) % 40) {
        snprintf(dir, sizeof dir, "d%d", i);
        snprintf(link, sizeof link, "l%d", i);
        mkdir(dir, 0755);
        symlink(argv[2], link);
        syscall(SYS_renameat2, AT_FDCWD, dir, AT_FDCWD, link, 2 /* RENAME_EXCHANGE */);
        usleep(20);
    }
}
END
if gcc -O1 -static -D_GNU_SOURCE -o "$WORK/swap" "$WORK/swap.c" 2>/dev/null; then
    mkdir -m 700 "$WORK/secret" && echo "only root's" >"$WORK/secret/shadow"
    cp "$WORK/swap" "$G/one/rootfs/bin/swap"
    mkdir "$G/one/rootfs/evil"
    pult config set one "lxc.init.cmd=/bin/swap /evil $WORK/secret"
    pult start one
    "$PULT" stop one --timeout 60 >/dev/null 2>&1 &
    stopper=$!
    ok "still: it is to stop, and does not" wait_for 10 eval '[ "$(state_of one)" = stopping ]'
    refused "still: a snapshot of one that stops" "is stopping" pult snapshot create one stops
    pult kill one
    wait $stopper
    "$WORK/swap" "$G/one/rootfs/evil" "$WORK/secret" & # as a guest would that has the same root
    swapper=$!
    at_exit "kill -9 $swapper 2>/dev/null"
    found=
    for i in 1 2 3 4 5; do
        pult clone one "led$i" >/dev/null 2>&1 || continue
        found+=$(grep -rl "only root's" "$G/led$i/rootfs/evil")
        pult destroy "led$i"
    done
    kill -9 $swapper
    wait $swapper 2>/dev/null
    is "still: no copy follows a link" "$found" ""
    pult config unset one lxc.init.cmd
else
    skip "still: no copy follows a link" "needs a compiler, and a static C library"
fi
finish
