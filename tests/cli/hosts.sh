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
pult create container mine --net none --rootfs "$WORK/root"
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

# ---- a root that may not be read, and KVM that is not to be had ----
mkdir -m 700 "$public/secret" "$public/his"
chown 65534 "$public/his"
out=$(as env HOME=/ PULT_HOME="$public/his" PULT_RUN="$public/his/run" "$public/pult" create container c1 --rootfs "$public/secret/root" 2>&1)
is "a root in a directory that is closed" $? 1
like "is said to be" "$out" "^pult create container: --rootfs: .*secret/root'.*: Permission denied"

# A guest's kernel, as far as one looks at it: an ELF file whose PVH note names its entry.
kernel=$TOP/$B/tests/device/guest.elf
# with_kvm COMMAND CMD...: where COMMAND has made $dev/kvm what it is to be.
cat >"$WORK/with_kvm" <<'EOF'
#!/bin/bash
exec unshare --mount bash -c 'mkdir -p "$dev" && mount -t tmpfs tmpfs "$dev" || exit 99
    for d in null zero urandom tty; do touch "$dev/$d" && mount --bind "/dev/$d" "$dev/$d" || exit 99; done
    eval "$1" || exit 99
    mount --rbind "$dev" /dev || exit 99
    shift; exec "$@"' - "$@"
EOF
chmod +x "$WORK/with_kvm"
export dev=$WORK/dev
if [ -r "$kernel" ]; then
    cp "$kernel" "$public/kernel"
    vm=(--kernel "$public/kernel" --memory 16M)
    for verb in "create vm v1" "run --vm"; do
        # shellcheck disable=SC2086
        refuses "no KVM: $verb" 1 "open '/dev/kvm': No such file or directory; enable virtualization" \
            "$WORK/with_kvm" true "$PULT" $verb "${vm[@]}"
        # shellcheck disable=SC2086
        refuses "KVM that is none: $verb" 1 "'/dev/kvm' is no KVM: " "$WORK/with_kvm" \
            'touch $dev/kvm && mount --bind /dev/null $dev/kvm' "$PULT" $verb "${vm[@]}"
        # shellcheck disable=SC2086
        out=$("$WORK/with_kvm" 'mknod -m 600 $dev/kvm c 10 232' setpriv --reuid 65534 --regid 65534 --clear-groups \
            env HOME=/ PULT_HOME="$public/his" PULT_RUN="$public/his/run" "$public/pult" $verb "${vm[@]}" 2>&1)
        is "no permission for KVM: $verb" $? 1
        like "…, and who can mend it" "$out" "open '/dev/kvm': Permission denied; join group kvm"
    done
    is "nothing was made" "$(PULT_HOME=$public/his pult list --names)$(pult list --names)" ""
    like "the doctor knows" "$("$WORK/with_kvm" true "$PULT" doctor)" "BAD +vm +kvm +open '/dev/kvm': No such file"
else
    skip "no KVM" "the guest of tests/device is not built"
fi

# ---- a full disk ----
mkdir "$WORK/tiny"
mount -t tmpfs -o size=64k,mode=700 tmpfs "$WORK/tiny" || { skip "a full disk" "no tmpfs"; finish; }
at_exit "umount '$WORK/tiny'"
export PULT_HOME=$WORK/tiny/home
mkdir -m 700 "$PULT_HOME" && echo "net.default = none" >"$PULT_HOME/pult.conf"
ok "full disk: room for one" pult create container one --rootfs "$WORK/root" -- /sbin/init sleep 1000
ok "full disk: and for one that has run" pult create container ran --rootfs "$WORK/root" -- /sbin/init sleep 1000
pult start ran && pult kill ran
head -c 1M /dev/zero >"$WORK/tiny/fill" 2>/dev/null
refuses "full disk: create" 1 "No space left" "$PULT" create container two --rootfs "$WORK/root"
refuses "full disk: config set" 1 "No space left" "$PULT" config set one guest.memory=1G
is "full disk: the definition is whole" "$(state_of one)" stopped
rm "$WORK/tiny/fill"
tar -cf "$WORK/root.tar" -C "$WORK/root" .
refuses "full disk: an archive that does not fit" 1 "" \
    "$PULT" create container three --rootfs "$WORK/root.tar"
is "full disk: and no part of it stays" "$(ls -A "$PULT_HOME/guests")" $'one\nran'
head -c 1M /dev/zero >"$WORK/tiny/fill" 2>/dev/null
refuses "full disk: start" 1 "^pult start: write '$PULT_HOME/guests/one/running': No space left" "$PULT" start one
is "full disk: it stays stopped" "$(state_of one)" stopped
ok "full disk: one that has run starts" pult start ran
is "full disk: it runs" "$(state_of ran)" running
ok "full disk: and stops" pult kill ran
is "full disk: it is stopped" "$(state_of ran)" stopped
pult destroy ran
ok "full disk: destroy" pult destroy one
rm -f "$WORK/tiny/fill"

# ---- a full runtime directory ----
ok "full /run: a guest" pult create container one --rootfs "$WORK/root" -- /sbin/init sleep 1000
own_run=$PULT_RUN
export PULT_RUN=$WORK/tiny/run
mkdir "$PULT_RUN"
head -c 1M /dev/zero >"$WORK/tiny/fill" 2>/dev/null
export PULT_HOME=$own_home
ok "full /run: one whose definition is elsewhere" pult create container two --rootfs "$WORK/root" -- /sbin/init sleep 1000
refuses "full /run: start" 1 "^pult start: .*No space left" "$PULT" start two
refuses "full /run: run" 1 "^pult run: .*No space left" "$PULT" run --rootfs "$WORK/root" -- /sbin/init true
is "full /run: nothing stays" "$(left_in "$PULT_RUN")$(state_of two)" stopped
rm "$WORK/tiny/fill"
ok "room again: it starts" pult start two
head -c 1M /dev/zero >"$WORK/tiny/fill" 2>/dev/null
ok "full /run: what runs is frozen" pult freeze two
is "full /run: and seen to be" "$(state_of two)" frozen
ok "full /run: and killed" pult kill two
is "full /run: and seen to be, too" "$(state_of two)" stopped
is "full /run: nothing of it stays" "$(left_in "$PULT_RUN")" ""
pult destroy two
export PULT_RUN=$own_run PULT_HOME=$WORK/tiny/home
pult destroy one
finish
