#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# All that a file is besides its bytes, through export and import and through clones: owners, modes,
# times, extended attributes, capabilities, ACLs, holes, several names. Of root's containers, and of
# an ordinary user's, whose files have other ids on disk.
. "$(dirname "$0")/engine.bash"
[ "$(id -u)" = 0 ] || skip_all "owners of files need root"

# make DIR [UID FIRST]: a tree of all kinds of files; facts DIR [UID FIRST]: what each is, in the
# container's ids. Of a user's container 0 is UID, and 1… are FIRST… on disk.
cat >"$WORK/tree" <<'END'
import os, struct, sys, zlib

what, top, *ids = sys.argv[1:]
uid, first = map(int, ids) if ids else (0, 1)
out = lambda n: uid if n == 0 else first + n - 1
back = lambda n: 0 if n == uid else n - first + 1
ACL, DEFAULT, CAP = 'system.posix_acl_access', 'system.posix_acl_default', 'security.capability'


def acl(entries):
    return struct.pack('<I', 2) + b''.join(
        struct.pack('<HHI', tag, perm, 0xffffffff if who is None else out(who)) for tag, perm, who in entries)


def cap(bits):  # version 2, or 3 with whose root it is
    v = 0x03000001 if ids else 0x02000001
    return struct.pack('<IIIII', v, bits, 0, 0, 0) + (struct.pack('<I', uid) if ids else b'')


def make():
    def file(name, text=b'', who=(0, 0), mode=0o644, **attr):
        with open(name, 'wb') as f:
            f.write(text)
        os.chown(name, out(who[0]), out(who[1]))
        os.chmod(name, mode)
        for k, v in attr.items():
            os.setxattr(name, k.replace('__', '.'), v)

    some = [(1, 7, None), (2, 5, 33), (2, 6, 1234), (4, 4, None), (8, 2, 5), (16, 7, None), (32, 0, None)]
    os.makedirs(top + '/k/sub')
    os.chdir(top + '/k')
    file('owned', b'x', (123, 45), 0o6755)
    file('far', b'x', (65000, 65001), 0)
    file('note', b'x', user__note=b'hello', user__empty=b'', user__binary=b'\0\1\n=\xff' * 4)
    file('cap', b'x', (7, 8), 0o755)
    os.setxattr('cap', CAP, cap(1 << 13))
    os.link('cap', 'sub/cap2')
    file('acl', b'x', (33, 33), 0o640)
    os.setxattr('acl', ACL, acl(some))
    os.mkdir('dir')
    os.setxattr('dir', DEFAULT, acl(some))
    os.setxattr('dir', ACL, acl(some))
    os.setxattr('dir', 'user.dir', b'd')
    for n, mode in (('sticky', 0o1777), ('setgid', 0o2750), ('closed', 0)):
        os.mkdir(n)
        os.chown(n, out(3), out(4))
        os.chmod(n, mode)
    file('empty')
    os.truncate('empty', 1 << 20)
    with open('holes', 'wb') as f:
        for at in (0, 1 << 20, 2 << 20):
            f.seek(at)
            f.write(b'data' * 1024)
        f.truncate(3 << 20)
    os.symlink('../nowhere', 'link')
    os.lchown('link', out(9), out(10))
    os.link('link', 'link2', follow_symlinks=False)
    os.mkfifo('fifo', 0o620)
    os.chown('fifo', out(11), out(12))
    for n in (b'new\nline', b'tab\t', 'ü'.encode(), b'raw\xff', b'back\\slash', b'-dash', b'n' * 255):
        with open(n, 'wb') as f:
            f.write(b'x')
    os.makedirs('/'.join(['long' * 20] * 4))
    for d, dirs, files in os.walk(os.fsencode(top + '/k')):
        for n in [d] + [os.path.join(d, f) for f in dirs + files]:
            if ids and os.lstat(n).st_uid == 0:
                os.lchown(n, uid, uid)
    for n in os.listdir('.'):
        os.utime(n, ns=(10**18 + 7, 10**18 + 123456789), follow_symlinks=False)
    if not ids:
        os.setxattr('sub', 'trusted.overlay.opaque', b'y')
        os.setxattr('sub', 'trusted.note', b't')
    os.setxattr(top, 'user.top', b'top')


def value(key, v):
    if key in (ACL, DEFAULT):
        return [(t, p, None if i == 0xffffffff else back(i)) for t, p, i in struct.iter_unpack('<HHI', v[4:])]
    if key == CAP and len(v) == 24 and ids:
        return v[4:20].hex(), back(struct.unpack('<I', v[20:])[0])
    return (v[4:20].hex(), 0) if key == CAP and len(v) == 20 and not ids else v


def facts(top):
    inodes = {}
    os.chdir(os.fsencode(top))
    for d, dirs, files in os.walk(b'.'):
        dirs[:] = sorted(n for n in dirs if d != b'.' or n == b'k')
        for n in ([b'.'] if d == b'.' else sorted(files)) + dirs:
            p = os.path.join(d, n)
            s = os.lstat(p)
            first_name = inodes.setdefault(s.st_ino, p)
            x = {k: value(k, os.getxattr(p, k, follow_symlinks=False))
                 for k in sorted(os.listxattr(p, follow_symlinks=False)) if not k.startswith('trusted.')}
            same = '' if os.path.isdir(p) else f'{s.st_nlink} {first_name} {s.st_size} {s.st_blocks > 64}'
            time = s.st_mtime_ns if d == b'./k' else ''
            text = open(p, 'rb').read() if os.path.isfile(p) and not os.path.islink(p) else b''
            print(p, back(s.st_uid), back(s.st_gid), oct(s.st_mode), same, time, x, zlib.crc32(text))


