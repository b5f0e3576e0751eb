#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The examples of docs/protocol.md, taken out of it and run against a container.
. "$(dirname "$0")/../lib.sh"

[ "$(id -u)" = 0 ] || skip_all "needs root for a container"

# example LANGUAGE N: the N-th block of this language.
example()
{
    awk -v lang="$1" -v n="$2" '$0 == "```" lang { k++; on = 1; next }
        $0 == "```" { on = 0 } on && k == n' "$TOP/docs/protocol.md"
}

make_busybox_rootfs "$WORK/rootfs"
export NAME=proto-$test_id RUN=$PULT_RUN
ok "create" "$PULT" create container "$NAME" --rootfs "$WORK/rootfs" -- /bin/sh -i
ok "start" "$PULT" start "$NAME"

like "shell: info" "$(example sh 1 | bash 2>&1)" '"state":"running"'
like "shell: the console answers" "$(example sh 2 | bash 2>&1)" '42'
is "python: freeze, thaw, kill" "$(example python 1 | python3 - 2>&1)" \
    $'it is running\nit is frozen\nit is stopped'
ok "destroy" "$PULT" destroy "$NAME"
finish
