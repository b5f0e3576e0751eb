# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# What the tests of containers share: . "$(dirname "$0")/engine.bash"
#
#     inside CMD...      the command's output in a throwaway container of $ROOT
#     status CMD...      what CMD ends with
#     refused NAME RE CMD...   CMD fails and says RE
#     id_of NAME WHAT    a number of `pult info -o json`: pid, keeper_pid, memory_bytes, …
#     gone PID           it has ended
#     cgroup_of PID      the directory of its group in the tree that freezes

. "$(dirname "$0")/../lib.sh"
pult() { timeout 60 "$PULT" "$@"; }
status() { "$@" >/dev/null 2>&1 </dev/null; echo $?; }

ROOT=$WORK/root
make_busybox_rootfs "$ROOT"
inside() { pult run --rootfs "$ROOT" -- "$@" </dev/null; }

refused()
{
    local name=$1 re=$2 out rc
    shift 2
    out=$("$@" 2>&1 </dev/null)
    rc=$?
    if [ $rc -ne 0 ] && [[ $out =~ $re ]]; then
        point ok "$name"
    else
        point "not ok" "$name"
        printf '%s\n' "status $rc of: $*" "$out" "wanted: $re" | sed 's/^/# /'
    fi
}

id_of() { pult info "$1" -o json | sed -n "s/^ *\"$2\": \([0-9]*\),*$/\1/p" | head -n 1; }

gone() { ! kill -0 "$1" 2>/dev/null || grep -q '^State:.Z' "/proc/$1/status" 2>/dev/null; }

pure_v2() { [ -e /sys/fs/cgroup/cgroup.controllers ]; }
unified() { pure_v2 && echo /sys/fs/cgroup || echo /sys/fs/cgroup/unified; }
cgroup_of() { echo "$(unified)$(sed -n 's/^0:://p' "/proc/$1/cgroup")"; }

# Can the file system of $WORK be mounted with other ids? Otherwise root inside is root outside.
can_idmap() { pult doctor 2>/dev/null | grep -q 'ok *container *idmap'; }

# Can a throwaway container replace a directory? See `pult doctor`.
can_replace() { pult doctor 2>/dev/null | grep -q 'ok *container *overlay'; }
