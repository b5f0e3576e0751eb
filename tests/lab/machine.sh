#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 600 s
#
# The machine as a stock kernel finds it: its CPUs and their topology, memory beyond the hole, the
# second serial port, pages of the kernel that VMs share, and every way that Linux knows to reset.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/lab.bash"

vm_files cloud-amd64

out=$("$PULT" doctor --vm 2>&1)
echo "# $(grep 'vm test' <<<"$out")"
like "the doctor's own VM runs, and is measured" "$out" \
    'ok +vm +vm test +first guest instruction after [0-9.]+ ms; [0-9.]+ .*exits and [0-9.]+ .*guest instructions a second'
like "by hardware" "$out" 'ok +vm +virtualization +by hardware'
like "in a sandbox that lacks nothing" "$out" 'ok +vm +sandbox +VMs are confined by namespaces, Landlock and seccomp'

# vm NAME OPTION...: define and start one.
vm()
{
    local name=$1
    shift
    "$PULT" create vm "$name" --kernel "$kernel" --initrd "$initrd" \
        --append 'console=ttyS0 quiet' "$@" && "$PULT" start "$name"
}
# dial NAME: talk to its shell by say and answer.
dial()
{
    rm -f "$WORK/in"
    mkfifo "$WORK/in"
    "$PULT" console "$1" <"$WORK/in" >"$WORK/out" 2>&1 &
    exec 7>"$WORK/in"
}
say() { echo "$1" >&7; }
answer() { wait_for 40 grep -qE "^$1" "$WORK/out"; }
keeper_of() { "$PULT" info "$1" -o json | sed -n 's/.*"keeper_pid": *\([0-9]*\).*/\1/p'; }
# Sum up the fields of the mappings of kernel images that match, in kB.
smaps() { awk -v f="^$2:" '/^[0-9a-f]+-/ { on = /\/kernel-/ } on && $1 ~ f { n += $2 } END { print n + 0 }' "/proc/$(keeper_of "$1")/smaps"; }

# ---- CPUs, memory ----

# The lab has less than 4 GiB: some to swap to makes up for it.
modprobe zram && echo 4G >/sys/block/zram0/disksize && mkswap -q /dev/zram0 && swapon /dev/zram0
at_exit 'swapoff /dev/zram0; modprobe -r zram'

a=$test_id-a
ok "start one with 2 sockets of 2 cores of 2 threads, and 4 GiB" \
    vm "$a" --cpus 8 --memory 4G --set vm.cpu.topology=2x2x2 --set vm.cpu.affinity='0-3:0 4-7:0' \
    --set vm.serial2=1
ok "it comes up" wait_for 120 has_printed "$a" "guest#"
dial "$a"
say 'echo cpus $(grep -c ^processor /proc/cpuinfo) sockets $(sort -u /sys/devices/system/cpu/cpu*/topology/physical_package_id | wc -l)'
ok "it sees 8 CPUs in 2 sockets" answer 'cpus 8 sockets 2'
say 'echo cores $(sed -n "s/^cpu cores.*: //p" /proc/cpuinfo | sort -u) siblings $(sed -n "s/^siblings.*: //p" /proc/cpuinfo | sort -u)'
ok "of 2 cores with 4 threads" answer 'cores 2 siblings 4'
say 'echo threads $(cat /sys/devices/system/cpu/cpu*/topology/thread_siblings_list | sort -u)'
ok "whose siblings are neighbours" answer 'threads 0-1 2-3 4-5 6-7'
say 'echo x2apic $(grep -c x2apic /proc/cpuinfo)'
ok "all have x2APIC" answer 'x2apic 8'
say 'echo memory $(($(sed -n "s/^MemTotal: *\([0-9]*\) kB/\1/p" /proc/meminfo) / 1024 / 256))'
ok "it has its memory on both sides of the hole" answer 'memory 15'
say 'echo high $(grep -c "1[0-9a-f]*-1[0-9a-f]* : System RAM" /proc/iomem)'
ok "some of it above 4 GiB" answer 'high 1'
say 'dd if=/dev/zero of=/tmp/fill bs=1M count=64 2>/dev/null; echo filled'
ok "it can be used" answer 'filled'

# ---- the second serial port ----

say 'stty -F /dev/ttyS1 raw -echo; (read -r line; echo "from the guest: $line") </dev/ttyS1 >/dev/ttyS1; echo done with it'
socket=$PULT_RUN/$a/com2
wire() { (echo "over the wire"; sleep 30) | timeout 30 socat - UNIX-CONNECT:"$socket" | head -n 1; }
like "the second serial port carries both ways" "$(wire)" 'from the guest: over the wire'
ok "the shell goes on" answer 'done with it'
like "ACPI told of it" "$("$PULT" log "$a" | grep -c 'ACPI.*Error')" '^0$'
exec 7>&-
ok "kill it" "$PULT" kill "$a"

# ---- sharing ----

b=$test_id-b c=$test_id-c
ok "start two of one kernel" eval 'vm "$b" --memory 256M && vm "$c" --memory 256M'
ok "the first comes up" wait_for 240 has_printed "$b" "guest#"
ok "and the second" wait_for 240 has_printed "$c" "guest#"
echo "# the kernel's pages in each: $(smaps "$b" Rss) kB, shared $(smaps "$b" "Shared_.*") kB, own $(smaps "$b" Private_Dirty) kB"
# A cache on a tmpfs is never clean.
ok "they share pages of it" [ "$(smaps "$b" "Shared_.*")" -gt 2000 ]
ok "which count half for each" [ "$(smaps "$b" Pss)" -lt "$(smaps "$b" Rss)" ]
"$PULT" kill "$b" "$c"
ok "one that unpacks itself" "$PULT" config set "$b" vm.unpack=0
ok "starts" "$PULT" start "$b"
ok "and comes up" wait_for 240 has_printed "$b" "guest#"
is "it shares none" "$(smaps "$b" Rss)" 0
"$PULT" kill "$b"

# ---- resets ----

# Each life asks for another way; after the last one the machine is turned off.
d=$test_id-d
ok "start one that is to reset" vm "$d" --memory 256M
ok "it comes up" wait_for 240 has_printed "$d" "guest#"
dial "$d"
life=1
for way in acpi kbd pci triple bios efi; do
    say "echo $way >/sys/kernel/reboot/type; echo 1 >/sys/kernel/reboot/force; reboot -f"
    life=$((life + 1))
    ok "it is reset by reboot=$way" wait_for 240 has_printed "$d" "guest up" $life
    wait_for 30 has_printed "$d" "guest#" $life
done
say 'poweroff -f'
ok "poweroff" "$PULT" wait -s stopped -t 30 "$d"
exec 7>&-
finish
