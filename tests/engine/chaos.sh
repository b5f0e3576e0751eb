#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 600 s
#
# kill -9 of the UI, of a keeper, of a container's init or of a VM's janitor at random moments, forty
# times: after each blow every state that is told, and that the screen shows, is true, and in
# the end no definition has changed and nothing is left behind. Where there is KVM a VM of a few
# hundred bytes (guest.S) is among the guests. PULT_CHAOS sets the number of blows; the seed is
# printed, and RANDOM_SEED repeats it. What must become true by itself does so within PULT_PATIENCE seconds.
# Containers print all PULT_TICK seconds.
. "$(dirname "$0")/../lib.sh"

[ "$(id -u)" = 0 ] || skip_all "needs root for containers"
RANDOM_SEED=${RANDOM_SEED:-$$}
RANDOM=$RANDOM_SEED patience=${PULT_PATIENCE:-10}
echo "# RANDOM_SEED=$RANDOM_SEED"

guests=(one-$test_id two-$test_id)
vm=vm-$test_id guest=$TOP/$B/tests/device/guest.elf
if [ -r /dev/kvm ] && [ -w /dev/kvm ]; then
    [ -e "$guest" ] || skip_all "its guest is not built: make tests"
    guests+=("$vm")
else
    echo "# no VM: no KVM here"
fi
tmux_name=pult-$test_id
at_exit "tmux -L $tmux_name kill-server 2>/dev/null"

# look NAME: state, pid and keeper of a guest, as one `pult info` tells them.
look()
{
    local info
    info=$("$PULT" info "$1" -o json 2>/dev/null)
    fact state state
    fact pid pid
    fact keeper keeper_pid
}

# fact VAR KEY: the variable is a member of $info, or nothing.
fact()
{
    local member="\"$2\": *\"?([^\",[:space:]]*)"
    if [[ $info =~ $member ]]; then printf -v "$1" %s "${BASH_REMATCH[1]}"; else printf -v "$1" ''; fi
}

alive()
{
    [ -n "$1" ] && [ "$1" != null ] && [ -e "/proc/$1" ] && ! grep -q '^State:.Z' "/proc/$1/status" 2>/dev/null
}

open_ui()
{
    tmux -L "$tmux_name" -f /dev/null new-session -d -x 100 -y 30 "$PULT"
    ui_pid=$(tmux -L "$tmux_name" list-panes -F '#{pane_pid}')
}

close_ui()
{
    tmux -L "$tmux_name" kill-server 2>/dev/null
    wait_for "$patience" gone "$ui_pid"
}

gone()
{
    ! alive "$1"
}

# A state and the processes it speaks of agree. Between a blow and its notice lies a moment: what is
# shown must become true by itself, and stay so.
true_state()
{
    local name=$1 state pid keeper
    look "$name"
    case $state in
    running) alive "$pid" && alive "$keeper" ;;
    stopped | crashed) [ ! -e "$PULT_RUN/$name" ] ;;
    *) return 1 ;;
    esac
}

# What the screen says of a guest is what `pult info` says.
true_screen()
{
    look "$1"
    tmux -L "$tmux_name" capture-pane -p | grep -qE "^│.$1 +(ct|vm) +$state"
}

make_busybox_rootfs "$WORK/rootfs"
for g in "${guests[@]}"; do
    if [ "$g" = "$vm" ]; then
        "$PULT" create vm "$g" --kernel "$guest" --memory 16M --append do=hl --set vm.rootfs=none
    else
        "$PULT" create container "$g" --rootfs "$WORK/rootfs" --memory 64M -- \
            /bin/sh -c "while :; do echo tick; sleep ${PULT_TICK:-0.01}; done"
    fi || skip_all "cannot create guests"
    cp "$PULT_HOME/guests/$g/config" "$WORK/$g.config"
done

blows=0 lies=0 left=0 shown=0
open_ui
for ((i = 0; i < ${PULT_CHAOS:-40}; i++)); do
    g=${guests[RANDOM % ${#guests[@]}]}
    "$PULT" start "$g" >/dev/null 2>&1 &
    starter=$!
    # The random moment: from before the keeper's first step to well into the guest's life.
    sleep "0.0$((RANDOM % 10))"
    victim=$((RANDOM % 3))
    look "$g"
    pid_before=$pid
    case $victim in
    0) target=$ui_pid ;;
    1) target=$keeper ;;
    2) target=$pid
        [ "$g" != "$vm" ] || target=$(pgrep -n -P "${keeper:-0}" 2>/dev/null) ;;
    esac
    alive "$target" && kill -9 "$target" 2>/dev/null && blows=$((blows + 1))
    wait "$starter"
    wait_for "$patience" true_state "$g" || { lies=$((lies + 1)); echo "# $i: $g $("$PULT" info "$g" 2>&1 | tr '\n' ' ')"; }
    look "$g"
    if [ "$state" != running ]; then
        wait_for "$patience" gone "$pid_before" || { left=$((left + 1)); echo "# $i: process $pid_before of $g is left"; }
    fi
    if [ $victim = 0 ]; then
        close_ui
        open_ui
    fi
    wait_for "$patience" true_screen "$g" || {
        shown=$((shown + 1))
        echo "# $i: $g is $state, and the screen shows:"
        tmux -L "$tmux_name" capture-pane -p | sed 's/^/# /'
    }
done
close_ui

echo "# $blows blows"
is "every state told was true" "$lies" 0
is "and every state on the screen" "$shown" 0
is "no process of a dead guest was left" "$left" 0
for g in "${guests[@]}"; do
    ok "the definition of $g is as it was" cmp "$PULT_HOME/guests/$g/config" "$WORK/$g.config"
    "$PULT" kill "$g" >/dev/null 2>&1 && "$PULT" wait "$g" -s stopped -t "$patience"
    ok "$g starts again" "$PULT" start "$g"
    ok "$g is killed" "$PULT" kill "$g"
    ok "$g stops" "$PULT" wait "$g" -s stopped -t "$patience"
    ok "$g is destroyed" "$PULT" destroy "$g"
done
is "the runtime directory is empty" "$(ls -A "$PULT_RUN")" ""
is "no control group is left" "$(left_cgroups "*$test_id*")" ""
is "no mount is left" "$(grep -c "$WORK" /proc/mounts)" 0
finish
