#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# pult run as a command in a script: output, input, exit status, signals, and nothing left.
. "$(dirname "$0")/cli.bash"
[ "$(id -u)" = 0 ] || skip_all "needs root"

make_busybox_rootfs "$WORK/root"
root() { pult run --rootfs "$WORK/root" -- "$@"; }
status() { "$@" >/dev/null 2>&1 </dev/null; echo $?; }
sum() { sha256sum | cut -d ' ' -f 1; }

is "output" "$(root /bin/echo one two)" "one two"
is "no carriage returns" "$(root /bin/printf 'a\nb\n' | od -c | head -n 1)" "$(printf 'a\nb\n' | od -c | head -n 1)"
is "exit status 0" "$(status root /bin/true)" 0
is "exit status 7" "$(status root /bin/sh -c 'exit 7')" 7
is "a signal" "$(status root /bin/sh -c 'kill -9 $$')" 137
is "arguments as they are" "$(root /bin/printf '[%s]' 'a  b' '' "c'd" 'e"f' '$x' '\n' '*')" \
    "[a  b][][c'd][e\"f][\$x][\\n][*]"
is "input" "$(printf 'three\nfour\n' | root /bin/cat)" $'three\nfour'
is "a line without an end" "$(printf 'five' | root /bin/cat)" "five"
is "no input" "$(root /bin/cat </dev/null)" ""
is "input for the second reader too" "$(root /bin/sh -c 'cat; cat; echo done' </dev/null)" "done"
is "closed input" "$(root /bin/echo still <&-)" "still"
want=$(head -c 50000000 /dev/zero | tr '\0' x | sum)
is "50 MB come complete" "$(root /bin/sh -c "head -c 50000000 /dev/zero | tr '\\0' x" | sum)" "$want"
is "also to a slow reader" "$(root /bin/sh -c 'seq 1 100000' | (sleep 1; sum))" "$(seq 1 100000 | sum)"
is "also to a file" "$(root /bin/seq 1 100000 >"$WORK/out" && sum <"$WORK/out")" "$(seq 1 100000 | sum)"
is "a reader that goes away ends it" "$(root /bin/yes | head -n 1)" y
is "and it is gone" "$(pult list --names)" ""

# Its clean-up goes on behind the back of who waited for its end.
again() { for _ in {1..30}; do pult run --name again --rootfs "$WORK/root" -- /bin/true </dev/null || echo failed; "$@"; done; }
is "gone at once" "$(again pult list -o json | tr -d ' \n[]')" ""
is "of no name" "$(again pult list --names)" ""
is "its name is free at once" "$(again true)" ""
no_cgroups() { [ -z "$(find /sys/fs/cgroup -type d -name "again*" 2>/dev/null)" ]; }
ok "its cgroup goes too" wait_for 5 no_cgroups

# ---- what is written is gone ----
is "a directory is not written to" "$(root /bin/sh -c 'echo x >/etc/new; cat /etc/new')" x
ok "… and was not" test ! -e "$WORK/root/etc/new"
tar -cf "$WORK/root.tar" -C "$WORK/root" .
is "from an archive" "$(pult run --rootfs "$WORK/root.tar" -- /bin/echo tar)" tar

# ---- a copy of this machine ----
is "a copy of this machine" "$(pult run -- cat /etc/os-release)" "$(cat /etc/os-release)"
is "which forgets" "$(pult run -- sh -c "echo x >/etc/pult-$test_id && cat /etc/pult-$test_id")" x
ok "… and the host did not see it" test ! -e "/etc/pult-$test_id"
is "a command that is not there" "$(status pult run -- /bin/nothing-$test_id)" 127
is "a file that is none" "$(status pult run -- /etc/passwd)" 126
like "says so" "$(pult run -- "/bin/nothing-$test_id" 2>&1)" "nothing-$test_id"

# ---- names, signals ----
is "--name" "$(pult run --name "n-$test_id" -- hostname)" "n-$test_id"
name=$(pult run -d --rootfs "$WORK/root" -- /bin/sleep 1000)
like "--detach prints the name" "$name" '^tmp-[a-z]+[0-9]*$'
is "and it runs" "$(state_of "$name")" running
refuses "a name that is taken" 1 "$name" "$PULT" run --name "$name" -- true
refuses "a name that is none" 1 "name" "$PULT" run --name a/b -- true
ok "kill" pult kill "$name"
wait_for 10 eval '[ -z "$(ls -A "$PULT_RUN")" ]' # its keeper takes leave after the answer
refuses "which is its end" 1 "there is no guest" "$PULT" info "$name"

