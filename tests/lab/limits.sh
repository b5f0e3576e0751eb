#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 300 s
#
# Limits of a VM's keeper on pure cgroup v2: those of its definition hold from its start, and an
# ordinary user sets some where a subtree was delegated to him. (Its guest need not come up.)
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/lab.bash"

vm_files cloud-amd64
kernel=$cache/linux-cloud-amd64/vmlinux
top=/sys/fs/cgroup
id_of() { "$@" info "$n" -o json | sed -n 's/^ *"keeper_pid": \([0-9]*\),*$/\1/p'; }
group_of() { echo "$top$(sed -n 's/^0:://p' "/proc/$(id_of "$@")/cgroup")"; }
limits() { (cd "$1" && cat cpu.weight pids.max cpu.max) | paste -sd ' '; }

n=$test_id-root
"$PULT" create vm "$n" --kernel "$kernel" --initrd "$initrd" --memory 96M
"$PULT" config set "$n" vm.cgroup2.cpu.weight=30 vm.cgroup2.pids.max=200 "vm.cgroup2.cpu.max=50000 100000"
ok "it starts" "$PULT" start "$n"
group=$(group_of "$PULT")
is "what its definition says holds from its start" "$(limits "$group")" "30 200 50000 100000"
ok "one is changed" "$PULT" limit "$n" cpus=0.8
is "it is" "$(limits "$group")" "30 200 80000 100000"
ok "kill" "$PULT" kill "$n"
ok "its group goes" wait_for 10 test ! -e "$group"
"$PULT" config set "$n" vm.cgroup2.pids.max=many
like "one that cannot be keeps it from starting" "$("$PULT" start "$n" 2>&1)" "pids.max"
"$PULT" destroy "$n"

# ---- an ordinary user ----
uid=54321
n=$test_id-user
chmod 711 "$WORK" "${TMPDIR:-/tmp}" && chmod 666 /dev/kvm && cp "$PULT" "$WORK/pult"
mkdir "$WORK/u" && cp "$kernel" "$initrd" "$WORK/u" && chown -R $uid:$uid "$WORK/u"
u() { setpriv --reuid=$uid --regid=$uid --clear-groups env HOME="$WORK/u" PULT_HOME="$WORK/u/home" \
    PULT_RUN="$WORK/u/run" timeout 60 "$WORK/pult" "$@"; }
tree=$top/u-$test_id
echo "+cpu +memory +pids" >"$top/cgroup.subtree_control"
mkdir -p "$tree/session" && echo "+cpu +memory +pids" >"$tree/cgroup.subtree_control" && chown -R $uid:$uid "$tree"
at_exit "find '$tree' -depth -type d -exec rmdir {} + 2>/dev/null"
from() { (echo $BASHPID >"$tree/session/cgroup.procs" && u "$@"); }
from create vm "$n" --kernel "$WORK/u/vmlinux" --initrd "$WORK/u/${initrd##*/}" --memory 96M
ok "user: it starts" from start "$n"
ok "user: limited while it runs" from limit "$n" cpus=0.5 cpu-weight=50
group=$(group_of from)
like "user: by a group of his subtree" "$group" "^$tree/"
is "user: in its figures" "$(cat "$group/cpu.max" "$group/cpu.weight" | paste -sd ' ')" "50000 100000 50"
ok "user: kill" from kill "$n"
ok "user: the group goes" wait_for 10 test ! -e "$group"
u destroy "$n"
finish
