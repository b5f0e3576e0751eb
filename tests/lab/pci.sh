#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# timeout: 300 s
#
# Debian's generic and cloud kernels find PCI by ACPI, its configuration space by MCFG, and a virtio
# device behind it with their own modules: MSI-X, another driver's turn, a machine with INTx only.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/lab.bash"

# in_guest WORDS <commands: what a shell in the guest prints, with these words for its kernel.
in_guest()
{
    { cat; echo 'poweroff -f'; } | timeout 100 "$PULT" run --vm --kernel "$kernel" --initrd "$initrd" \
        --memory 256M --cpus 2 --append "console=ttyS0 quiet $1" | tr -d '\r'
}

look='
set +x; stty -echo; PS1=
cd /sys/bus/pci/devices && for d in *; do echo "found $d $(cat $d/vendor $d/device $d/class | tr "\n" " ")"; done; cd /
rng=/sys/bus/pci/devices/0000:00:01.0
echo driver $(basename $(readlink $rng/driver))
head -c 100000 /dev/hwrng | wc -c | sed s/^/random\ /
grep virtio /proc/interrupts | sed s/^/irq\ /
grep -E "PCI (Bus|MMCONFIG|ECAM)|virtio" /proc/iomem | sed s/^/mem\ /
echo 0000:00:01.0 >/sys/bus/pci/drivers/virtio-pci/unbind
[ -e $rng/driver ] || echo un""bound
echo 0000:00:01.0 >/sys/bus/pci/drivers/virtio-pci/bind
head -c 4000 /dev/hwrng | wc -c | sed s/^/again\ /
dmesg | grep -E "ACPI.*([Ee]rror|[Ww]arning)|BAR .*(failed|no space)|BUG:|not supported" | sed s/^/complaint\ /
echo line $(cat $rng/irq)
'

for flavour in amd64 cloud-amd64; do
    vm_files $flavour
    out=$(in_guest "" <<<"$look")
    like "$flavour: the host bridge is found" "$out" 'found 0000:00:00\.0 0x1b36 0x0008 0x060000'
    like "$flavour: and the entropy device" "$out" 'found 0000:00:01\.0 0x1af4 0x1044'
    like "$flavour: the console" "$out" 'found 0000:00:02\.0 0x1af4 0x1043'
    like "$flavour: and the balloon" "$out" 'found 0000:00:03\.0 0x1af4 0x1045'
    is "$flavour: and nothing else" "$(grep -c '^found' <<<"$out")" 4
    like "$flavour: its driver takes it" "$out" 'driver virtio-pci'
    like "$flavour: and gives random bytes" "$out" 'random 100000'
    like "$flavour: interrupts are messages" "$out" 'irq .*PCI-MSI.*virtio0-input'
    like "$flavour: configuration space is where MCFG says" "$out" 'mem f0000000-f00fffff'
    like "$flavour: the window below 4 GiB" "$out" 'mem d0000000-efffffff : PCI Bus 0000:00'
    like "$flavour: and the one above the memory" "$out" 'mem 100000000-[0-9a-f]* : PCI Bus 0000:00'
    like "$flavour: the driver lets it go" "$out" 'unbound'
    like "$flavour: and takes it again" "$out" 'again 4000'
    is "$flavour: no complaints" "$(grep '^complaint' <<<"$out")" ""
done

out=$(in_guest pci=nomsi <<<"$look")
like "without messages: the interrupt line is slot 1's" "$out" 'irq .*IO-APIC +17-fasteoi.*virtio0'
like "and works" "$out" 'random 100000'
like "after another driver's turn too" "$out" 'again 4000'
finish
