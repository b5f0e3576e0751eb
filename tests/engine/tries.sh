#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 300 s
# What a hostile program tries from within (tries.c), and what comes of it: in one command's
# container and in a system's; root's with ids of their own, root's with the host's ids, a user's.
. "$(dirname "$0")/engine.bash"
[ "$(id -u)" = 0 ] || skip_all "needs root"
cp "$B/tests/engine/tries" "$ROOT/bin/tries" || skip_all "tries was not built"
printf '::sysinit:/bin/echo booted\n::respawn:/bin/sleep 1000\n' >"$ROOT/etc/inittab"

# name, one command, a system. What the kernel may not have is ENOENT or ENODEV, ENODATA a cover; EACCES
# is what AppArmor says where it comes first.
# A system has all capabilities in its own user namespace: it mounts what is harmless, and has
# namespaces of its own; the files that it then reaches are the host's root's.
table='
mount_tmpfs            EPERM                        ok
mount_proc             EPERM                        ok
mount_debugfs          EPERM                        EPERM|ENODEV|EACCES
mount_tracefs          EPERM                        EPERM|ENODEV|EACCES
mount_securityfs       EPERM                        EPERM|ENODEV|EACCES
mount_ext4             EPERM                        EPERM|ENODEV|ENOTBLK
mount_bind             EPERM                        ok
remount_sys            EPERM                        ok
umount_force           EPERM                        EPERM
umount_cover           EPERM                        EINVAL
new_mount              EPERM                        ok
clone_tree             EPERM                        ok
pivot                  EPERM                        EINVAL
release_agent          EPERM                        ENOENT|EACCES|EPERM|ENODEV|EBUSY|EINVAL
unshare_release_agent  EPERM                        ENOENT|EACCES|EPERM|ENODEV|EBUSY|EINVAL
cgroup_limit           ENOENT|EROFS|EACCES          ENOENT|EACCES|EROFS
cgroup_up              ENOENT|EROFS|EACCES          ENOENT|EACCES|EROFS
mknod_disk             EPERM                        EPERM
mknod_mem              EPERM                        EPERM
mknod_kmsg             EPERM                        EPERM
mknod_null             EPERM                        EPERM
open_mem               ENOENT                       ENOENT
open_kvm               ENOENT                       ENOENT
open_loop              ENOENT                       ENOENT
chmod_null             EROFS                        EROFS
by_handle              EPERM                        EPERM
module_init            EPERM                        EPERM
module_file            EPERM                        EPERM
module_delete          EPERM                        EPERM
kexec                  EPERM                        EPERM
kexec_file             EPERM                        EPERM
swap_on                EPERM                        EPERM
swap_off               EPERM                        EPERM
quota                  EPERM                        EPERM
accounting             EPERM                        EPERM
reboot_cad             EINVAL                       EINVAL
set_time               EPERM                        EPERM
set_clock              EPERM                        EPERM
adjust_time            EPERM                        EPERM
kernel_log             EPERM                        EPERM
io_level               EPERM                        EPERM
io_port                EPERM                        EPERM
bpf_map                EPERM                        EPERM
perf                   EPERM                        EPERM
user_fault             EPERM                        EPERM
uring                  EPERM                        EPERM
key_session            EPERM                        EPERM
key_add                EPERM                        EPERM
key_request            EPERM                        EPERM
trace_init             EPERM                        ok
trace_outside          ESRCH                        ESRCH
signal_outside         ESRCH                        ESRCH
read_init              EPERM                        ok
init_memory            EACCES                       ok
init_root              EACCES                       ok
init_files             EACCES                       ENOENT
init_exe               EACCES                       ok
join_net               EACCES                       ok
join_mnt               EACCES                       ok
compare                EPERM                        EPERM
unshare_user           EPERM                        ok
unshare_mount          EPERM                        ok
unshare_net            EPERM                        ok
clone_user             EPERM                        ok
clone3_user            ENOSYS                       ok
raise_userns           EACCES|EROFS                 ok
type_into              EPERM                        EPERM
type_into_high         EPERM                        EPERM
paste_into             EPERM                        EPERM
raw_socket             ok                           ok
packet_socket          ok                           ok
vsock                  EAFNOSUPPORT                 EAFNOSUPPORT
tipc                   EAFNOSUPPORT                 EAFNOSUPPORT
rds                    EAFNOSUPPORT                 EAFNOSUPPORT
bluetooth              EAFNOSUPPORT                 EAFNOSUPPORT
core_pattern           EACCES|EROFS                 EACCES
modprobe_path          ENOENT|EACCES|EROFS          ENOENT|EACCES
binfmt                 ENOENT|EACCES|EROFS          ENOENT|EACCES
drop_caches            EACCES|EROFS                 EACCES
sysrq                  ENOENT|EACCES|EROFS          ENOENT|EACCES
irq_affinity           EACCES|EROFS|ENOENT          EACCES|ENOENT
uevent_helper          ENOENT|EACCES|EROFS          ENOENT|EACCES|EROFS
kcore                  ENOENT|ENODATA|EACCES        ENOENT|EACCES|EPERM
timer_list             ENODATA|ENOENT               EACCES|ENOENT
kmsg                   ENODATA|ENOENT               EACCES|EPERM
firmware               ENODATA                      ok
own_network            ok                           ok
host_name              EPERM                        ok
files_limit            EPERM                        EPERM
priority               EACCES                       EACCES
real_time              EPERM                        EPERM
oom_exempt             EACCES                       EACCES
watch_all              EPERM|ENOSYS                 EPERM|ENOSYS
become_nobody_known    EINVAL                       EINVAL
chown_out              EINVAL                       EINVAL
trusted_xattr          EPERM                        EPERM
change_root            ok                           ok
unknown_call           ENOSYS                       ENOSYS
x32_mount              ENOSYS                       ENOSYS
i386_key               EPERM|killed:11              EPERM|killed:11
leaked_files           EBADF                        EBADF
leaked_directory       ENOENT                       ENOENT
inheritable            ENODATA                      ENODATA
'

