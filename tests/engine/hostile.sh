#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 200 s
# Published ways out of containers of others, tried here; each point fails where its defence is
# taken out of the source. (CVE-2019-5736 is in escape.sh, CVE-2022-0492 and CVE-2022-27650 are
# release_agent and inheritable of tries.sh.)
. "$(dirname "$0")/engine.bash"
[ "$(id -u)" = 0 ] || skip_all "needs root"
command -v gcc >/dev/null || skip_all "needs a compiler"
n=h-$test_id

# ---- CVE-2024-21626: a current directory that is the host's, through a descriptor left open ----
pult create container "$n" --rootfs "$ROOT" -- /bin/sleep 1000
(cd /etc && pult start "$n" 5</etc 6<"$PULT_HOME")
outside=
for i in $(seq 3 40); do
    where=$(pult exec --cwd "/proc/self/fd/$i" "$n" -- /bin/sh -c 'pwd -P; stat -c %d .' 2>/dev/null)
    [ -z "$where" ] || outside+="$i: $where "
done
is "no descriptor is a directory to start in" "$outside" ""
is "init's is its own root" "$(pult exec "$n" -- /bin/sh -c 'stat -c %d:%i / /proc/self/cwd/ | uniq | wc -l')" 1
pult kill "$n"
pult destroy "$n"

# ---- CVE-2025-31133: what covers /proc is said by the container's own /dev/null ----
# ---- CVE-2025-52565: the console is put onto a link of its /dev ----
mkdir -p "$WORK/links" && cp -a "$ROOT/." "$WORK/links"
ln -s /proc/sys/kernel/core_pattern "$WORK/links/dev/null"
ln -s /proc/sysrq-trigger "$WORK/links/dev/console"
ln -s /proc/1 "$WORK/links/dev/pts"
links() { pult run --rootfs "$WORK/links" -- "$@" </dev/null; }
covers=$(links /bin/sh -c 'for f in /proc/keys /proc/kcore /proc/timer_list; do
    [ ! -e $f ] || stat -L -c %t:%T $f; done' | sort -u)
is "covers are the host's /dev/null" "$covers" 1:3
is "its /dev/null is one" "$(links /bin/stat -c %F:%t:%T /dev/null)" "character special file:1:3"
is "the console is a terminal" "$(links /bin/stat -c %t /dev/console)" 88
is "nothing is where the link leads" "$(links /bin/sh -c 'grep -c "devpts /proc" /proc/self/mounts')" 0

# ---- CVE-2025-52881, and all that replaces a directory while it is mounted on ----
cat >"$WORK/swap.c" <<'END'
#include <stdio.h>
#include <unistd.h>
int main(int argc, char **argv)
{
    char aside[4096];
    if (argc < 3 || chdir(argv[1]) < 0)
        return 1;
    for (int i = 2;; i = i + 1 < argc ? i + 1 : 2) {
        snprintf(aside, sizeof aside, "%s.aside", argv[i]);
        rename(argv[i], aside);
        symlink("tmp", argv[i]);
        usleep(300);
        unlink(argv[i]);
        rename(aside, argv[i]);
        usleep(300);
    }
}
END
gcc -O1 -D_GNU_SOURCE -o "$WORK/swap" "$WORK/swap.c"
cp -a "$ROOT" "$WORK/race" && mkdir -m 777 -p "$WORK/race/tmp"
pult create container "$n" --rootfs "$WORK/race" -- /bin/sh -c \
    'until m=$(cat /proc/self/mounts 2>/dev/null) && [ -n "$m" ]; do :; done; echo "$m" | grep " /tmp"; echo done'
"$WORK/swap" "$WORK/race" dev proc sys &
swapper=$!
at_exit "kill $swapper 2>/dev/null"
started=0 refused=0 led=
for i in $(seq 24); do
    if pult start "$n" >/dev/null 2>&1; then
        "$PULT" wait "$n" --timeout 10 >/dev/null 2>&1
        started=$((started + 1))
        led+=$(pult log "$n" | grep "^[a-z0-9]* /tmp")
    else
        refused=$((refused + 1))
    fi
    pult kill "$n" >/dev/null 2>&1
done
kill $swapper
wait $swapper 2>/dev/null
for d in dev proc sys; do [ ! -e "$WORK/race/$d.aside" ] || { rm -f "$WORK/race/$d"; mv "$WORK/race/$d.aside" "$WORK/race/$d"; }; done
is "none was led elsewhere by a link" "$led" ""
ok "some started ($started), or the link was seen ($refused)" test $((started + refused)) -eq 24
pult destroy "$n"

# A setting that the start writes is that of the new /proc, whatever is mounted there later.
mkdir "$WORK/fake" && echo untouched >"$WORK/canary"
ln -s "$WORK/canary" "$WORK/fake/max_user_namespaces"
ok "a fake /proc/sys/user" pult run --rootfs "$ROOT" \
    --set "lxc.mount.entry=$WORK/fake proc/sys/user none bind" -- /bin/true </dev/null
is "nothing is written through it" "$(cat "$WORK/canary")" untouched

# ---- groups of its own that it hides, and nests ----
tree_of() { echo "/sys/fs/cgroup/$1$(sed -n "s/^[0-9]*:$1://p" "/proc/$2/cgroup")"; }
pult create container "$n" --rootfs "$ROOT"
pult start "$n"
group=$(cgroup_of "$(id_of "$n" pid)")
prlimit --pid "$(id_of "$n" keeper_pid)" --nofile=128:128
hidden=$(pult exec "$n" -- /bin/sh -c '
    mkdir /sys/fs/cgroup/.hidden && cd /sys/fs/cgroup || exit
    for i in $(seq 150); do mkdir d && cd d || exit; done
    sleep 1000 >/dev/null 2>&1 &
    echo $! >/sys/fs/cgroup/.hidden/cgroup.procs
    sleep 1001 >/dev/null 2>&1 &
    echo $! >cgroup.procs
    echo made')
is "it makes a hidden group, and a deep one" "$hidden" made
for p in $(pgrep -x sleep); do
    case $(cgroup_of "$p" 2>/dev/null) in
    "$group"/.hidden) hidden=$p ;;
    "$group"/d/*) deep=$p ;;
    esac
done
ok "a limit is set" pult limit "$n" pids=50
if pure_v2; then
    is "it is that of all" "$(cat "$group/pids.max")" 50
else
    is "the process that hides is under it, too" "$(cat "$(tree_of pids "$hidden")/pids.max" 2>&1)" 50
    is "so is the one that is deep down" "$(cat "$(tree_of pids "${deep:-1}")/pids.max" 2>&1)" 50
fi
pult kill "$n"
ok "nothing is left of its groups" wait_for 10 test ! -e "$group"
[ ! -e "$group" ] || find "$group" -depth -type d -exec rmdir {} \;
pult destroy "$n"
finish
