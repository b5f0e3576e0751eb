#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 3600 s (a few minutes here; in the lab everything takes its time)
#
# A Debian with systemd, by the template of that name, root's and an ordinary user's: to a login in the
# pane, a package through a network, frozen, kept in a snapshot, broken, restored, cloned, limited, shut
# down in order. debootstrap takes its time, so this runs where build/cache/templates has one, not in CI;
# where it is missing:
#     PULT_CACHE=build/cache build/pult create container d --net none --template debian
# In the lab:
#     PULT_IN_LAB=1 tests/lab/lab --timeout 3600 --disk 16G tests/run engine/debian
. "$(dirname "$0")/../net/cards.bash"

[ -z "${CI:-}" ] || skip_all "runs when asked for: make check T=engine/debian"
for p in debootstrap tmux; do
    command -v $p >/dev/null || [ -x /usr/sbin/$p ] || skip_all "$p is not installed"
done
slow=1 # how much longer all may take
[ -z "${PULT_IN_LAB:-}" ] || slow=5
pult() { timeout $((300 * slow)) "$PULT" "$@"; }
seconds() { echo $(((${EPOCHREALTIME/./} - t0) / 1000000)); }
begin() { t0=${EPOCHREALTIME/./}; }
# How many seconds of the CPU what ended has taken so far, rounded; by the shell that started it.
worked() { times >"$WORK/times" && work=$(awk -F '[ms ]+' 'NR == 2 { print int(($1 + $3) * 60 + $2 + $4) }' "$WORK/times"); }

mkdir -p "$WORK/cache" && ln -s "$TOP/build/cache/templates" "$WORK/cache/templates"
export PULT_CACHE=$WORK/cache
why=$(pult create container first --template debian --net none 2>&1) ||
    skip_all "not in build/cache/templates: ${why##*: }"
pult destroy --force first

# ---- what is outside: a server with a repository of one package ----

repo=$WORK/repo deb=pult-hello_1.0_all.deb
mkdir -p "$repo" "$WORK/pkg/DEBIAN" "$WORK/pkg/usr/bin"
control="Package: pult-hello
Version: 1.0
Architecture: all
Maintainer: pult <pult@localhost>
Description: says hello"
echo "$control" >"$WORK/pkg/DEBIAN/control"
printf '#!/bin/sh\necho hello from a package\n' >"$WORK/pkg/usr/bin/pult-hello"
chmod 755 "$WORK/pkg/usr/bin/pult-hello"
dpkg-deb --root-owner-group -b "$WORK/pkg" "$repo/$deb" >/dev/null
printf '%s\nFilename: ./%s\nSize: %s\nSHA256: %s\n' "$control" $deb "$(stat -c %s "$repo/$deb")" \
    "$(sha256sum <"$repo/$deb" | cut -c 1-64)" >"$repo/Packages"
nsenter --net="/proc/$outside_pid/ns/net" busybox httpd -f -p 80 -h "$repo" &
at_exit "kill $!"

# ---- the same for root and for a user ----

export TERM=xterm-256color
mux=(tmux -S "$WORK/tmux" -f /dev/null)
at_exit '"${mux[@]}" kill-server 2>/dev/null'
shows() { "${mux[@]}" capture-pane -p | grep -qE "$1"; }
picture() { "${mux[@]}" capture-pane -p | sed 's/^/# |/'; }
see() { ok "$1" wait_for $((60 * slow)) shows "$2" || picture; } # NAME RE
in_it() { $P exec "$n" -- "$@" </dev/null 2>&1; }
answers() { $P exec "$n" -- true </dev/null; }
fact() { $P info "$n" -o json | sed -nE 's/^ *"'"$1"'": "?([^",]*)"?,?$/\1/p' | head -n 1; }
settled() { [[ $(in_it systemctl is-system-running) =~ running|degraded ]]; }
up() { wait_for $((120 * slow)) settled; }

