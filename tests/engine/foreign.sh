#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 400 s (in the lab everything takes its time)
# Containers of the program lxc: listed, run and adopted; and those that it runs itself.
. "$(dirname "$0")/engine.bash"
[ "$(id -u)" = 0 ] || skip_all "needs root"
command -v lxc-create >/dev/null || skip_all "lxc is not installed"
[ -x /usr/share/lxc/templates/lxc-busybox ] || skip_all "lxc has no template for busybox"

n=f-$test_id
export PULT_LXCPATH=$WORK/lxc
mkdir "$WORK/lxc" && chmod 755 "$WORK" "$WORK/lxc"
lx() { local verb=$1; shift; "lxc-$verb" -P "$WORK/lxc" -n "$n" "$@" </dev/null; }
state() { pult list -o json | sed -n '/"name": "'"$n"'"/,/}/s/^ *"'"$1"'": "*\([^",]*\).*/\1/p'; }
files() { (cd "$WORK/lxc/$n" && find . -path ./rootfs/var -prune -o -printf '%p %U:%G %m %s %l\n' | sort); }

lx create -t busybox >"$WORK/create" 2>&1 || skip_all "lxc-create: $(tail -n 1 "$WORK/create")"
sed -i '/^lxc.net/d; /^lxc.apparmor/d' "$WORK/lxc/$n/config"
printf '%s\n' 2 denylist "[all]" "swapon errno 1" >"$WORK/profile"
# Without the program that loads profiles LXC starts nothing on a kernel that has AppArmor.
printf '%s\n' "lxc.net.0.type = empty" "lxc.apparmor.profile = unconfined" \
    "lxc.seccomp.profile = $WORK/profile" >>"$WORK/lxc/$n/config"
echo "daemon:x:1:1::/:/bin/sh" >>"$WORK/lxc/$n/rootfs/etc/passwd"
before=$(files)
at_exit "lxc-stop -k -P $WORK/lxc -n $n 2>/dev/null"

# ---- run by us ----
is "it is listed as it is" "$(state state) $(state foreign)" "stopped lxc"
ok "it starts" pult start "$n"
is "it runs" "$(state state) $(state foreign)" "running lxc"
is "is entered" "$(pult exec "$n" -- hostname)" "$n"
ok "LXC cannot start it a second time" test "$(status lx start)" -ne 0
refused "its definition is not ours to change" "is a guest of lxc.*pult adopt" \
    pult config set "$n" lxc.tty.max=2
ok "it stops" pult stop "$n" -t 5
is "and is there yet" "$(state state)" stopped
refused "it is not ours to destroy" "is a guest of lxc" pult destroy "$n"

# ---- run by LXC ----
ok "LXC starts it again" lx start
is "its files are as they were" "$(files)" "$before"
is "it is shown" "$(state state)" running
is "with its init" "$(state pid)" "$(lx info -p -H)"
refused "we do not start it a second time" "running already, by lxc" pult start "$n"
is "is entered, with its status" "$(status pult exec "$n" -- /bin/sh -c '[ $(hostname) = '"$n"' ] && exit 7')" 7
monitor=$(pgrep -f "^\\[lxc monitor\\] $WORK/lxc $n")
kill -STOP "$monitor"
is "it runs also where its monitor does not answer" "$(state state)" running
refused "nor is it started a second time then" "running already, by lxc" pult start "$n"
refused "which is said to whom it takes" "ask lxc's monitor.*stopped, or has too much to do" pult exec "$n" -- true
kill -CONT "$monitor"
is "as a user of its own" "$(pult exec -u daemon "$n" -- /bin/sh -c 'id -u; echo $USER' | paste -sd ' ')" "1 daemon"
outside=
for i in $(seq 3 20); do
    outside+=$("$PULT" exec --cwd "/proc/self/fd/$i" "$n" -- /bin/sh -c "echo $i " 2>/dev/null 5</etc)
done
is "no descriptor is a directory to start in" "$outside" ""
refused "whom it has" "no user 'nobody-here'" pult exec -u nobody-here "$n" -- /bin/true
is "by a process of its cgroup" "$(pult exec "$n" -- sed -n 's/^0:://p' /proc/self/cgroup)" /
# All that is there of the caller in a container that is root on the host.
is "under its filter of system calls" "$(pult exec "$n" -- sed -n 's/^Seccomp:.//p' /proc/self/status)" 2
at_a_terminal() { script -qec "timeout --foreground 60 $PULT exec $n -- $*" /dev/null </dev/null | tr -d '\r'; }
like "on a terminal of its own, not of ours" "$(at_a_terminal tty)" "/dev/pts/[0-9]"
like "or has pipes for the caller's, with the end of what is typed" \
    "$("$(dirname "$0")/../cli/pty" 'send=abc\r\x04' -- "$PULT" exec -T "$n" -- sh -c 'readlink /proc/self/fd/2; cat; exit 3' | tr -d '\r' | paste -sd ' ')" \
    "pipe:.*abc.*exit 3"
is "which passes its status on" "$(script -qec "$PULT exec $n -- sh -c 'exit 9'" /dev/null </dev/null >/dev/null; echo $?)" 9
"$PULT" exec "$n" -- sleep 1000 </dev/null &
caller=$!
between() { pgrep -P $caller; }
ok "its way there" wait_for 10 between
like "is no file of the host's that could be written to" "$(readlink "/proc/$(between)/exe")" "^/memfd:"
kill -TERM $caller
wait $caller
is "a signal is passed on" $? 143

