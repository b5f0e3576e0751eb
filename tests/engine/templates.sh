#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# How containers come to be: templates, archives, images; hostile ones, and what a failure leaves.
. "$(dirname "$0")/engine.bash"

[ "$(id -u)" = 0 ] || skip_all "templates of root's containers need root"
G=$PULT_HOME/guests

# ---- busybox, to a login and down again ----

ok "busybox: made" pult create container bb --template busybox
pult start bb
login() { pult log bb | grep -q "bb login:"; }
ok "busybox: a login on the console" wait_for 10 login
echo root | "$PULT" console bb >/dev/null 2>&1 &
console=$!
at_shell() { pult log bb | grep -q "root login.*console" && pult log bb | tail -n 1 | grep -q '#'; }
ok "busybox: root logs in, without a password" wait_for 10 at_shell
kill $console && wait $console 2>/dev/null
is "busybox: its users have names" "$(pult exec bb -- whoami) $(pult exec bb --user nobody -- whoami)" "root nobody"
ok "busybox: shuts down" pult stop bb
is "busybox: is down" "$(state_of bb)" stopped
up() { pult exec "$1" -- /bin/sh -c '[ "$(ps | grep -c "[g]etty")" = 1 ] && hostname'; }
pult clone bb bc && pult start bc && wait_for 10 up bc
is "busybox: a clone has its own name" "$(up bc)" bc
pult kill bc && pult config set bc lxc.uts.name=other && pult start bc && wait_for 10 up bc
is "busybox: lxc.uts.name is its name" "$(up bc)" other
pult kill bc && pult destroy bc

# ---- the host's programs ----

mkdir "$WORK/data" && echo page >"$WORK/data/index"
ok "host: made" pult create container app --template "host,data=$WORK/data" -- \
    /bin/sh -c "cat $WORK/data/index; touch /usr/x || echo usr is kept; touch /var/x && echo var is own"
pult start app
pult wait app -s stopped -t 10
like "host: sees data, cannot write to /usr" "$(pult log app)" "page.*usr is kept.*var is own"
is "host: nothing was written to the host" "$(ls /usr/x 2>&1 | grep -c 'No such')" 1

# ---- archives ----

mkdir -p "$WORK/tree"/{dev,etc,bin} && cd "$WORK/tree" || exit 1
cp "$ROOT/bin/busybox" bin/busybox && ln bin/busybox bin/sh
echo one >etc/one && ln -s /etc etc/host
chown 33:44 etc/one && chmod 4755 bin/sh
setfattr -n user.note -v kept etc/one 2>/dev/null
mknod dev/sda b 8 0 && mknod etc/sda b 8 0
truncate -s 64M etc/holes
for z in "" gz xz zst; do
    case $z in "") o="" ;; gz) o=-z ;; xz) o=-J ;; zst) o=--zstd ;; esac
    # shellcheck disable=SC2086
    tar -c $o --sparse --xattrs -f "$WORK/t.tar${z:+.$z}" . || continue
    ok "tar ${z:-plain}: unpacked" pult create container "a$z" --template "tar:$WORK/t.tar${z:+.$z}"
done
is "tar: owner, mode, hard link" \
    "$(stat -c '%u:%g' "$G/a/rootfs/etc/one") $(stat -c '%a %h' "$G/a/rootfs/bin/sh")" "33:44 4755 2"
is "tar: holes stay holes" "$(stat -c %b "$G/agz/rootfs/etc/holes")" 0
is "tar: no device nodes" "$(find "$G/a/rootfs" -type b)" ""
cd "$WORK" || exit 1

mkdir -p evil && echo gotcha >evil/x
tar -C evil -c --transform 's,^,../../,' -f up.tar x 2>/dev/null
refused "tar: names that lead out" "outside of it" pult create container e1 --rootfs "$WORK/up.tar"
ln -s "$WORK/outside" evil/link && mkdir "$WORK/outside"
tar -C evil -c -f link.tar link
tar -C evil -r --transform 's,^,link/,' -f link.tar x
pult create container e2 --rootfs "$WORK/link.tar" >/dev/null 2>&1
is "tar: links that lead out" "$(ls "$WORK/outside")" ""
head -c 5000 t.tar.gz >cut.tar.gz
refused "tar: one that is cut off" "unpack" pult create container e3 --rootfs "$WORK/cut.tar.gz"
refused "tar: none" "not an archive|not a whole" pult create container e4 --rootfs /etc/passwd
is "failures leave nothing" "$(ls -A "$G" | grep -E 'e[134]|pult')" ""