# life WHO NET LIMITS: the life of the container $n by the program $P.
life()
{
    local who=$1 net=$2 limits=$3 spun work before
    begin
    worked
    before=$work
    ok "$who: made" $P create container "$n" --template debian --net "$net"
    worked
    echo "# $who: from the cache in $(seconds) s, $((work - before)) s of the CPU"
    [ -n "${PULT_IN_LAB:-}" ] || ok "$who: from the cache, by seconds of work" test $((work - before)) -lt 30

    # To a login in the pane, by keys alone.
    "${mux[@]}" new-session -d -x 130 -y 34 ${UI:-$PULT}
    see "$who: listed" "$n +ct +stopped"
    begin
    "${mux[@]}" send-keys s
    see "$who: a login in the pane" "$n login:"
    echo "# $who: after $(seconds) s"
    "${mux[@]}" send-keys Enter
    see "$who: entered" 'Ctrl-\] leaves'
    "${mux[@]}" send-keys root Enter
    see "$who: logged in" "root@$n:~#"
    "${mux[@]}" send-keys 'tty; echo "home is $HOME"' Enter
    see "$who: a shell" "home is /root"
    ok "$who: is up" up
    is "$who: no unit failed" "$(in_it systemctl --failed --no-legend --plain)" ""
    is "$who: it runs" "$(in_it systemctl is-system-running)" running

    # A package of the server's outside.
    like "$who: an address" "$(in_it ip -4 -o addr show eth0)" "inet [0-9.]+"
    in_it sh -c 'rm -f /etc/apt/sources.list.d/*; echo "deb [trusted=yes] http://192.0.2.1/ ./" >/etc/apt/sources.list'
    ok "$who: apt-get update" in_it apt-get update
    ok "$who: apt-get install" in_it apt-get -y install pult-hello
    is "$who: what was installed" "$(in_it pult-hello)" "hello from a package"

    # Frozen, kept, broken, put back.
    ok "$who: frozen" $P freeze "$n"
    is "$who: is frozen" "$(fact state)" frozen
    see "$who: and shown so" "$n +ct +frozen"
    ok "$who: thawed" $P thaw "$n"
    is "$who: runs on" "$(in_it pult-hello)" "hello from a package"
    begin
    ok "$who: a snapshot, while it runs" $P snapshot create "$n" good
    echo "# $who: in $(seconds) s"
    like "$who: its size" "$($P snapshot list "$n" | tail -n 1)" '[0-9]+M'
    in_it rm -rf /usr/bin
    like "$who: broken" "$(in_it pult-hello)" "No such file|not found"
    begin
    ok "$who: restored" $P snapshot restore "$n" good --force
    echo "# $who: in $(seconds) s"
    ok "$who: is up again" up
    is "$who: whole" "$(in_it pult-hello)" "hello from a package"
    is "$who: no unit failed then" "$(in_it systemctl --failed --no-legend --plain)" ""

    # Limited.
    if [ "$limits" = yes ]; then
        ok "$who: limited" $P limit "$n" memory=64M cpus=0.2 swap=0
        see "$who: shown in its details" "mem .* of 64M"
        is "$who: its figure" "$(fact memory_limit_bytes)" $((64 << 20))
        like "$who: too much memory" "$(in_it sh -c 'head -c 200M /dev/zero | tail >/dev/null; echo $?')" 137
        ok "$who: it lives" test "$(fact state)" = running
        ok "$who: within its memory" test "$(fact memory_bytes)" -le $((64 << 20))
        # On a machine that has other work it may get less for a while; more, never.
        for _ in 1 2 3 4 5 6 7 8; do
            spun=$(in_it sh -c 'timeout 10 sh -c "while :; do :; done"; times' | sed -n '2s/m/ /gp' | tr -d s |
                awk '{ print ($1 * 60 + $2 + $3 * 60 + $4) / 10 }')
            [[ $spun =~ ^0\.(0|1[01]) ]] || break
        done
        like "$who: a fifth of a core" "$spun" '^0\.(1[2-9]|2[0-5]?)'
        ok "$who: limits taken away" $P limit "$n" memory=none cpus=none swap=none
    else
        skip "$who: limited" "$limits"
    fi

    # Down, in order, and another like it.
    begin
    ok "$who: shut down" $P stop --timeout $((60 * slow)) "$n"
    echo "# $who: in $(seconds) s"
    like "$who: in order" "$($P log "$n" | tail -n 40)" "Reached target .*(shutdown|poweroff|halt|final).target"
    is "$who: its end" "$(fact state) $(fact exit_status)" "stopped 0"
    "${mux[@]}" send-keys C-]
    "${mux[@]}" kill-server
    begin
    ok "$who: cloned" $P clone "$n" "$n-2"
    echo "# $who: in $(seconds) s"
    ok "$who: the clone starts" $P start "$n-2"
    n=$n-2
    ok "$who: is up" up
    is "$who: has the same" "$(in_it pult-hello)" "hello from a package"
    ok "$who: shuts down" $P stop --timeout $((60 * slow)) "$n"
    n=${n%-2}
    ok "$who: both destroyed" $P destroy --force "$n" "$n-2"
}

