#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 400 s (in the lab everything takes its time)
# What a hostile container tries against its host, in the two cases in which root inside is somebody
# outside: a root file system that knows no id mapping, and a container of an ordinary user.
. "$(dirname "$0")/engine.bash"
[ "$(id -u)" = 0 ] || skip_all "needs root"
command -v gcc >/dev/null || skip_all "needs a compiler"

n=e-$test_id uid=54321
chmod 711 "$WORK" "${TMPDIR:-/tmp}"
cp "$PULT" "$WORK/pult"
PULT=$WORK/pult

# Root's: an overlay cannot be mounted with other ids.
mkdir -p "$WORK"/{up,work,id}
mount -t overlay overlay -o "lowerdir=$ROOT,upperdir=$WORK/up,workdir=$WORK/work" "$WORK/id" ||
    skip_all "needs overlayfs"
at_exit "umount -l '$WORK/id'"

# A user's, with a binary of his own.
mkdir -p "$WORK/u" && cp "$PULT" "$WORK/u/pult"
cp -a "$ROOT" "$WORK/u/root" && chown -R $uid:$uid "$WORK/u"
as() { setpriv --reuid=$uid --regid=$uid --clear-groups env "$@"; }
u() { as HOME="$WORK/u" PULT_HOME="$WORK/u/home" PULT_RUN="$WORK/u/run" timeout 60 "$WORK/u/pult" "$@"; }
users=no
as unshare -U true 2>/dev/null && users=yes

# ---- the binary, by /proc/self/exe ----
cat >"$WORK/evil.c" <<'END'
static long call(long nr, long a, long b)
{
    long ret;
    __asm__ volatile("syscall" : "=a"(ret) : "0"(nr), "D"(a), "S"(b) : "rcx", "r11", "memory");
    return ret;
}
void _start(void)
{
    call(90, (long)"/proc/self/exe", 0707); /* chmod */
    call(60, 99, 0);                        /* exit */
}
END
gcc -nostdlib -static -fno-stack-protector -o "$WORK/evil" "$WORK/evil.c"
loader=$(LC_ALL=C readelf -l "$PULT" | sed -n 's/.*interpreter: \(.*\)\]/\1/p')
plant()
{
    mkdir -p "$1$(dirname "$loader")" && cp "$WORK/evil" "$1$loader"
    ln -s /proc/self/exe "$1/bin/lnk"
    ln -s lnk "$1/bin/chain"
    ln -s /proc/thread-self "$1/thread"
    printf '#!/proc/self/exe\n' >"$1/bin/script"
    printf '#!/bin/chain x\n' >"$1/bin/scripts"
    chmod 755 "$1/bin/script" "$1/bin/scripts"
}
evils="/bin/lnk /bin/chain /bin/script /bin/scripts /proc/self/exe /thread/exe /proc/1/exe lnk"

# attack PULT ROOT MODE: all ways in; MODE is that of the binary, before and after.
attack()
{
    local p=$1 root=$2 mode=$3 binary=$4 e
    $p create container "$n" --rootfs "$root" -- /bin/sleep 1000
    $p start "$n"
    for e in $evils; do
        isnt99 "exec $e" $p exec "$n" -- $e version
    done
    $p kill "$n"
    $p destroy "$n"
    for e in $evils; do
        isnt99 "the command $e" $p run --rootfs "$root" -- $e version
    done
    for e in /bin/lnk /bin/script; do
        $p create container "$n" --rootfs "$root" --set "lxc.init.cmd=$e"
        isnt99 "init is $e" $p start "$n"
        $p kill "$n" 2>/dev/null
        $p destroy "$n"
    done
    is "the binary is as it was" "$(stat -c %a "$binary")" "$mode"
}
# A static pult has no loader to be replaced: then it must not run at all.
isnt99()
{
    local out rc
    out=$("${@:2}" 2>&1 </dev/null)
    rc=$?
    [[ $rc != 99 && ! $out =~ "pult "[0-9]|"unknown command"|"usage: pult" ]]
    is "$1 is not pult" $? 0
}

plant "$WORK/id"
plant "$WORK/u/root"
attack pult "$WORK/id" "$(stat -c %a "$PULT")" "$PULT"
if [ $users = yes ]; then
    attack u "$WORK/u/root" "$(stat -c %a "$WORK/u/pult")" "$WORK/u/pult"
else
    skip "a user's" "users may make no user namespaces here"
fi

# ---- the devices of the host ----
modes() { stat -c '%n %a %u:%g %Y' /dev/{null,zero,full,random,urandom,tty}; }
before=$(modes)
pult create container "$n" --rootfs "$WORK/id" -- /bin/sleep 1000
pult start "$n"
for f in /dev/{null,zero,full,random,urandom,tty} /proc/{timer_list,keys,sysrq-trigger}; do
    [ -e $f ] || continue
    refused "the mode of $f" "ead-only|denied|not permitted" pult exec "$n" -- /bin/chmod 604 $f
done
refused "the times of /dev/full" "ead-only|denied|not permitted" \
    pult exec "$n" -- /bin/touch -c -d 2001-01-01 /dev/full
is "the host's are as they were" "$(modes)" "$before"
ok "they can be written to" pult exec "$n" -- /bin/sh -c 'echo x >/dev/null && echo x >/dev/zero'
pult kill "$n"
pult destroy "$n"

