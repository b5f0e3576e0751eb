#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 3000 s
#
# By hand, in tmux: a VM with a Debian on a disk out of the form for new guests, its figures, a second VM
# beside it, a snapshot; files are deleted in the guest, the snapshot is restored, and they are back.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/lab.bash"

debian=$cache/debian
[ -e "$debian/disk.qcow2" ] || skip_all "no image here: tests/lab/debian makes it"
export TERM=xterm-256color
mux=(tmux -S "$WORK/tmux")
at_exit '"${mux[@]}" kill-server 2>/dev/null'
keys() { "${mux[@]}" send-keys "$@"; }
words() { "${mux[@]}" send-keys -l "$1"; }
shows() { "${mux[@]}" capture-pane -p | grep -qE "$1"; }
picture() { "${mux[@]}" capture-pane -p | sed 's/^/# |/'; }
see() { ok "$1" wait_for "${3:-300}" shows "$2" || picture; } # NAME RE [SECONDS]
# fill VALUE...: the fields of the form for a VM, from the first.
fill()
{
    local value
    keys n
    see "the form" "New guest" 60
    keys Space Tab
    see "for a VM" "Kernel options" 60
    for value in "$@"; do
        [ -z "$value" ] || words "$value"
        keys Tab
    done
    see "is filled" "Name .* $1" 60
    keys Enter
    see "the guest is made, and selected" "▸ *$1 +vm +stopped" 60
}
keeper_of() { "$PULT" info "$1" -o json | sed -n 's/.*"keeper_pid": *\([0-9]*\).*/\1/p'; }
line() { words "$1"; keys Enter; } # LINE

vm_files cloud-amd64
v=deb second=small
disk=$WORK/system.qcow2
ok "a disk" "$PULT" disk create --backing "$debian/disk.qcow2,format=qcow2" "$disk"
"${mux[@]}" -f /dev/null new-session -d -x 130 -y 34 "$PULT"
see "an empty store" "Enter +try a throwaway"
fill $v "$debian/vmlinuz" "$debian/initrd.img" "console=ttyS0 quiet root=LABEL=debian net.ifnames=0" \
    "$disk,format=qcow2,backing=$debian/disk.qcow2:qcow2" 512M 2
keys s
see "s starts it" "$v +vm +running"
fill $second "$cache/linux-cloud-amd64/vmlinux" "$initrd" "" "" 128M
keys s
see "a second one at once" "$second +vm +running"
ok "which comes up" wait_for 300 has_printed $second "guest#"
keys Home
see "the first boots to a login in the pane" "debian login:" 1500
see "its figures: CPU" "cpu .*[0-9]+% of 2 vcpus"
see "memory" "mem .*M of 512M"
see "disk and network" "net .*disk r [0-9.]+[kM]? w [0-9.]+[kM]?"
picture
keys Enter
see "enter it" "Ctrl-\\] leaves"
line root
see "log in" "root@debian:~#"
line 'stty -echo; dmesg -n 1; mkdir -p /root/work && for i in $(seq 200); do echo "file $i" >/root/work/$i; done; sync; echo kept-$(cat /root/work/* | md5sum | cut -c1-8)-$(ls /root/work | wc -l)'
see "it makes files" "kept-[0-9a-f]{8}-200"
sum=$("${mux[@]}" capture-pane -p | grep -oE 'kept-[0-9a-f]{8}-200' | tail -n 1)
writes() { shows 'disk r [0-9.]+[kM]? w [1-9][0-9.]*[kM]?'; }
words 'for i in 1 2 3 4 5 6; do dd if=/dev/zero of=/root/z bs=1M count=8 conv=fsync 2>/dev/null; done; rm /root/z; echo zeroes done'
keys Enter
ok "its writes are seen in the figures" wait_for 120 writes || picture
picture
see "they end" "zeroes done"
keys C-] d
see "back in the list" "F1 Help"
keys p
ok "p takes a snapshot" wait_for 300 eval '"$PULT" snapshot list --names '$v' 2>/dev/null | grep -q . || [ "$("$PULT" snapshot list '$v' 2>/dev/null | wc -l)" -ge 2 ]'
picture
"$PULT" snapshot list $v | sed 's/^/# /'
snap=$("$PULT" snapshot list $v | awk 'NR == 2 { print $1 }')
keys Enter
see "enter it again" "Ctrl-\\] leaves"
line 'rm -rf /root/work; sync; echo 3 >/proc/sys/vm/drop_caches; echo gone-$(ls /root/work 2>&1 | grep -c "No such file")'
see "the files are deleted" "gone-1"
keys C-] d
keys :
line "snapshot restore --force $v $snap"
see "to lose what came since, it asks" "Type $v to do it"
keeper=$(keeper_of $v)
words "$v"
keys Enter
again() { [ "$(state_of $v)" = running ] && [ "$(keeper_of $v)" != "$keeper" ]; }
ok "it is restored, and runs" wait_for 120 again || picture
keys Home
keys Enter
see "enter it once more" "Ctrl-\\] leaves"
line 'clear; echo 3 >/proc/sys/vm/drop_caches; echo back: kept-$(cat /root/work/* | md5sum | cut -c1-8)-$(ls /root/work | wc -l)'
see "the files are back" "back: $sum"
picture
keys C-] d
is "the second VM runs on" "$(state_of $second)" running
keys q
ok "both end" "$PULT" kill $v $second
ok "qemu-img check" qemu-img check -q -f qcow2 "$disk"
ok "destroy" "$PULT" destroy -f $v $second
finish
