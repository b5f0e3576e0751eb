# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# What the lab's tests share: guests of Debian's kernels. To be sourced after lib.sh.

[ -n "${PULT_IN_LAB:-}" ] || skip_all "runs in the lab only: tests/run lab"
cache=$TOP/build/cache
export PULT_CACHE=/run/pult-cache # one for all tests of this boot

# vm_files FLAVOUR: sets kernel and initrd.
vm_files()
{
    kernel=$cache/linux-$1/vmlinuz
    initrd=$WORK/$1.cpio.gz
    [ -e "$initrd" ] || cp "$cache/guest-$1.cpio.gz" "$initrd"
}

# make_vm NAME FLAVOUR [WORDS FOR THE KERNEL] [OPTION...]: define a VM.
make_vm()
{
    local name=$1 words=${3:-}
    vm_files "$2"
    shift $(($# < 3 ? $# : 3))
    "$PULT" create vm "$name" --kernel "$kernel" --initrd "$initrd" --memory 256M \
        --append "console=ttyS0 quiet $words" "$@"
}

# How often TEXT is in the console's history of a guest.
printed()
{
    "$PULT" log "$1" 2>/dev/null | grep -cF "$2"
}

has_printed() # NAME TEXT [TIMES]
{
    [ "$(printed "$1" "$2")" -ge "${3:-1}" ]
}

# As in lib.sh, but looking twice a second: here a look costs what the guest would need.
wait_for()
{
    local end=$((${EPOCHREALTIME/./} + $1 * 1000000))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "${EPOCHREALTIME/./}" -lt "$end" ] || return 1
        sleep 0.5
    done
}
