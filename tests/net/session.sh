#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A bridge over the NIC that carries a real session of SSH: sshd on the host, the client in the
# outside. With the session cut, addresses and routes are back after the time; with the session alive
# and confirmed, they stay.
# timeout: 180 s
. "$(dirname "$0")/net.bash"

sshd=$(PATH=$PATH:/usr/sbin command -v sshd || ls "$TOP/$B/cache/sshd/usr/sbin/sshd" 2>/dev/null)
[ -n "$sshd" ] || skip_all "sshd is not installed (openssh-server)"
command -v ssh >/dev/null || skip_all "ssh is not installed (openssh-client)"

make_outside
ssh-keygen -q -t ed25519 -N '' -f "$WORK/host_key"
ssh-keygen -q -t ed25519 -N '' -f "$WORK/key"
cp "$WORK/key.pub" "$WORK/authorized"
[ -d /run/sshd ] || { mkdir /run/sshd && at_exit 'rmdir /run/sshd'; }
if ! grep -q '^sshd:' /etc/passwd; then # where its package is unpacked, and not installed
    { cat /etc/passwd; echo 'sshd:x:65533:65534::/run/sshd:/usr/sbin/nologin'; } >"$WORK/passwd"
    mount --bind "$WORK/passwd" /etc/passwd
    at_exit 'umount /etc/passwd'
fi
cat >"$WORK/sshd_config" <<END
HostKey $WORK/host_key
AuthorizedKeysFile $WORK/authorized
PermitRootLogin yes
StrictModes no
UsePAM no
PidFile $WORK/sshd.pid
ListenAddress 0.0.0.0:2222
ListenAddress [::]:2222
END
"$sshd" -f "$WORK/sshd_config" -E "$WORK/sshd.log" || skip_all "sshd does not start: $(tail -n 1 "$WORK/sshd.log")"
at_exit 'kill "$(cat "$WORK/sshd.pid")" 2>/dev/null'
session()
{
    outside ssh -q -i "$WORK/key" -p 2222 -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
        -o ConnectTimeout=5 -o ServerAliveInterval=1 -o ServerAliveCountMax=5 root@"$HOST" "$@"
}
HOST=192.0.2.2
env="PULT_HOME=$PULT_HOME PULT_RUN=$PULT_RUN PATH=$PATH"
ok "a session" session true

before=$(host_text)
ok "a bridge" net create br0 --kind bridge --port eth9
like "the plan knows the session" "$(session "$env $PULT network plan br0" </dev/null)" \
    "eth9 carries this session"
state_is() { net list -o json | grep -q "\"state\": \"$1\""; }

# ---- cut ----
mkfifo "$WORK/keys"
session -tt "$env $PULT network apply br0 --seconds 5" <"$WORK/keys" >"$WORK/cut" 2>&1 &
client=$!
exec 9>"$WORK/keys"
ok "applied in a session" wait_for 20 state_is unconfirmed
ip netns pids outside | while read -r p; do
    [[ $(cat "/proc/$p/comm" 2>/dev/null) != ssh ]] || kill -9 "$p"
done
wait $client 2>/dev/null
exec 9>&-
is "the session is cut" "$(ip netns pids outside | while read -r p; do cat "/proc/$p/comm"; done | grep -cx ssh)" 0
is "the address is the bridge's" "$(ip -4 -o address show dev br0 2>/dev/null | grep -c 192.0.2.2/24)" 1
ok "after the time it is down" wait_for 20 state_is down
is "and the host as it was" "$(host_text)" "$before"
ok "a session can be had again" session true

# ---- kept ----
session -tt "$env $PULT network apply br0 --seconds 30" <"$WORK/keys" >"$WORK/kept" 2>&1 &
client=$!
exec 9>"$WORK/keys"
ok "applied in a session" wait_for 20 state_is unconfirmed
ok "the session lives on, by the bridge" wait_for 10 grep -q . "$WORK/kept"
printf '\r' >&9
wait $client
is "confirmed by a key, in the session" $? 0
exec 9>&-
ok "it is up" state_is up
ok "sessions of IPv4" session true
HOST=2001:db8::2
ok "and of IPv6" session true
is "the address is the bridge's" "$(ip -4 -o address show dev br0 | grep -c 192.0.2.2/24)" 1
ok "taken down in a session" session "$env $PULT network down br0" </dev/null
is "the host is as it was" "$(host_text)" "$before"
ok "destroy" net destroy br0
finish