# ---- keys ----
cat >"$WORK/keys.c" <<'END'
#include <linux/keyctl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int argc, char **argv)
{
    if (argc < 2)
        return puts(syscall(SYS_keyctl, KEYCTL_SEARCH, KEY_SPEC_SESSION_KEYRING, "user",
                            "pult-secret", 0) < 0 ? "none" : "found") < 0;
    syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL);
    if (syscall(SYS_add_key, "user", "pult-secret", "x", 1L, KEY_SPEC_SESSION_KEYRING) < 0)
        return 1;
    execvp(argv[1], argv + 1);
    return 1;
}
END
if gcc -static -o "$WORK/id/bin/keys" "$WORK/keys.c" && "$WORK/id/bin/keys" true; then
    pult create container "$n" --rootfs "$WORK/id" -- /bin/sleep 1000
    keys() { "$WORK/id/bin/keys" timeout 60 "$PULT" "$@"; }
    is "there is a key" "$("$WORK/id/bin/keys" "$WORK/id/bin/keys")" found
    is "a command does not find it" "$(keys run --rootfs "$WORK/id" -- /bin/keys </dev/null)" none
    keys start "$n"
    is "nor does exec" "$(keys exec "$n" -- /bin/keys)" none
    pult kill "$n"
    pult destroy "$n"
else
    skip "keys of the host are not seen" "no keys in this kernel"
fi

# ---- a terminal of its own ----
printf '::sysinit:/bin/echo booted\n::respawn:/bin/sleep 1000\n' >"$ROOT/etc/inittab"
pult create container "$n" --rootfs "$ROOT"
pult start "$n"
tty_inside() { script -qec "timeout --foreground 60 $PULT exec $n -- /bin/tty" /dev/null </dev/null | tr -d '\r'; }
like "exec has a terminal" "$(tty_inside)" "/dev/pts/[0-9]"
ok "the container covers /dev/pts/ptmx" pult exec "$n" -- /bin/mount -o bind /etc/group /dev/pts/ptmx
like "it still has one" "$(tty_inside)" "/dev/pts/[0-9]"
pult kill "$n"
pult destroy "$n"

# ---- a program that cannot be opened for the time being ----
cat >"$WORK/lease.c" <<'END'
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>
int main(int argc, char **argv)
{
    signal(SIGIO, SIG_IGN);
    if (argc < 2 || fcntl(open(argv[1], O_RDWR), F_SETLEASE, F_WRLCK) < 0)
        return 1;
    puts("held");
    fflush(stdout);
    for (;;)
        pause();
}
END
gcc -static -o "$ROOT/bin/lease" "$WORK/lease.c"
cp "$ROOT/bin/busybox" "$ROOT/bin/leased"
pult create container "$n" --rootfs "$ROOT" -- /bin/lease /bin/leased
pult start "$n"
ok "the container holds a lease" wait_for 5 sh -c "'$PULT' log '$n' | grep held"
keeper=$(id_of "$n" keeper_pid)
"$PULT" exec "$n" -- /bin/leased >/dev/null 2>&1 &
waiting=$!
children() { [ "$(wc -w </proc/"$keeper"/task/"$keeper"/children)" -ge "$1" ]; }
wait_for 5 children 2
ok "the keeper does not wait for it" timeout 2 "$PULT" exec "$n" -- /bin/true
pult kill "$n"
wait "$waiting"
is "who waits for it is told of its end" $? 137
pult destroy "$n"

# ---- an init that does not want to die with its keeper ----
cat >"$WORK/deaf.c" <<'END'
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>
int main(void)
{
    prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0);
    puts("deaf");
    fflush(stdout);
    for (;;)
        pause();
}
END
gcc -static -o "$WORK/u/root/bin/deaf" "$WORK/deaf.c"
u_info() { u info "$n" -o json | sed -n "s/^ *\"$1\": \"*\([^\",]*\)\"*,*$/\1/p" | head -n 1; }
if [ $users = yes ]; then
    u create container "$n" --rootfs "$WORK/u/root" --set lxc.init.cmd=/bin/deaf
    u start "$n"
    ok "it has cleared its parent's death signal" wait_for 5 sh -c \
        "setpriv --reuid=$uid --regid=$uid --clear-groups env HOME='$WORK/u' PULT_HOME='$WORK/u/home' \
            PULT_RUN='$WORK/u/run' '$WORK/u/pult' log '$n' | grep deaf"
    init=$(u_info pid)
    kill -9 "$(u_info keeper_pid)"

    is "it is shown as crashed" "$(u_info state)" crashed
    ok "and ended by who finds it so" wait_for 2 gone "$init"
    gone "$init" || kill -9 "$init"
    ok "it starts again" u start "$n"
    u kill "$n"
    u destroy "$n"
else
    skip "an init that clears its parent's death signal" "users may make no user namespaces here"
fi

# ---- what runs still runs ----
printf '#!/bin/sh -e\necho "$0 $*"\n' >"$ROOT/bin/good"
printf '#! /bin/good  one two \n' >"$ROOT/bin/better"
printf 'echo plain "$@"\n' >"$ROOT/bin/plain"
chmod 755 "$ROOT"/bin/{good,better,plain}
ln -s ../bin/good "$ROOT/etc/relative"
is "a script" "$(inside /bin/good a b)" "/bin/good a b"
is "by PATH" "$(inside good a)" "/bin/good a"
is "a script of a script" "$(inside /bin/better a)" "/bin/good one two /bin/better a"
is "by a link" "$(inside /etc/relative a)" "/etc/relative a"
is "without #!" "$(inside plain a)" "plain a"
printf '#!/bin/none\n' >"$ROOT/bin/bad"
printf '#!/bin/loop\n' >"$ROOT/bin/loop"
chmod 755 "$ROOT"/bin/{bad,loop}
like "an interpreter that is not there" "$(inside /bin/bad 2>&1)" "No such file"
like "one that is itself" "$(inside /bin/loop 2>&1)" "symbolic links"

finish
