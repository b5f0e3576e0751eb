#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# As a new user would, in tmux, on a host with hardware virtualization and pure cgroup v2: a
# throwaway container from the empty screen, a container and a VM that last; then the terminal
# dies, and they do not. Back again, the consoles show what was printed meanwhile.
# timeout: 900 s
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/lab.bash"

export TERM=xterm-256color
mux=(tmux -S "$WORK/tmux")
at_exit '"${mux[@]}" kill-server 2>/dev/null'

open_pult() { "${mux[@]}" -f /dev/null new-session -d -x 110 -y 30 "$PULT"; }
keys() { "${mux[@]}" send-keys "$@"; }
shows() { "${mux[@]}" capture-pane -p | grep -qE "$1"; }
# see NAME RE: the screen comes to show RE.
see()
{
    ok "$1" wait_for 240 shows "$2" || "${mux[@]}" capture-pane -p | sed 's/^/# /'
}

open_pult
see "an empty store says what to press" "Enter +try a throwaway"
keys Enter
see "Enter: a throwaway container of this machine, and in it" "tmp-[a-z]+ .*console.*"
see "its shell" "root@tmp-[a-z]+:.*#"
keys 'echo $((6 * 7))-ok; touch /etc/only-here; stty size' Enter
see "works" "42-ok"
see "the pane's size is its terminal's" "│2[0-9] [5-9][0-9] "
is "the host does not see what it writes" "$(ls /etc/only-here 2>/dev/null)" ""
keys C-] d
see "the prefix leaves it" "F1 Help"
tmp=$("$PULT" list --names)
is "it goes on" "$(state_of "$tmp")" running

make_busybox_rootfs "$WORK/rootfs"
ct=$test_id-ct vm=$test_id-vm
ok "a lasting container" "$PULT" create container "$ct" --rootfs "$WORK/rootfs" -- \
    /bin/sh -c 'i=0; while :; do i=$((i + 1)); echo tick $i; sleep 1; done'
ok "and a VM" make_vm "$vm" cloud-amd64 "do=count" --cpus 2
see "appear in the list by themselves" "$ct"
ok "start both" "$PULT" start "$ct" "$vm"
see "the VM is seen to run" "$vm +vm +running"
ok "it prints" wait_for 240 has_printed "$vm" "count 3"

ok "freeze both" "$PULT" freeze "$ct" "$vm"
see "the container is shown frozen" "$ct +ct +frozen"
see "the VM too, at 0" "$vm +vm +frozen +0 "
ok "and thaw" "$PULT" unfreeze "$ct" "$vm"

"${mux[@]}" kill-server
ticks=$(printed "$ct" tick) counts=$(printed "$vm" count)
ok "the terminal is gone; the container prints on" wait_for 30 has_printed "$ct" "tick $((ticks + 2))"
ok "and so does the VM" wait_for 30 has_printed "$vm" "count $((counts + 2))"

open_pult
see "back again, all are there" "$vm +vm +running"
keys Home
see "the container's console shows what it printed meanwhile" "tick $((ticks + 2)) "
keys Down
see "the VM's console too" "count [0-9]+ "
keys Enter
see "and can be entered" "Ctrl-\\] leaves"
keys Enter 'echo typed-$((2 + 3))' Enter
see "its shell answers" "typed-5"
keys C-] d
keys q
ok "q leaves" wait_for 10 sh -c "! ${mux[*]} has-session 2>/dev/null"
is "and nothing ended" "$(state_of "$ct") $(state_of "$vm") $(state_of "$tmp")" "running running running"

ok "stop the container" "$PULT" stop -t 5 "$ct"
ok "stop the VM" "$PULT" stop -t 60 "$vm"
is "stopped" "$(state_of "$ct") $(state_of "$vm")" "stopped stopped"
ok "kill the throwaway" "$PULT" kill "$tmp"
is "it is gone" "$("$PULT" list --names | grep -c tmp-)" 0
ok "destroy" "$PULT" destroy "$ct" "$vm"
is "nothing is left" "$("$PULT" list --names)" ""
finish
