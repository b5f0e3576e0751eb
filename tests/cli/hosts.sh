#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A host that is not as it should be: full disks, places that are not ours, and the doctor.
. "$(dirname "$0")/cli.bash"

mkdir -p "$WORK/root/sbin"
cp "$(command -v busybox)" "$WORK/root/sbin/init"

# ---- the doctor ----
out=$(pult doctor)
rc=$?
like "doctor: a line each" "$out" '^(ok  |note|BAD )  host +kernel +Linux'
ok "doctor: each has its sign" test -z "$(grep -vE '^(ok  |note|BAD )  |^ +→ ' <<<"$out")"
is "doctor: the status tells of what is bad" $rc "$(grep -q ^BAD <<<"$out"; echo $((1 - $?)))"
ok "doctor: as JSON" python3 -c '
import json, sys
lines = json.load(sys.stdin)
assert {l["topic"] for l in lines} >= {"host", "container", "vm"}, lines
assert all(l["finding"] in ("ok", "note", "bad") and l["subject"] and l["text"] for l in lines)
assert all(l["remedy"] for l in lines if l["finding"] == "bad"), lines' < <(pult doctor -o json)
like "doctor: an unknown terminal" \
    "$(pty -- env TERM=nix-$test_id "$PULT" doctor)" "BAD .*terminal +TERM is 'nix-$test_id'"
like "doctor: a small one" "$(pty size=40x10 'expect=terminal' -- "$PULT" doctor)" 'terminal'
: >"$WORK/file"
like "doctor: a store that is no directory" "$(PULT_HOME=$WORK/file pult doctor)" \
    "BAD .*store +'$WORK/file': Not a directory"

# ---- places ----
PULT_HOME=$WORK/file refuses "the store is a file" 1 "$WORK/file" \
    "$PULT" create container c1 --rootfs "$WORK/root"
PULT_RUN=$WORK/file refuses "the runtime directory is a file" 1 "$WORK/file" \
    "$PULT" run --rootfs "$WORK/root" -- /sbin/init true

if [ "$(id -u)" != 0 ]; then
    skip_rest="needs root"
    skip "a full disk" "$skip_rest"
    skip "another user's store" "$skip_rest"
    finish
fi

# ---- no permission ----
make_public
own_home=$PULT_HOME
export PULT_HOME=$public/home
pult create container mine --rootfs "$WORK/root"
as() { setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; }
out=$(as env HOME=/ PULT_RUN="$public/run" "$public/pult" list 2>&1)
is "another user's store: list fails" $? 1
like "and says why" "$out" "^pult list: .*Permission denied"
out=$(as env HOME=/ PULT_RUN="$public/run" "$public/pult" create container c1 --rootfs "$WORK/root" 2>&1)
is "another user's store: create fails" $? 1
like "and says why too" "$out" "^pult create container: .*Permission denied"
out=$(as env HOME=/ PULT_RUN="$public/run" "$public/pult" destroy mine 2>&1)
is "another user's store: destroy fails" $? 1
is "and the guest is there" "$(pult list --names)" mine
pult destroy mine
export PULT_HOME=$own_home

# ---- a full disk ----
mkdir "$WORK/tiny"
mount -t tmpfs -o size=64k,mode=700 tmpfs "$WORK/tiny" || { skip "a full disk" "no tmpfs"; finish; }
at_exit "umount '$WORK/tiny'"
export PULT_HOME=$WORK/tiny/home
ok "full disk: room for one" pult create container one --rootfs "$WORK/root"
head -c 1M /dev/zero >"$WORK/tiny/fill" 2>/dev/null
refuses "full disk: create" 1 "No space left" "$PULT" create container two --rootfs "$WORK/root"
refuses "full disk: config set" 1 "No space left" "$PULT" config set one guest.memory=1G
is "full disk: the definition is whole" "$(state_of one)" stopped
rm "$WORK/tiny/fill"
tar -cf "$WORK/root.tar" -C "$WORK/root" .
refuses "full disk: an archive that does not fit" 1 "" \
    "$PULT" create container three --rootfs "$WORK/root.tar"
is "full disk: and no part of it stays" "$(ls -A "$PULT_HOME/guests")" one
ok "full disk: destroy" pult destroy one
finish
