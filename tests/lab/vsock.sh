#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 300 s
#
# Sockets between a guest with a stock kernel and programs of the host.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/lab.bash"

vm_files cloud-amd64
kernel=$cache/linux-cloud-amd64/vmlinux
typed() { printf '%s\n' "$2" | timeout 30 "$PULT" console "$1" -H 0 >/dev/null; } # NAME LINE

# The guest's program, behind what the initramfs has already.
mkdir -p "$WORK/more/bin"
ok "a program for the guest" "${CC:-cc}" -static -O1 -o "$WORK/more/bin/vsock" "$TOP/tests/lab/vsock.c"
(cd "$WORK/more" && find . | cpio -o -H newc --quiet -R 0:0 | gzip -1) >>"$initrd"

# Talk to a port of the guest by the words of the protocol: SOCKET PORT BYTES.
cat >"$WORK/client.py" <<'PY'
import os, socket, sys, threading, time
s = socket.socket(socket.AF_UNIX)
s.settimeout(60)
s.connect(sys.argv[1])
s.sendall(b"CONNECT %d\n" % int(sys.argv[2]))
f = s.makefile("rb")
line = f.readline()
if not line.startswith(b"OK "):
    sys.exit("refused: %r" % line)
data = os.urandom(int(sys.argv[3]))
def send():
    s.sendall(data)
    s.shutdown(socket.SHUT_WR)
t0 = time.time()
t = threading.Thread(target=send)
t.start()
back = f.read()
t.join()
print("same" if back == data else "%d of %d bytes" % (len(back), len(data)))
print("# %.1f MB/s there and back" % (len(data) / 1e6 / (time.time() - t0)))
PY
client() { timeout 100 python3 "$WORK/client.py" "$PULT_RUN/$a/vsock" "$@" 2>&1; }

a=$test_id-a
like "a CID that is none" "$("$PULT" create vm "$a" --kernel "$kernel" --set vm.vsock=2 2>&1)" "'2' is neither on nor off nor a CID"
ok "define" "$PULT" create vm "$a" --kernel "$kernel" --initrd "$initrd" --memory 256M --set vm.vsock=77
ok "start" "$PULT" start "$a"
is "its socket is private" "$(stat -c %a "$PULT_RUN/$a/vsock")" 600
ok "it comes up" wait_for 240 has_printed "$a" "guest#"
typed "$a" 'vsock cid; vsock echo 5 &'
ok "it knows its CID" wait_for 30 has_printed "$a" "cid is 77"
ok "it listens" wait_for 30 has_printed "$a" "listening on 5"
out=$(client 5 100)
like "the host talks to the guest" "$out" "same"
out=$(client 5 2000000)
like "much, there and back, each end half closed" "$out" "same"
echo "$out" | grep '^#'
like "a port where nobody listens refuses" "$(client 6 1)" "refused: b''"
ok "and again" eval '[[ "$(client 5 10)" == same* ]]'

ok "kill" "$PULT" kill "$a"
finish
