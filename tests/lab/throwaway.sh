#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 400 s
#
# pult run --vm: this machine's files under another kernel, a command and its status, a clean
# standard output, and nothing that stays.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/lab.bash"

kernel=$cache/linux-cloud-amd64/vmlinuz
run=(timeout 100 "$PULT" run --vm --kernel "$kernel" --memory 512M)
mkdir "$WORK/here"
echo 'mine' >"$WORK/here/file"
echo 'not for guests' >/root/secret-of-root
cd "$WORK/here" || exit 1

out=$("${run[@]}" -- sh -c 'uname -r; exit 7' </dev/null 2>"$WORK/err")
is "the command's status" $? 7
is "its output, and nothing else" "$out" "$(cat "$cache/linux-cloud-amd64/version")"
is "no complaint" "$(cat "$WORK/err")" ""

cat >"$WORK/script" <<'GUEST'
id -u
pwd
cat file
echo changed >file && echo new >made && cat file made
cat /root/secret-of-root
echo "root: $(ls -A /root | wc -l), home: $(ls -A /home | wc -l), shadow: $(wc -c </etc/shadow)"
echo x >/etc/pult-was-here && rm -rf /usr/share/doc/bash && mkdir -p /srv/x && echo "all may be changed"
mount | awk '$3 == "/" || $3 == "/proc" || $3 == "/dev" { print $3, $5 }'
ls -d "/lib/modules/$(uname -r)/kernel" && modprobe dummy && echo "modules load"
hostname
echo "to standard error" >&2
kill -9 $$
GUEST
chmod +x "$WORK/script"
cp "$WORK/script" /opt/throwaway-script
out=$("${run[@]}" --name "th-$test_id" -- /opt/throwaway-script </dev/null 2>&1)
is "ended by a signal is 128 and the signal" $? 137
echo "$out" | sed 's/^/# /'
is "root, where it was called, its files" "$(head -n 3 <<<"$out")" "0"$'\n'"$WORK/here"$'\n'"mine"
like "they can be changed" "$out" "changed"$'\n'"new"
is "… and stay as they were" "$(cat file; ls)" "mine"$'\n'"file"
like "secrets are not there" "$out" "root: 0, home: 0, shadow: 0"
is "not a word of them" "$(grep 'not for guests' <<<"$out")" ""
like "everything else may be changed" "$out" "all may be changed"
is "… and is as it was" "$(ls /etc/pult-was-here /srv/x 2>/dev/null)" ""
like "an overlay" "$out" "/ overlay"
like "with its modules" "$out" "modules load"
like "and its name" "$out" "th-$test_id"

out=$("${run[@]}" --rw -- sh -c 'echo theirs >file; sync' </dev/null 2>&1)
is "--rw" "$?:$(cat file)" "0:theirs"
is "it reads a pipe to its end" "$(printf 'a b\nlast' | "${run[@]}" -- tr a-z A-Z)" "A B"$'\n'"LAST"
head -c 4000 /dev/urandom | base64 >"$WORK/here/text"
is "binary output is whole" "$("${run[@]}" -- sh -c 'base64 -d text' </dev/null | md5sum)" "$(base64 -d text | md5sum)"
"${run[@]}" -- /nonexistent </dev/null >"$WORK/out" 2>&1
is "no such command" $? 127
like "and it says so" "$(cat "$WORK/out")" "cannot run '/nonexistent'"
is "nothing is left" "$("$PULT" list --names)" ""
rm -f /root/secret-of-root /opt/throwaway-script
finish
