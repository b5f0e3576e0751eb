#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# How verbs and options are read, and the help, the manual page and the completion that are made
# from the table of verbs.
. "$(dirname "$0")/cli.bash"

refuses "unknown verb names the nearest" 2 "unknown command 'lst'; did you mean 'list'" "$PULT" lst
refuses "unknown verb" 2 "unknown command 'xyzzy'.*--help" "$PULT" xyzzy
refuses "empty verb" 2 "unknown command ''" "$PULT" ""
refuses "half a verb" 2 "'create' wants one of these after it: container vm" "$PULT" create
like "half a verb, asked what it does" "$("$PULT" create --help)" "usage: pult create container.*usage: pult create vm"
is "as help tells it" "$("$PULT" snapshot -h)" "$("$PULT" help snapshot)"
refuses "half a verb, wrong object" 2 "did you mean 'container'" "$PULT" create contaner
refuses "config alone" 2 "get set unset edit" "$PULT" config
refuses "unknown option names the nearest" 2 "unknown option '--kernle'; did you mean --kernel" \
    "$PULT" create vm x --kernle y
refuses "unknown letter" 2 "unknown option '-Z'" "$PULT" list -Z
refuses "option without its value" 2 "option --state needs STATE" "$PULT" list --state
refuses "letter without its value" 2 "option -s needs STATE" "$PULT" list -s
refuses "flag with a value" 2 "option --names takes no value" "$PULT" list --names=1
refuses "option twice" 2 "option --state is given twice" "$PULT" list -s running --state=stopped
refuses "unknown format" 2 "unknown output format 'xml'" "$PULT" list -o xml
refuses "-o where there are no facts" 2 "unknown option '-o'" "$PULT" start -o json x
refuses "missing argument" 2 "missing argument: it takes NAME" "$PULT" info
refuses "argument too much" 2 "unexpected argument 'b'" "$PULT" info a b
refuses "argument for a verb that takes none" 2 "unexpected argument 'x'" "$PULT" list x
refuses "command without --" 2 "unexpected argument 'ls'; put -- before the command" \
    "$PULT" exec web1 ls
refuses "exec without a command" 2 "missing command" "$PULT" exec web1
refuses "unknown state" 2 "'flying'" "$PULT" list -s flying
refuses "wait without a state" 2 "missing option: -s STATE" "$PULT" wait x
refuses "wait for no state" 2 "'dancing'" "$PULT" wait x -s dancing
refuses "wait with a bad time" 2 "--timeout" "$PULT" wait x -s running -t soon
refuses "stop with a bad time" 2 "--timeout" "$PULT" stop x -t -4
refuses "start without a name" 2 "NAME" "$PULT" start
refuses "start --attach with two" 2 "--attach takes one NAME" "$PULT" start --attach a b
refuses "start --autostart with a name" 2 "--autostart" "$PULT" start --autostart a
refuses "stat with a bad interval" 2 "--interval" "$PULT" stat -i 0
refuses "stat with a bad count" 2 "--count" "$PULT" stat -c many
refuses "log with a bad count" 2 "--lines" "$PULT" log x -n -1
refuses "console with a bad history" 2 "--history" "$PULT" console x -H lots
refuses "exec with a bad environment" 2 "--env takes NAME=VALUE" "$PULT" exec x -e FOO -- true
refuses "help of what is not there" 2 "there is no command 'nix'" "$PULT" help nix

for verb in info start stop kill freeze unfreeze console log destroy "config get"; do
    # shellcheck disable=SC2086
    refuses "$verb of a guest that is not there" 1 "there is no guest 'nobody'" "$PULT" $verb nobody
done
refuses "wait for a guest that is not there" 1 "there is no guest 'nobody'" \
    "$PULT" wait nobody -s running
refuses "exec in a guest that is not there" 1 "there is no guest 'nobody'" \
    "$PULT" exec nobody -- true
refuses "config set of a guest that is not there" 1 "nobody" "$PULT" config set nobody a=b
refuses "config unset of a guest that is not there" 1 "nobody" "$PULT" config unset nobody a
refuses "stat of a guest that is not there" 1 "there is no guest 'nobody'" "$PULT" stat nobody

refuses "bytes that go nowhere" 1 "write to standard output: No space left" \
    sh -c "exec '$PULT' version >/dev/full"

like "version" "$(pult version)" '^pult [0-9.]+$'
is "--version" "$(pult --version)" "$(pult version)"
like "version as JSON" "$(pult version -o json)" '"engines"'
is "--help is help" "$(pult --help)" "$(pult help)"
like "no command line on no terminal" "$(pult help)" 'usage: pult'
is "an empty list" "$(pult list -o json)" "[]"
is "no names" "$(pult list --names)" ""

# Every verb of the overview has a help that names it, and is in the manual.
pult help --man >"$WORK/pult.1"
verbs=0 missing=
while read -r verb; do
    verbs=$((verbs + 1))
    # shellcheck disable=SC2086
    [[ $(pult $verb --help) == "usage: pult $verb"* ]] || missing+=" help:$verb"
    grep -q "^\.SS \"pult $verb" "$WORK/pult.1" || missing+=" man:$verb"
done < <(pult help | sed -n 's/^  \([a-z][a-z]*\( [a-z]*\)\?\)  .*/\1/p')
is "every verb has its help and its place in the manual ($verbs verbs)" "$missing" ""
ok "there are verbs" test "$verbs" -ge 20
if command -v groff >/dev/null; then
    is "the manual is clean troff" "$(groff -man -Tutf8 -ww -z "$WORK/pult.1" 2>&1)" ""
else
    skip "the manual is clean troff" "no groff"
fi

# The completion, asked as readline would.
complete()
{
    bash --norc -c 'PATH='"$(dirname "$PULT")"':$PATH; source <(pult help --bash) || exit
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _pult; echo "${COMPREPLY[*]}"' - "$@"
}
is "completion of a verb" "$(complete pult unf)" "unfreeze"
is "completion of an object" "$(complete pult create v)" "vm"
is "completion of a template" "$(complete pult create container x --template bu)" "busybox"
is "completion of an option" "$(complete pult create vm x --ke)" "--kernel"
is "completion of a third word" "$(complete pult network forward r)" "remove"
pult network create compl0 --kind user
is "completion of a network" "$(complete pult network forward add com)" "compl0"
is "none where it is to be new" "$(complete pult network create com)" ""
is "completion of an option of a plain verb" "$(complete pult stop --no)" "--no-wait"
finish
