#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# pult config get, set, unset and edit: a definition changes whole or not at all.
. "$(dirname "$0")/cli.bash"

mkdir -p "$WORK/root/sbin"
cp "$(command -v busybox)" "$WORK/root/sbin/init"
pult create container web1 --rootfs "$WORK/root" --memory 64M || exit
config=$PULT_HOME/guests/web1/config
bad() { refuses "$1" "$2" "$3" "$PULT" config "${@:4}"; }

is "get: one key" "$(pult config get web1 guest.memory)" 64M
is "get: the whole is the file" "$(pult config get web1)" "$(cat "$config")"
like "get: as JSON" "$(pult config get web1 -o json | tr -d ' \n')" '"guest.memory":\["64M"\]'
bad "get: a key that is not set" 1 "'web1' does not set 'guest.cpus'" get web1 guest.cpus

ok "set: KEY=VALUE" pult config set web1 guest.memory=128M guest.cpus=2
is "set: both are" "$(pult config get web1 guest.memory) $(pult config get web1 guest.cpus)" "128M 2"
ok "set: KEY VALUE" pult config set web1 lxc.environment "A=1 2"
is "set: with its equals sign" "$(pult config get web1 lxc.environment)" "A=1 2"
ok "set: several values" pult config set web1 lxc.environment=A=1 lxc.environment=B=2
is "set: all there" "$(pult config get web1 lxc.environment | tr '\n' ,)" "A=1,B=2,"
ok "unset" pult config unset web1 lxc.environment
bad "unset: what is not set" 1 "does not set 'lxc.environment'" unset web1 lxc.environment

echo '# mine' >>"$config"
ok "set: beside a comment" pult config set web1 guest.memory=96M
like "set: comments stay" "$(pult config get web1)" '# mine'

bad "set: an unknown key" 1 "guest.memori.*guest.memory" set web1 guest.memori=1M
bad "set: a bad value" 1 "guest.memory.*'lots'" set web1 guest.memory=lots
bad "set: one bad of two sets none" 1 "guest.cpus" set web1 guest.memory=1G guest.cpus=none
bad "set: no value" 2 "'guest.memory' is not KEY=VALUE" set web1 guest.memory
bad "set: no key" 2 "'=1M' is not KEY=VALUE" set web1 =1M
bad "set: a line break" 1 "line break" set web1 $'lxc.environment=A=1\nguest.memory=1'
bad "set: another kind of guest" 1 "toaster" set web1 guest.type=toaster
bad "unset: its kind" 1 "guest.type" unset web1 guest.type

# ---- edit ----

editor() { printf '#!/bin/sh\n%s\n' "$1" >"$WORK/editor" && chmod +x "$WORK/editor"; }
unset VISUAL
export EDITOR=$WORK/editor
editor 'sed -i "s/96M/80M/" "$1"'
ok "edit" pult config edit web1
is "edit: it is changed" "$(pult config get web1 guest.memory)" 80M
editor 'echo "guest.memory = much" >>"$1"'
bad "edit: a bad value" 1 "guest.memory.*; the definition is as it was" edit web1
editor 'echo "this is nothing" >>"$1"'
bad "edit: a bad line" 1 "the definition is as it was" edit web1
editor ': >"$1"'
bad "edit: nothing left" 1 "guest.type" edit web1
editor 'exit 3'
bad "edit: the editor fails" 1 "the editor .* failed" edit web1
EDITOR=/nix bad "edit: no editor" 1 "the editor '/nix' failed" edit web1
editor ':'
like "edit: nothing done" "$(pult config edit web1 2>&1)" "nothing was changed"
EDITOR="sed -i -e s/80M/81M/" ok "edit: an editor with options" pult config edit web1
is "edit: that did it" "$(pult config get web1 guest.memory)" 81M
editor 'grep -q first "$1" && sed -i -e /first/d -e s/81M/82M/ "$1" || echo "first try" >>"$1"'
like "edit: again, on a terminal" \
    "$(pty 'expect=first try.*again' 'send=y\r' -- "$PULT" config edit web1)" 'exit 0'
is "edit: the second try counts" "$(pult config get web1 guest.memory)" 82M
editor 'echo "bad line" >>"$1"'
like "edit: given up, on a terminal" \
    "$(pty 'expect=again' 'send=n\r' -- "$PULT" config edit web1)" 'as it was.*exit 1'
is "edit: no copy is left" "$(find "${TMPDIR:-/tmp}" -maxdepth 1 -name 'pult-web1-*' | wc -l)" 0

# ---- what came from elsewhere is shown as it is: no line can hide another ----
cp "$PULT_HOME/guests/web1/config" "$WORK/kept"
printf 'guest.description = \033[2K\033[1A\302\233 x\n' >>"$PULT_HOME/guests/web1/config"
escapes() { grep -c $'\033\\[2K\\|\302\233'; }
is "get: for a program, as it is" "$(pult config get web1 | escapes) $(pult config get web1 guest.description | escapes)" "1 1"
is "get: on a terminal, fit to be shown" \
    "$(pty -- "$PULT" config get web1 | escapes) $(pty -- "$PULT" config get web1 guest.description | escapes)" "0 0"
like "get: but all of it is" "$(pty -- "$PULT" config get web1)" 'guest.memory = 82M.*guest.description = \?\[2K'
printf 'guest.\033[2K = x\n' >"$PULT_HOME/guests/web1/config"
is "errors, too" "$("$PULT" config get web1 2>&1 | escapes)$("$PULT" start web1 2>&1 | escapes)" 00
cp "$WORK/kept" "$PULT_HOME/guests/web1/config"

# ---- a broken definition is shown, hides nobody, and can be mended ----

pult create container web2 --rootfs "$WORK/root"
echo 'no grammar' >>"$config"
like "broken: in the list" "$(pult list)" "web1 .*broken.*config:[0-9]+:"
like "broken: hides nobody" "$(pult list)" "web2 .*stopped"
like "broken: as JSON" "$(pult info web1 -o json)" '"state": "broken"'
refuses "broken: start says where" 1 "config:[0-9]+:" "$PULT" start web1
bad "broken: get says where" 1 "config:[0-9]+:" get web1
editor 'sed -i "/no grammar/d" "$1"'
ok "broken: edit mends it" pult config edit web1
is "broken: it is mended" "$(state_of web1)" stopped
echo 'lxc.nonsense = 1' >>"$config"
is "broken by a key" "$(state_of web1)" broken
ok "broken: unset mends it" pult config unset web1 lxc.nonsense
is "broken: mended" "$(state_of web1)" stopped
echo 'no grammar' >>"$config"
ok "broken: can be destroyed" pult destroy web1

# ---- many at once ----

for _ in 1 2 3 4 5; do
    pult config set web2 guest.memory=32M &
    pult config set web2 guest.cpus=2 &
done
wait
is "changes at the same time lose nothing" \
    "$(pult config get web2 guest.memory) $(pult config get web2 guest.cpus)" "32M 2"
pult destroy web2
is "nothing is left" "$(find "$PULT_HOME" -mindepth 2)" ""
finish
