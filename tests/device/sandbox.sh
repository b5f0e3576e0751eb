#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The sandbox of a VM's keeper from outside: what /proc says of the process, of a VM of root's and of
# a user's, without and with shared folders.
. "$(dirname "$0")/../lib.sh"

guest=$TOP/$B/tests/device/guest.elf
[ -r /dev/kvm ] && [ -w /dev/kvm ] || skip_all "no /dev/kvm here, or not permitted"
keeper_of() { "$PULT" info "$1" -o json | sed -n 's/.*"pid": *\([0-9]*\).*/\1/p'; }
said_of() { sed -n "s/^$1:[[:space:]]*//p" "/proc/$pid/status"; }
number_of() { said_of "$1" | cut -f 1; }
vm() # NAME SETTING...: start a VM that prints and waits; sets pid
{
    local name=$1
    shift
    "$PULT" create vm "$name" --kernel "$guest" --memory 16M --append do=hb "$@" >/dev/null || return
    "$PULT" start "$name" && pid=$(keeper_of "$name")
}
none=0000000000000000
log_of() { grep -v 'emulates all kernel code' "$PULT_HOME/guests/$1/log"; }

n=$test_id
vm "$n"
is "a VM" $? 0
is "it has no capabilities" "$(said_of CapEff) $(said_of CapPrm)" "$none $none"
is "and gets none" "$(said_of NoNewPrivs)" 1
is "all its threads have a list of system calls" \
    "$(sed -n 's/^Seccomp:[[:space:]]*//p' "/proc/$pid"/task/*/status | sort -u)" 2
if [ "$(id -u)" -eq 0 ]; then
    is "it is a user of its own" "$(said_of Uid | tr '\t' ' ')" "$(for i in 1 2 3 4; do echo $((0x70000000 + pid)); done | xargs)"
    is "it sees no file" "$(ls -A "/proc/$pid/root/")" ""
    is "its root cannot be written" "$(cut -d ' ' -f 5,6 "/proc/$pid/mountinfo" | cut -d , -f 1)" "/ ro"
    for ns in mnt net ipc uts; do
        ok "a namespace of its own: $ns" \
            test "$(readlink "/proc/$pid/ns/$ns")" != "$(readlink "/proc/self/ns/$ns")"
    done
    is "nothing is open that it does not need" "$(ls -l "/proc/$pid/fd" | sed -n 's/.* -> //p' |
        grep -vE "^(socket:|pipe:|anon_inode:|/dev/(null|kvm)$|/memfd:|/dev/zero)" |
        grep -vxE "$guest|$PULT_RUN/$n(/(console|status))?|$PULT_HOME/guests/$n/(log|running)")" ""
fi
is "its log has nothing of it" "$(log_of "$n")" ""
like "it obeys" "$("$PULT" log "$n")" hello
ok "freeze" "$PULT" freeze "$n"
ok "unfreeze" "$PULT" unfreeze "$n"
ok "stop" "$PULT" stop -t 20 "$n"
like "how it ended is written down" "$(cat "$PULT_HOME/guests/$n/last")" 'last.how = 0'
like "and what it printed" "$("$PULT" log "$n")" hello

# Shared folders. The guest has no driver for them: what of them works is seen in the lab.
mkdir "$WORK/a" "$WORK/b"
vm "$n-r" --set "vm.share.0=$WORK/a,ro"
is "one with a folder that it may read" $? 0
if [ "$(id -u)" -eq 0 ]; then
    is "it is a user of its own" "$(number_of Uid)" $((0x70000000 + pid))
    is "who may read, in one thread" "$(sed -n 's/^CapEff:[[:space:]]*//p' "/proc/$pid"/task/*/status |
        grep -vc "$none") $(said_of CapEff)" "2 0000000000000004"
    is "its root is empty" "$(ls -A "/proc/$pid/root/")" ""
fi
is "all its threads have a list of system calls" \
    "$(sed -n 's/^Seccomp:[[:space:]]*//p' "/proc/$pid"/task/*/status | sort -u)" 2
is "its log has nothing of it" "$(log_of "$n-r")" ""
ok "kill" "$PULT" kill "$n-r"
vm "$n-w" --set "vm.share.0=$WORK/a" --set "vm.share.1=$WORK/b,ro"
is "one with a folder that it may write" $? 0
[ "$(id -u)" -ne 0 ] || is "it has what files need" "$(said_of CapPrm)" 000000000000001f
is "and gets nothing else" "$(said_of NoNewPrivs)" 1
is "its log has nothing of it" "$(log_of "$n-w")" ""
ok "kill" "$PULT" kill "$n-w"

# A user, with a /dev/kvm that is his in a mount namespace of its own.
as_user_tests()
{
    local dir uid=64999
    dir=$(mktemp -d /tmp/pt.user.XXXXXX)
    at_exit "rm -rf --one-file-system '$dir'"
    chmod 711 "$dir"
    cp "$PULT" "$dir/pult"
    cp "$guest" "$dir/guest.elf"
    mkdir -m 700 "$dir/me" "$dir/me/folder"
    chown -R $uid:$uid "$dir/me"
    mknod "$dir/kvm" c 10 232 && chmod 666 "$dir/kvm" || return
    out=$(unshare -m --propagation private bash -c "mount --bind $dir/kvm /dev/kvm && cd / &&
        exec setpriv --reuid $uid --regid $uid --clear-groups --inh-caps=-all env -u XDG_RUNTIME_DIR -u XDG_DATA_HOME \
        -u XDG_CACHE_HOME -u PULT_CACHE HOME=$dir/me PULT_HOME=$dir/me/home PULT_RUN=$dir/me/run PATH=$dir:$PATH timeout 60 bash -c '
            one() { # NAME SETTING...
                local name=\$1
                shift
                pult create vm \$name --kernel $dir/guest.elf --memory 16M --append do=e \"\$@\" >/dev/null
                pult start \$name
                pid=\$(pult info \$name -o json | sed -n \"s/.*\\\"pid\\\": *\\([0-9]*\\).*/\\1/p\")
                grep -E \"^(Seccomp|NoNewPrivs|CapPrm):\" /proc/\$pid/status | tr -s \"\\t\\n\" \"  \"
                echo hear q | pult console \$name | tr -d \"\\r\"
                pult wait -s stopped -t 10 \$name && echo over
                grep -v emulates \$HOME/home/guests/\$name/log
            }
            one u1
            one u2 --set vm.share.0=$dir/me/folder
        '" 2>&1)
}
if [ "$(id -u)" -ne 0 ]; then
    skip "a user's VMs" "needs root, to become another user"
elif ! setpriv --reuid 64999 --regid 64999 --clear-groups unshare -Ur true 2>/dev/null; then
    skip "a user's VMs" "no user namespaces for users here"
else
    as_user_tests
    like "a user's VMs are confined" "$out" "CapPrm: $none NoNewPrivs: 1 Seccomp: 2.*CapPrm: $none NoNewPrivs: 1 Seccomp: 2"
    is "and obey him" "$(grep -c 'hear q' <<<"$out") $(grep -c '^over$' <<<"$out")" "2 2"
    ok "their logs have nothing of it" eval '! grep -q sandbox <<<"$out"'
fi
finish
