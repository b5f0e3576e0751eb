# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# For shell tests: `. "$(dirname "$0")/../lib.sh"` as their first line. Each gets a store and a
# run directory of its own, and prints TAP:
#
#     ok NAME CMD...      a test point that passes if CMD succeeds (its output is shown if not)
#     is NAME GOT WANTED  … if both strings are the same
#     like NAME GOT RE    … if GOT matches the extended regular expression
#     skip NAME REASON    a test point that cannot be had here
#     skip_all REASON     none of the test can run here; ends it
#     finish              prints the plan; the last line of every test
#
# Nothing sleeps for a fixed time: `wait_for SECONDS CMD...` looks every 20 ms, `$PULT wait` waits
# for states.

set -u
TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
B=${B:-build}
PULT=${PULT:-$TOP/$B/pult}
WORK=$(mktemp -d "${TMPDIR:-/tmp}/pt.XXXXXX")
export PULT_HOME=$WORK/home PULT_RUN=$WORK/run PULT_CACHE=${PULT_CACHE:-$WORK/cache} TOP B PULT
# New guests have no network unless a test asks for one.
mkdir -m 700 "$PULT_HOME" && echo "net.default = none" >"$PULT_HOME/pult.conf"
test_points=0
test_id=t$$ # in the names of guests, so that tests which run at the same time stay apart
cleanup_cmds=()

# Run CMD when the test ends, last one first.
at_exit()
{
    cleanup_cmds=("$*" ${cleanup_cmds[@]+"${cleanup_cmds[@]}"})
}

test_cleanup()
{
    local c d
    trap - EXIT INT TERM
    for c in ${cleanup_cmds[@]+"${cleanup_cmds[@]}"}; do eval "$c"; done
    for d in "$PULT_RUN"/*/; do
        [ -d "$d" ] && "$PULT" kill "$(basename "$d")" >/dev/null 2>&1
    done
    rm -rf --one-file-system "$WORK"
}
trap test_cleanup EXIT
trap 'exit 130' INT TERM

point()
{
    test_points=$((test_points + 1))
    echo "$1 $test_points - $2"
}

ok()
{
    local name=$1 out rc
    shift
    out=$("$@" 2>&1)
    rc=$?
    if [ $rc -eq 0 ]; then
        point ok "$name"
    else
        point "not ok" "$name"
        printf '%s\n' "status $rc of: $*" "$out" | sed 's/^/# /'
    fi
    return $rc
}

is()
{
    if [ "$2" = "$3" ]; then
        point ok "$1"
    else
        point "not ok" "$1"
        printf 'got:    %s\nwanted: %s\n' "$2" "$3" | sed 's/^/# /'
        return 1
    fi
}

like()
{
    if [[ $2 =~ $3 ]]; then
        point ok "$1"
    else
        point "not ok" "$1"
        printf 'got:    %s\nwanted: %s\n' "$2" "$3" | sed 's/^/# /'
        return 1
    fi
}

skip()
{
    test_points=$((test_points + 1))
    echo "ok $test_points - $1 # SKIP $2"
}

skip_all()
{
    echo "1..0 # SKIP $1"
    exit 0
}

finish()
{
    echo "1..$test_points"
    exit 0
}

# wait_for SECONDS CMD...: until CMD succeeds.
wait_for()
{
    local end=$((${EPOCHREALTIME/./} + $1 * 1000000))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "${EPOCHREALTIME/./}" -lt "$end" ] || return 1
        sleep 0.02
    done
}

# What is in these directories, "" in the end: a keeper cleans up behind the back of who waited
# for its guest.
left_in()
{
    wait_for 10 nothing_in "$@"
    find "$@" -mindepth 1
}

nothing_in()
{
    [ -z "$(find "$@" -mindepth 1)" ]
}

# The same of control groups whose name matches a pattern.
left_cgroups()
{
    wait_for 10 no_cgroups "$1"
    find /sys/fs/cgroup -type d -name "$1" 2>/dev/null
}

no_cgroups()
{
    [ -z "$(find /sys/fs/cgroup -type d -name "$1" 2>/dev/null)" ]
}

# The state of a guest, in one word.
state_of()
{
    "$PULT" info "$1" -o json 2>/dev/null |
        sed -n 's/.*"state": *"\([a-z]*\)".*/\1/p' | head -n 1
}

# make_busybox_rootfs DIR: a root file system of a busybox and its applets.
make_busybox_rootfs()
{
    local bb
    bb=$(command -v busybox) || return 1
    mkdir -p "$1"/{bin,sbin,etc,dev,proc,sys,tmp,run,root,var,usr} &&
        cp "$bb" "$1/bin/busybox" &&
        "$1/bin/busybox" --install "$1/bin" # hard links, all in one process
    ln -sf ../bin/busybox "$1/sbin/init"
    echo 'root:x:0:0:root:/root:/bin/sh' >"$1/etc/passwd"
    echo 'root:x:0:' >"$1/etc/group"
}
