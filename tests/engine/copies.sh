#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
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
is "clone: the same files" "$(facts "$G/two/rootfs")" "$(facts "$G/one/rootfs")"
is "clone: the same definition" "$(pult config get two guest.memory)" 64M
pult config set one guest.net.0=bridge=br0,mac=02:00:00:00:00:01
pult config set one "lxc.environment=A=b" lxc.uts.name=first
pult clone one twin
is "cloneconfig: its own address and name, else the same" \
    "$(pult config get twin guest.net.0; pult config get twin lxc.environment; pult config get twin lxc.uts.name 2>/dev/null)" \
    "$(printf 'bridge=br0\nA=b')"
pult destroy twin
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
ok "snapshot: of one that is stopped" pult snapshot create one s2
is "snapshot: both are listed" "$(pult snapshot list one | awk 'NR > 1 {print $1}' | paste -sd ' ')" "s1 s2"
used=$(du -s --block-size=1 "$G/one/snapshots/s2/rootfs" | cut -f 1)
like "snapshot: its size" "$(pult snapshot list one -o json | tr -d ' \n')" \
    "\"s2\",\"time\":[0-9]*,\"size_bytes\":$((used / 1000000))[0-9]{6}\\}"
refused "snapshot: taken already" "has a snapshot" pult snapshot create one s2
ok "snapshot: deleted" pult snapshot delete one s1 s2
is "snapshot: nothing stays" "$(ls -A "$G/one/snapshots")" ""

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
refused "import: a name that is taken" "already a guest" pult import "$WORK/one.tar"
tar -C "$ROOT" -cf "$WORK/none.tar" .
refused "import: another archive" "no .pult export. made it|config" pult import "$WORK/none.tar"
is "failures leave nothing" "$(ls -A "$G" "$WORK" | grep -E 'none$|three|pult-|\.tar\.')" "one.tar.gz"
finish