for sig in TERM INT HUP; do # a shell has its background jobs ignore SIGINT
    env --default-signal "$PULT" run --name "sig-$test_id" --rootfs "$WORK/root" -- /bin/sleep 1000 \
        >/dev/null 2>&1 </dev/null &
    pid=$!
    wait_for 10 "$PULT" wait "sig-$test_id" -s running -t 1
    kill -$sig $pid
    wait $pid
    is "SIG$sig ends the guest" $? $((128 + $(kill -l $sig)))
done
is "none is left" "$(pult list --names)" ""
for i in 1 2 3 4 5 6 7 8 9 10; do # at any moment from the guest's birth on
    "$PULT" run --name "b-$test_id-$i" --rootfs "$WORK/root" -- /bin/sleep 1000 >/dev/null 2>&1 </dev/null &
    pid=$!
    until [ -e "$PULT_RUN/b-$test_id-$i" ]; do kill -0 $pid 2>/dev/null || break; done
    kill -TERM $pid
    wait $pid
done
is "a signal while it starts ends it too" "$(pult list --names)" ""
"$PULT" run --name "k-$test_id" --rootfs "$WORK/root" -- /bin/sleep 1000 >/dev/null 2>&1 </dev/null &
pid=$!
wait_for 10 "$PULT" wait "k-$test_id" -s running -t 1
pult kill "k-$test_id"
wait $pid
is "killed by somebody else" $? 137

refuses "a VM's option without --vm" 2 "--kernel is for a VM: add --vm" "$PULT" run --kernel x
refuses "a container's option with --vm" 2 "--rootfs is for a container" \
    "$PULT" run --vm --kernel x --rootfs /
refuses "a VM without a kernel" 1 "no kernel: set vm.kernel" "$PULT" run --vm --set vm.rootfs=none
refuses "a VM of its own with a command" 2 "takes a command only" \
    "$PULT" run --vm --kernel /etc/passwd --initrd /etc/passwd -- ls
refuses "a throwaway VM with an initrd" 1 "unset vm.initrd" \
    "$PULT" run --vm --kernel /etc/passwd --set vm.initrd=/etc/passwd --set vm.rootfs=host:/
refuses "a folder that is not there" 1 "--share: .*No such file" \
    "$PULT" run --vm --kernel /etc/passwd --share "$WORK/nix:x,ro"
refuses "a folder that is none" 1 "not a directory" "$PULT" run --vm --kernel /etc/passwd --share /etc/passwd
refuses "an unknown option of a folder" 1 "there is no option 'rx'" \
    "$PULT" run --vm --kernel /etc/passwd --share /etc:etc,rx
refuses "a VM with no kernel" 1 "--kernel: .*No such file" "$PULT" run --vm --kernel "$WORK/nix"
refuses "a root that is not there" 1 "--rootfs: .*No such file" "$PULT" run --rootfs "$WORK/nix" -- /bin/true
refuses "a root that is a file, but no archive" 1 "passwd" "$PULT" run --rootfs /etc/passwd -- /bin/true
refuses "an image that is not there" 1 "image: find '$WORK/nix': No such file.*after --" "$PULT" run --vm "$WORK/nix"
truncate -s 1M "$WORK/disk.raw"
refuses "an image of no known format" 1 "image: .*format" "$PULT" run --vm /etc/passwd
refuses "a second image" 2 "unexpected argument 'ls'.*put -- before" "$PULT" run --vm "$WORK/disk.raw" ls
refuses "an image, and its own kernel's words for nothing" 1 "--kernel: .*No such file" \
    "$PULT" run --vm --kernel "$WORK/nix" "$WORK/disk.raw"
refuses "an image with a kernel that is none" 1 "passwd" "$PULT" run --vm --kernel /etc/passwd "$WORK/disk.raw"
refuses "--rw of an image" 2 "--rw is for" "$PULT" run --vm --rw "$WORK/disk.raw"
refuses "an image with an initrd and a command" 2 "takes a command only" \
    "$PULT" run --vm --kernel /etc/passwd --initrd /etc/passwd "$WORK/disk.raw" -- ls
refuses "an argument without --" 2 "put -- before the command" "$PULT" run ls
refuses "memory that is none" 1 "--memory" "$PULT" run --memory x -- true
is "nothing is left" "$(left_in "$PULT_HOME/guests" "$PULT_RUN")" ""
finish