pult freeze "$n"
is "frozen, also for LXC" "$(state state) $(lx info -s -H)" "frozen FROZEN"
pult unfreeze "$n"
is "and thawed" "$(state state) $(lx info -s -H)" "running RUNNING"
ok "it stops" pult stop "$n" -t 5
is "and LXC knows" "$(state state) $(lx info -s -H)" "stopped STOPPED"
lx start
ok "it is killed" pult kill "$n"
is "at once" "$(state state) $(lx info -s -H)" "stopped STOPPED"

# A path that is too long for an address.
long=$WORK/$(printf 'long%.0s' $(seq 30))
mkdir "$long" && ln -s "$WORK/lxc/$n" "$long/$n"
lxc-start -P "$long" -n "$n" </dev/null
at_exit "lxc-stop -k -P $long -n $n 2>/dev/null"
PULT_LXCPATH=$long refused "one of a long path is known to run" "running already, by lxc" pult start "$n"
PULT_LXCPATH=$long pult kill "$n"

# ---- its clone by overlay: what it removed is gone for us, and what we remove for it ----
o=$n-over
lo() { local verb=$1; shift; "lxc-$verb" -P "$WORK/lxc" -n "$o" "$@" </dev/null; }
at_exit "lxc-stop -k -P $WORK/lxc -n $o 2>/dev/null"
mkdir -p "$WORK/lxc/$n/rootfs/opt/"{one,two} && touch "$WORK/lxc/$n/rootfs/opt/"{one,two}/below "$WORK/lxc/$n/rootfs/opt/file"
if lxc-copy -P "$WORK/lxc" -n "$n" -N "$o" -B overlay -s >"$WORK/copy" 2>&1 && lo start; then
    anew() { echo "rm -r /opt/$1 && mkdir /opt/$1 && touch /opt/$1/above"; }
    lo attach -- /bin/sh -c "$(anew one) && rm /opt/file"
    lo stop -k
    ok "we start its clone by overlay" pult start "$o"
    is "what was removed in there is gone" "$(pult exec "$o" -- find /opt -type f | sort | paste -sd ' ')" "/opt/one/above /opt/two/below"
    ok "we remove more" pult exec "$o" -- /bin/sh -c "$(anew two)"
    pult kill "$o"
    is "a whole copy has none of it" "$(pult clone "$o" "$o-whole" && find "$PULT_HOME/guests/$o-whole/rootfs/opt" -type f -printf "%P\n" | sort | paste -sd " ")" "one/above two/above"
    pult destroy "$o-whole" 2>/dev/null
    lo start
    is "LXC sees it so" "$(lo attach -- find /opt -type f | sort | paste -sd ' ')" "/opt/one/above /opt/two/above"
    lo stop -k
    setfattr -n user.overlay.opaque -v y "$WORK/lxc/$o/overlay/delta/opt/one" 2>/dev/null ||
        python3 -c 'import os, sys; os.setxattr(sys.argv[1], "user.overlay.opaque", b"y")' "$WORK/lxc/$o/overlay/delta/opt/one"
    refused "marks of two kinds are not guessed at" "marks of two kinds of overlays" pult start "$o"
    lxc-destroy -P "$WORK/lxc" -n "$o" >/dev/null 2>&1
else
    skip "its clone by overlay" "LXC makes none here: $(tail -n 1 "$WORK/copy")"
fi

# Everybody may listen at an abstract address.
sleep 1000 &
victim=$!
python3 - "$WORK/lxc/$n/command" $victim >"$WORK/impostor" <<'END' &
import os, socket, struct, sys
os.setgid(65534); os.setuid(65534)
s = socket.socket(socket.AF_UNIX)
s.bind("\0" + sys.argv[1])
s.listen(8)
print("ready", flush=True)
while True:
    c = s.accept()[0]
    q = c.recv(16)
    if len(q) == 16: # the command GET_INIT_PID, or the state RUNNING
        c.sendall(struct.pack("iiQ", 0, 0, int(sys.argv[2]) if struct.unpack("i", q[:4])[0] == 4 else 2))
    c.close()
END
impostor=$!
wait_for 20 test -s "$WORK/impostor"
is "who listens in the place of a monitor is not believed" "$(state state)" stopped
refused "nor is a process killed that he names" "is stopped" pult kill "$n"
ok "it lives" kill -0 $victim
kill $victim $impostor
wait $victim $impostor 2>/dev/null

# ---- adopted ----
ok "adopted" pult adopt "$n"
is "it is one of ours" "$(state foreign)" null
pult start "$n"
is "that runs" "$(pult exec "$n" -- hostname)" "$n"
pult kill "$n"
pult destroy "$n"
is "destroyed, it is LXC's again" "$(state foreign)" lxc
ok "adopted, and moved" pult adopt --move "$n"
ok "its files are in the store" test -e "$PULT_HOME/guests/$n/rootfs/bin/busybox"
is "and LXC knows nothing of it" "$(lxc-ls -P "$WORK/lxc")" ""
pult start "$n"
is "it runs there" "$(pult exec "$n" -- hostname)" "$n"
pult kill "$n"

# ---- broken ----
mkdir "$WORK/lxc/bad" && printf '# nothing\nlxc.tty.mx = 1\n' >"$WORK/lxc/bad/config"
like "one with an error says where" "$(pult list)" "bad +container +broken .*lxc/bad/config:2: unknown key"
finish