# ---- images ----

blob() # FILE: into the layout; prints its digest
{
    local d
    d=$(sha256sum <"$1" | cut -c 1-64)
    cp "$1" "img/blobs/sha256/$d"
    echo "$d"
}
size() { stat -c %s "$1"; }
mkdir -p img/blobs/sha256 l1/{bin,d,e} l2/{d,e}
cp "$ROOT/bin/busybox" l1/bin/busybox && ln -s busybox l1/bin/sh && mkdir l1/etc
echo 'app:x:1000:100::/:/bin/sh' >l1/etc/passwd
touch l1/d/{gone,stays} l1/e/{a,b} && touch l2/d/.wh.gone l2/e/.wh..wh..opq l2/e/new
tar -C l1 -c -z -f l1.tar.gz . && tar -C l2 -c -f l2.tar .
cat >config.json <<EOF
{"architecture":"amd64","os":"linux","config":{"Env":["A=b c","PATH=/bin"],"User":"app",
"Entrypoint":["/bin/sh","-c"],"Cmd":["echo \$A; /bin/busybox id -u; /bin/busybox pwd"],"WorkingDir":"/d"},
"rootfs":{"type":"layers","diff_ids":["sha256:$(zcat l1.tar.gz | sha256sum | cut -c 1-64)",
"sha256:$(sha256sum <l2.tar | cut -c 1-64)"]}}
EOF
L1=$(blob l1.tar.gz) L2=$(blob l2.tar) C=$(blob config.json)
t=application/vnd.oci.image
cat >manifest <<EOF
{"schemaVersion":2,"mediaType":"$t.manifest.v1+json","config":{"mediaType":"$t.config.v1+json",
"digest":"sha256:$C","size":$(size config.json)},"layers":[
{"mediaType":"$t.layer.v1.tar+gzip","digest":"sha256:$L1","size":$(size l1.tar.gz)},
{"mediaType":"$t.layer.v1.tar","digest":"sha256:$L2","size":$(size l2.tar)}]}
EOF
M=$(blob manifest)
echo '{"imageLayoutVersion":"1.0.0"}' >img/oci-layout
cat >img/index.json <<EOF
{"schemaVersion":2,"manifests":[{"mediaType":"$t.manifest.v1+json","digest":"sha256:$M",
"size":$(size manifest),"annotations":{"org.opencontainers.image.ref.name":"v1"}}]}
EOF
ok "oci: a layout" pult create container o1 --template "oci:$WORK/img:v1"
is "oci: what a layer takes away" "$(cd "$G/o1/rootfs" && echo d/* e/*)" "d/stays e/new"
pult start o1
pult wait o1 -s stopped -t 10
is "oci: command, environment, user, directory" "$(pult log o1 | tr -d '\r' | paste -sd ' ')" "b c 1000 /d"
refused "oci: a tag that is not there" "no image 'v2'" pult create container o2 --template "oci:$WORK/img:v2"
tar -C img -c -f img.tar .
ok "oci: an archive" pult create container o3 --template "oci:$WORK/img.tar"
is "oci: nothing of the archive stays" "$(ls "$G/o3")" "$(printf 'config\nrootfs')"
echo x >>"img/blobs/sha256/$L2"
refused "oci: a damaged layer" "is damaged" pult create container o4 --template "oci:$WORK/img"
# Of one without end the hash takes hours: who is told to end does not wait for it.
truncate -s 2T "img/blobs/sha256/$L2"
"$PULT" create container o4 --template "oci:$WORK/img" >/dev/null 2>&1 &
maker=$!
ok "oci: a layer without end" wait_for 20 pgrep -x sha256sum -P $maker
kill -TERM $maker
ok "oci: it is given up" wait_for 5 sh -c "! kill -0 $maker"
pkill -x sha256sum -P $maker
truncate -s 2T "img/blobs/sha256/$M"
refused "oci: a description without end" "too large" timeout 10 "$PULT" create container o4 --template "oci:$WORK/img"
rm -f "img/blobs/sha256/$L2" "img/blobs/sha256/$M"
mkdir -p dock/{one,two} && zcat l1.tar.gz >dock/one/layer.tar && cp l2.tar dock/two/layer.tar
cp config.json "dock/$C.json"
echo "[{\"Config\":\"$C.json\",\"RepoTags\":[\"app:v1\"],\"Layers\":[\"one/layer.tar\",\"two/layer.tar\"]}]" \
    >dock/manifest.json