if what == 'make':
    make()
else:
    facts(top)
END
python=$(python3 -c 'import sys; print(sys.executable)')
tree() { "$python" -IS "$WORK/tree" "$@"; }

# same NAME DIR [UID FIRST]: the files there are what $facts says.
same()
{
    ok "$1" diff <(echo "$facts") <(tree facts "${@:2}")
}

# through WHOSE [UID FIRST]: one, made by "$P", goes all ways.
through()
{
    local who=$1 z
    shift
    ok "$who: a tree of files" tree make "$G/one/rootfs" "$@"
    facts=$(tree facts "$G/one/rootfs" "$@") # stays for who calls
    like "$who: capabilities, ACLs and attributes are in it" "$facts" "security.cap.*33.*1234.*user.note|posix_acl"
    ok "$who: export" $P export one "$OUT/one.tar"
    ok "$who: import" $P import "$OUT/one.tar" in
    same "$who: import: the same" "$G/in/rootfs" "$@"
    ok "$who: exported again" $P export in "$OUT/again.tar"
    ok "$who: imported again" $P import "$OUT/again.tar"
    same "$who: the same once more" "$G/again/rootfs" "$@"
    ok "$who: clone" $P clone one two
    same "$who: clone: the same" "$G/two/rootfs" "$@"
    ok "$who: snapshot" $P snapshot create one s
    same "$who: snapshot: the same" "$G/one/snapshots/s/rootfs" "$@"
    ok "$who: clone by overlay" $P clone -s one over
    ok "$who: a whole clone of that" $P clone over whole
    same "$who: a whole clone of that: the same" "$G/whole/rootfs" "$@"
    ok "$who: destroyed" $P destroy --force over whole two again in
}

P=pult G=$PULT_HOME/guests OUT=$WORK
pult create container one --template busybox --net none || skip_all "no container can be made"
through root
is "root: no attributes that only the host sees" \
    "$(tar -tf "$WORK/one.tar" --xattrs --xattrs-include='trusted.*' -vv | grep -c 'x: .*trusted')" 0

# ---- an ordinary user, with ids of his own and without ----

uid=54321 who=u$test_id
chmod 711 "$WORK" "${TMPDIR:-/tmp}"
cp "$PULT" "$WORK/pult"
u() { setpriv --reuid=$uid --regid=$uid --clear-groups env HOME="$WORK/u" PULT_HOME="$WORK/u/home" \
    PULT_RUN="$WORK/u/run" timeout 60 "$WORK/pult" "$@"; }
with_line() # FILE LINE: in this test's namespace of mounts, FILE has it, too
{
    { [ ! -e "$1" ] || cat "$1"; echo "$2"; } >"$WORK/line.${1##*/}"
    [ -e "$1" ] && chmod 644 "$WORK/line.${1##*/}" && mount --bind "$WORK/line.${1##*/}" "$1" && at_exit "umount -l '$1'"
}
P=u G=$WORK/u/home/guests OUT=$WORK/u
mkdir "$WORK/u" && chown $uid:$uid "$WORK/u"
if ! setpriv --reuid=$uid --regid=$uid --clear-groups unshare -U true 2>/dev/null; then
    skip "an ordinary user's" "users may make no user namespaces here"
elif u create container one --template busybox --net none; [ ! -d "$G/one/rootfs" ]; then
    point "not ok" "an ordinary user's container"
else
    echo plain >"$G/one/rootfs/etc/plain"
    chown $uid:$uid "$G/one/rootfs/etc/plain"
    ok "a user without ids: export" u export one "$WORK/u/plain.tar"
    ok "a user without ids: import" u import "$WORK/u/plain.tar" plain
    ok "a user without ids: the same, his own" \
        diff <(cd "$G/one/rootfs" && find . -printf '%p %U %m\n' | sort) \
        <(cd "$G/plain/rootfs" && find . -printf '%p %U %m\n' | sort)
    u destroy --force plain
    if command -v newuidmap >/dev/null && with_line /etc/passwd "$who:x:$uid:$uid::$WORK/u:/bin/sh" &&
        with_line /etc/group "$who:x:$uid:" && with_line /etc/subuid "$who:700000:65536" &&
        with_line /etc/subgid "$who:700000:65536"; then
        through "a user" $uid 700000
        ok "root: import of the user's" pult import "$WORK/u/one.tar" his
        same "root: import of the user's: the same" "$PULT_HOME/guests/his/rootfs"
        cp "$WORK/one.tar" "$WORK/u/root.tar" && chmod 644 "$WORK/u/root.tar"
        ok "a user: import of root's" u import "$WORK/u/root.tar" roots
        same "a user: import of root's: the same" "$G/roots/rootfs" $uid 700000
        u destroy --force roots
    else
        skip "a user with ids of his own" "no newuidmap, or no /etc/subuid that could be covered"
    fi
    ok "a user: destroyed" u destroy --force one
    is "a user: nothing is left" "$(left_in "$G" "$WORK/u/run")" ""
fi
finish