# With the host's ids, CAP_SYS_ADMIN and some more are gone from a system, and it is covered as one
# command is. It may make a user namespace, and sees no more in there.
identity='
mount_tmpfs EPERM
mount_proc EPERM
mount_bind EPERM
remount_sys EPERM
umount_cover EPERM
new_mount EPERM
clone_tree EPERM
pivot EPERM
release_agent EPERM
join_net EPERM
join_mnt EPERM
unshare_mount EPERM
unshare_net EPERM
raise_userns EACCES|EROFS
core_pattern EACCES|EROFS
modprobe_path ENOENT|EACCES|EROFS
binfmt ENOENT|EACCES|EROFS
sysrq ENOENT|EACCES|EROFS
kcore ENOENT|ENODATA|EACCES
drop_caches EACCES|EROFS
irq_affinity EACCES|EROFS|ENOENT
timer_list ENODATA|ENOENT
kmsg ENODATA|ENOENT
firmware ENODATA
host_name EPERM
'

# judge COLUMN OUTPUT: the lines of a run that are not as the table wants them; column 3 is a
# system's with the host's ids.
judge()
{
    awk -v column="$1" '
        FNR == 1 { file++ }
        file == 1 { want[$1] = column == 1 ? $2 : $3; next }
        file == 2 { if (column == 3) want[$1] = $2; next }
        { got[$1] = $2 }
        END { for (t in want) if (got[t] !~ "^(" want[t] ")$") print t ": " got[t] ", wanted " want[t] }' \
        <(grep . <<<"$table") <(grep . <<<"$identity") <(grep . <<<"$2")
}

n=t-$test_id
points=$(grep -c . <<<"$table")

# attempts WHO ROOT COLUMN PULT...: one command, exec beside one, exec in a system.
attempts()
{
    local who=$1 root=$2 system=$3 out
    shift 3
    out=$("$@" run --rootfs "$root" -- /bin/tries $$ </dev/null)
    is "$who command: $points tries" "$(judge 1 "$out")" ""
    "$@" create container "$n" --rootfs "$root" -- /bin/sleep 1000
    "$@" start "$n"
    out=$("$@" exec "$n" -- /bin/tries $$ </dev/null)
    is "what exec starts beside it: the same" "$(judge 1 "$out")" ""
    "$@" kill "$n"
    "$@" destroy "$n"
    "$@" create container "$n" --rootfs "$root"
    "$@" start "$n"
    out=$("$@" exec "$n" -- /bin/tries $$ </dev/null)
    is "$who system" "$(judge "$system" "$out")" ""
    "$@" kill "$n"
    "$@" destroy "$n"
}

if can_idmap; then
    attempts "root's" "$ROOT" 2 pult
else
    skip "root's with ids of their own" "no file system here can be mounted with other ids"
fi

mkdir -p "$WORK"/{up,work,id}
if mount -t overlay overlay -o "lowerdir=$ROOT,upperdir=$WORK/up,workdir=$WORK/work" "$WORK/id"; then
    at_exit "umount -l '$WORK/id'"
    attempts "root's with the host's ids:" "$WORK/id" 3 pult
else
    skip "root's with the host's ids" "no overlayfs"
fi

uid=54321
chmod 711 "$WORK" "${TMPDIR:-/tmp}"
mkdir -p "$WORK/u" && cp "$PULT" "$WORK/pult" && cp -a "$ROOT" "$WORK/u/root"
mkdir "$WORK/u/home" && cp "$PULT_HOME/pult.conf" "$WORK/u/home"
chown -R $uid:$uid "$WORK/u"
as() { setpriv --reuid=$uid --regid=$uid --clear-groups env "$@"; }
u() { as HOME="$WORK/u" PULT_HOME="$WORK/u/home" PULT_RUN="$WORK/u/run" PULT_CACHE="$WORK/u/cache" timeout 60 "$WORK/pult" "$@"; }
if as unshare -U true 2>/dev/null; then
    attempts "a user's" "$WORK/u/root" 2 u
else
    skip "a user's" "users may make no user namespaces here"
fi
finish