tar -C dock -c -f dock.tar .
ok "docker save" pult create container o5 --template "oci:$WORK/dock.tar:app:v1"
is "docker save: what a layer takes away" "$(cd "$G/o5/rootfs" && echo d/* e/*)" "d/stays e/new"
# What others write: umoci a layout of its own, skopeo archives of both forms out of that.
if command -v umoci >/dev/null; then
    umoci init --layout u && umoci new --image u:v1 && umoci unpack --image u:v1 bundle &&
        cp -a l1/. bundle/rootfs/ && umoci repack --image u:v1 bundle && echo changed >bundle/rootfs/d/gone &&
        rm -r bundle/rootfs/e && umoci repack --image u:v1 bundle &&
        umoci config --image u:v1 --config.cmd /bin/sh --config.cmd -c --config.cmd 'echo $V' --config.env V=by-umoci
    ok "umoci: its layout" pult create container u1 --template "oci:$WORK/u:v1"
    is "umoci: a layer above another" "$(cat "$G/u1/rootfs/d/gone"; ls "$G/u1/rootfs")" "$(printf 'changed\nbin\nd\netc')"
    pult start u1
    pult wait u1 -s stopped -t 10
    is "umoci: its command" "$(pult log u1 | tr -d '\r')" by-umoci
else
    skip "umoci: its layout" "umoci is not installed"
fi
if command -v umoci >/dev/null && command -v skopeo >/dev/null; then
    for form in oci-archive docker-archive; do
        name=u2-$form
        skopeo --insecure-policy copy -q "oci:$WORK/u:v1" "$form:$WORK/$form.tar:app:v1" 2>&1 | sed 's/^/# /'
        ok "skopeo: $form" pult create container "$name" --template "oci:$WORK/$form.tar:app:v1"
        is "skopeo: $form, its files" "$(cat "$G/$name/rootfs/d/gone")" changed
    done
else
    skip "skopeo: its archives" "skopeo is not installed"
fi
ln -sf /etc/passwd dock/two/layer.tar
refused "docker save: a layer that leads out" "image" pult create container o6 --template "oci:$WORK/dock"

# ---- templates of the program lxc ----

cat >lxc-own <<'EOF'
#!/bin/sh
for a; do case $a in --path=*) path=${a#*=} ;; --rootfs=*) root=${a#*=} ;; --fail) exit 3 ;; esac; done
mkdir -p "$root/etc" && echo "$*" >"$root/etc/args" && echo "lxc.environment = FROM=template" >>"$path/config"
EOF
chmod 755 lxc-own
ok "lxc: made" pult create container x1 --template "lxc:$WORK/lxc-own,arg=--more"
like "lxc: what it was called with" "$(cat "$G/x1/rootfs/etc/args")" "--name=x1.*--more"
is "lxc: its keys" "$(pult config get x1 lxc.environment)" "FROM=template"
refused "lxc: one that fails" "template" pult create container x2 --template "lxc:$WORK/lxc-own,arg=--fail"
ok "lxc: by its path" pult create container x4 --template "$WORK/lxc-own"
is "lxc: by its path, its keys" "$(pult config get x4 lxc.environment)" "FROM=template"
if [ -x /usr/share/lxc/templates/lxc-busybox ]; then
    ok "lxc: its own for busybox" pult create container x5 --template /usr/share/lxc/templates/lxc-busybox --net none
    pult start x5
    is "lxc: its own for busybox runs" "$(pult exec x5 -- hostname)" x5
    pult kill x5
else
    skip "lxc: its own for busybox" "lxc is not installed"
fi
refused "no such template" "did you mean 'busybox'" pult create container x3 --template busibox
is "failures leave nothing at all" "$(ls -A "$G" | grep -E 'o[246]|x[23]|pult')" ""
finish