P=pult n=deb
[ -n "${ONLY_USER:-}" ] || life root nat0 yes
pult network destroy --force nat0

# ---- an ordinary user: a range of ids of his own, a cgroup that was delegated to him, pasta ----

uid=54321 who=u$test_id
with_line() # FILE LINE: in this test's namespace of mounts, FILE has it, too
{
    { [ ! -e "$1" ] || cat "$1"; echo "$2"; } >"$WORK/line.${1##*/}"
    [ -e "$1" ] && chmod 644 "$WORK/line.${1##*/}" && mount --bind "$WORK/line.${1##*/}" "$1" && at_exit "umount -l '$1'"
}
setpriv --reuid=$uid --regid=$uid --clear-groups unshare -U true 2>/dev/null || skip_rest="users may make no user namespaces here"
command -v newuidmap >/dev/null || skip_rest="newuidmap is not installed"
command -v pasta >/dev/null || skip_rest="pasta is not installed"
with_line /etc/passwd "$who:x:$uid:$uid::$WORK/u:/bin/sh" && with_line /etc/group "$who:x:$uid:" &&
    with_line /etc/subuid "$who:700000:65536" && with_line /etc/subgid "$who:700000:65536" ||
    skip_rest="no /etc/subuid, or it cannot be covered"
tree=$(unified)/u-$test_id
mkdir "$tree" "$tree/session" && at_exit "find '$tree' -depth -type d -exec rmdir {} +" && chown -R $uid:$uid "$tree" ||
    skip_rest="no cgroup can be made"
if pure_v2; then
    for c in memory cpu pids; do echo +$c >"$tree/cgroup.subtree_control"; done
    chown $uid:$uid "$tree"/*/cgroup.*
fi
if [ -z "${skip_rest:-}" ]; then
    chmod 711 "$WORK" "${TMPDIR:-/tmp}"
    mkdir "$WORK/dev" && mount -t tmpfs -o mode=755 dev "$WORK/dev" && at_exit "umount -l '$WORK/dev'"
    mknod -m 666 "$WORK/dev/tun" c 10 200 && mount --bind "$WORK/dev/tun" /dev/net/tun && at_exit "umount -l /dev/net/tun"
    install -m 755 "$PULT" "$WORK/pult"
    mkdir -p "$WORK/u/cache/templates" && cp "$PULT_CACHE"/templates/debian-*.tar "$WORK/u/cache/templates/"
    chown -R $uid:$uid "$WORK/u"
    cat >"$WORK/upult" <<END
#!/bin/sh
echo \$\$ >$tree/session/cgroup.procs
exec setpriv --reuid=$uid --regid=$uid --clear-groups env HOME=$WORK/u PULT_HOME=$WORK/u/home PULT_RUN=$WORK/u/run \\
    PULT_CACHE=$WORK/u/cache timeout --foreground $((300 * slow)) $WORK/pult "\$@"
END
    chmod 755 "$WORK/upult"
    P=$WORK/upult UI=$WORK/upult n=udeb
    if pure_v2; then life user user yes; else life user user "the groups of v1 are not a user's"; fi
    is "nothing of the user's is left" "$(left_in "$WORK/u/home/guests" "$WORK/u/run")" ""
else
    skip "an ordinary user's" "$skip_rest"
fi
finish
