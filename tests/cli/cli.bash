# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# What the tests of the command line share: . "$(dirname "$0")/cli.bash"
#
#     refuses NAME STATUS RE CMD...   CMD ends with STATUS, says RE on standard error and nothing on
#                                     standard output, and leaves store and runtime as they were
#     pty STEP... -- CMD...           run it on a terminal, see tests/cli/pty
#     make_public                     a directory $public for other users, with the program in it

. "$(dirname "$0")/../lib.sh"
pult() { timeout 60 "$PULT" "$@"; }
pty() { timeout 120 "$(dirname "$0")/pty" "$@"; }

# A directory that other users may enter, with a copy of the program: $public.
make_public()
{
    public=$(mktemp -d /tmp/pt.public.XXXXXX)
    at_exit "rm -rf --one-file-system '$public'"
    chmod 711 "$public"
    cp "$PULT" "$public/pult"
}

# Everything there is of all guests, and what the store's files say; but a keeper's log may grow, a
# lock is no state, and what a guest that ended had its keeper takes away after it has told of that.
store_state()
{
    local d
    for d in "$PULT_HOME" "$PULT_RUN"; do
        [ -d "$d" ] && find "$d" -mindepth 2 ! -name running ! -path '*/.pult-*-gone-*' -printf '%y %m %p\n' 2>/dev/null
    done | sort
    find "$PULT_HOME" -type f ! -name log ! -name running -exec sha256sum {} + 2>/dev/null | sort
}

refuses()
{
    local name=$1 status=$2 re=$3 before after out rc
    shift 3
    before=$(store_state)
    out=$(timeout 60 "$@" 2>"$WORK/stderr" </dev/null)
    rc=$?
    after=$(store_state)
    if [ $rc -eq "$status" ] && [ -z "$out" ] && [[ $(cat "$WORK/stderr") =~ $re ]] &&
        [ "$before" = "$after" ]; then
        point ok "$name"
        return
    fi
    point "not ok" "$name"
    printf '%s\n' "status $rc, wanted $status, of: $*" "out: $out" "err: $(cat "$WORK/stderr")" \
        "wanted: $re" | sed 's/^/# /'
    [ "$before" = "$after" ] || diff <(echo "$before") <(echo "$after") | sed 's/^/# changed: /'
    return 1
}
