#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 900 s
#
# Virtio's terminals with a stock kernel: hvc0 as the console and its size, the second terminal, a
# port for programs, floods, SysRq, a reboot and a panic.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/lab.bash"

vm_files cloud-amd64
kernel=$cache/linux-cloud-amd64/vmlinux
pty() { python3 "$TOP/tests/cli/pty" "$@"; }
vm() # NAME OPTION...: define and start one
{
    "$PULT" create vm "$1" --kernel "$kernel" --initrd "$initrd" --memory 256M "${@:2}" && "$PULT" start "$1"
}
keys() { printf %s "$2" | timeout 8 "$PULT" console "$1" -H 0 >/dev/null; } # NAME TEXT; it stays until it is ended
typed() { keys "$1" "$2"$'\n'; }                                            # NAME LINE
ask() { echo "$2" | timeout 5 socat -t 3 - UNIX-CONNECT:"$PULT_RUN/$1/control"; } # NAME REQUEST

a=$test_id-a
ok "start one whose console is hvc0" vm "$a" --set vm.console=virtio --set vm.port.0=org.pult.test
ok "its init and its shell are there" wait_for 240 has_printed "$a" "guest#"
is "nothing is there twice" "$(printed "$a" "guest up")" 1
out=$(pty 'send=\r' 'expect=guest# ' 'send=tty; cat /proc/cmdline; stty size\r' 'expect=/dev/hvc0.*24 80' \
    'size=100x30' 'send=sleep 1; stty size\r' 'expect=30 100' 'size=77x33' 'send=sleep 1; stty size\r' \
    'expect=33 77' 'send=\x1dd' -- "$PULT" console "$a")
like "its size is the terminal's, and follows" "$out" 'exit 0'
like "the kernel was told" "$out" 'console=hvc0 earlyprintk=ttyS0 quiet'
out=$(pty 'send=\r' 'expect=guest# ' 'send=tty; stty size\r' 'expect=/dev/hvc1.*24 80' 'size=90x20' \
    'send=sleep 1; stty size\r' 'expect=20 90' 'send=\x1dd' -- "$PULT" console "$a" --port second)
like "a second shell on hvc1, with a size of its own" "$out" 'exit 0'
is "whose output is not the console's" "$(printed "$a" "/dev/hvc1")" 0

# A port for programs. The device has no udev to give it its name.
typed "$a" 'p=$(grep -lx org.pult.test /sys/class/virtio-ports/*/name); exec 3<>/dev/$(basename $(dirname $p)); echo port open'
ok "the port has its name" wait_for 20 has_printed "$a" "port open"
# Linux gives such a reader end of file while nobody is at the other end.
typed "$a" 'while :; do if read -r x <&3; then echo "<$x>" >&3; else usleep 50000; fi; done &'
out=$(printf 'one\ntwo\nthree\n' | timeout 5 "$PULT" console "$a" --port org.pult.test)
is "bytes as they are, there and back" "$out" $'<one>\n<two>\n<three>'

# SysRq, by what hvc has for a break.
ask "$a" '{"cmd":"send","what":"break"}' >/dev/null
keys "$a" h
typed "$a" 'dmesg | grep -c sysrq..HELP | sed s/^/helped-/'
ok "SysRq by the console" wait_for 20 has_printed "$a" "helped-1"

# A guest that prints without end: the keeper stays as it is, answers, and freezes it. A line for each
# write(), for Linux heeds Ctrl-C between writes only: `yes` writes 4 KiB at once, and for each line of
# them the guest waits for the lab's one CPU.
pid=$("$PULT" info "$a" -o json | sed -n 's/.*"keeper_pid": *\([0-9]*\).*/\1/p')
anon() { awk '/^(RssAnon|RssShmem)/ { n += $2 } END { print n }' "/proc/$pid/status"; }
typed "$a" 'stty -echo; while echo flood; do :; done'
ok "a flood" wait_for 60 has_printed "$a" flood 300
before=$(anon)
t0=${EPOCHREALTIME/./}
"$PULT" info "$a" >/dev/null && ask "$a" '{"cmd":"info"}' | grep -q '"ok": *true'
is "the keeper answers during it" $? 0
echo "# it took $(((${EPOCHREALTIME/./} - t0) / 1000)) ms"
ok "freeze" "$PULT" freeze "$a"
ok "unfreeze" "$PULT" unfreeze "$a"
sleep 1
ok "its memory does not grow" test $(($(anon) - before)) -lt 2048
out=$(pty wait=60 expect=flood 'send=\x03' 'expect=guest# ' 'send=stty echo; echo calm $((6 * 7))\r' 'expect=calm 42' 'send=\x1dd' \
    -- "$PULT" console "$a" -H 0)
like "Ctrl-C ends it" "$out" 'exit 0'

# How fast: megabytes through hvc0, kilobytes through COM1.
rate() # BYTES DEVICE: bytes a second, as the guest measures
{
    typed "$a" "sync; t=\$(cut -d' ' -f1 /proc/uptime); head -c $1 /dev/zero >$2; echo \$t \$(cut -d' ' -f1 /proc/uptime) took-$1"
    wait_for 100 eval 'has_printed "$a" "took-'"$1"'" 2' || return
    "$PULT" log "$a" | tr -d '\0' | sed -nE "s/^([0-9.]+) ([0-9.]+) took-$1.*/\1 \2/p" | tail -n 1 |
        awk -v n="$1" '{ printf "%.0f\n", n / ($2 - $1 + 0.01) }'
}
typed "$a" 'stty raw -echo </dev/hvc1; stty raw -echo </dev/ttyS0'
hvc=$(rate 16777216 /dev/hvc1)
com=$(rate 16384 /dev/ttyS0)
echo "# hvc1: $hvc bytes/s, ttyS0: $com bytes/s"
ok "hvc is faster than a serial port by far" test "${hvc:-0}" -gt $((${com:-1} * 20))

typed "$a" 'reboot -f'
ok "reboot: it comes up again on hvc0" wait_for 240 has_printed "$a" "guest up" 1
typed "$a" 'echo c >/proc/sysrq-trigger'
ok "its panic is seen, on hvc0" "$PULT" wait -s crashed -t 90 "$a"
like "and called so" "$("$PULT" info "$a")" 'kernel panic: sysrq triggered crash'

b=$test_id-b
ok "start one with the serial console" vm "$b" --append 'quiet'
ok "it comes up" wait_for 240 has_printed "$b" "guest#"
out=$(pty 'send=\r' 'expect=guest# ' 'send=tty; stty size\r' 'expect=/dev/hvc0.*24 80' 'send=\x1dd' -- \
    "$PULT" console "$b" --port hvc0)
like "its second terminal is hvc0" "$out" 'exit 0'
like "a port that is not there is refused" "$("$PULT" console "$b" --port x.y 2>&1)" "no port 'x.y'; there is hvc0"
ok "kill" "$PULT" kill "$b"
finish
