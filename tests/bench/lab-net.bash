# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# The part `net` of tests/bench/lab: what a packet costs in a network of pult's, beside a bridge and rules made
# by hand. Two VMs have a card in each, so all of it is one boot; while one is measured the other's rules
# are asleep (nft: flags dormant). Each row is three jobs of tests/bench/load: a stream out, one in,
# and one byte there and back. What pult has of it is the median of the rounds' pairs, since a single
# one swings by half where a processor emulates another.

by_hand()
{
    local dnsmasq
    ip link add br7 type bridge && ip address add 10.97.0.1/24 dev br7 && ip link set br7 up
    nft -f - <<'END'
table ip hand {
    chain post {
        type nat hook postrouting priority srcnat; policy accept;
        ip saddr 10.97.0.0/24 oifname "eth0" masquerade
    }
    chain forward {
        type filter hook forward priority filter; policy accept;
        ct state established,related accept
        iifname "br7" accept
        oifname "br7" drop
    }
}
END
    dnsmasq -k -C /dev/null --pid-file= --port=0 --user=root --interface=br7 --bind-interfaces \
        --dhcp-range=10.97.0.50,10.97.0.90,255.255.255.0 --dhcp-leasefile="$WORK/leases" 2>/dev/null &
    dnsmasq=$!
    at_exit "kill $dnsmasq; ip link del br7; nft delete table ip hand"
}

# rules_of pult|hand: only these are in force.
rules_of()
{
    local table asleep='{ flags dormant; }'
    for table in "inet pult" "bridge pult" "ip hand"; do
        case $table:$1 in
        *pult:pult | *hand:hand) nft "add table $table { }" ;;
        *)                       nft "add table $table $asleep" ;;
        esac
    done
}

# of_pairs FIELD FILE: its median, and between which two its middle half lies.
of_pairs()
{
    cut -d ' ' -f "$1" "$2" | sort -n | awk '{ v[NR] = $1 }
        END { if (NR) printf "%.2f, half within %.2f and %.2f", v[int((NR + 1) / 2)], v[int((NR + 3) / 4)], v[int((3 * NR + 3) / 4)] }'
}

bench_net()
{
    local r who from to job jobs="send receive ask" t0 begun got words=() n seconds=${SECONDS_EACH:-3}
    local -a turn=("pult hand" "hand pult") # who is first, in even rounds and in odd ones
    local -A to_of
    export PULT_IN_LAB=1
    . tests/lab/lab.bash
    modprobe -a bridge veth vhost_net
    . tests/net/world.bash
    . tests/lab/vms.bash
    serve_lan
    at_exit 'ip link del eth0'
    cp "$B/tests/bench/load" "$WORK/load"
    "$PULT" network create nat0 --kind nat --subnet 10.9.0.0/24 >/dev/null
    by_hand
    for n in a b; do
        mkdir -p "$WORK/vm-$n" && cp "$WORK/load" "$WORK/vm-$n/"
        make_cards $n "pult hand" --net "nat0,vhost=${VHOST:-auto}" --net "bridge=br7,vhost=${VHOST:-auto}" >/dev/null
        "$PULT" start $n
    done
    for n in a b; do
        wait_for 240 has_printed $n "all done" || { echo "no guest"; "$PULT" log $n; return 1; }
        in_vm $n - cp /mnt/load /bin/load
    done
    "$WORK/load" serve 7000 &
    at_exit "kill $!"
    nsenter -t "$outside" -n "$WORK/load" serve 7000 &
    at_exit "kill $!"
    for who in pult hand; do
        in_vm b $who sh -c 'load serve 7000 >/dev/null 2>&1 &'
        to_of[vm/$who]=$(in_vm b $who ip -4 -o address show dev eth0 | sed -n 's/.*inet \([^/]*\).*/\1/p')
        to_of[outside/$who]=192.0.2.1
    done
    to_of[host/pult]=10.9.0.1 to_of[host/hand]=10.97.0.1
    echo "networks of VMs, in a second of work (bytes; asks), $ROUNDS times in turn, vhost=${VHOST:-auto}:"
    for who in pult hand; do # the first of all is slow: what it uses was never used before
        for job in $jobs; do in_vm a $who load net $job "${to_of[vm/$who]}" 7000 1 >/dev/null; done
    done
    for ((r = 0; r < ROUNDS; r++)); do
        for to in vm host outside; do
            for job in $jobs; do
                for who in ${turn[r % 2]}; do
                    rules_of $who
                    work && begun=$work
                    t0=${EPOCHREALTIME/./}
                    got=$(in_vm a $who load net $job "${to_of[$to/$who]}" 7000 "$seconds")
                    work
                    echo "${got:-0} $((work - begun)) $((${EPOCHREALTIME/./} - t0))" >>"$WORK/net.$to.$job.$who"
                done
            done
        done
    done
    for to in vm host outside; do
        for job in $jobs; do
            n=$WORK/net.$to.$job
            paste -d ' ' "$n.pult" "$n.hand" | awk '{ if ($2 && $5 && $4) print $1 / $2 / ($4 / $5), $1 / $4 }' >"$n.pairs"
            printf '  VM to %-8s %-8s pult %12s   by hand %12s   pult has %s of it (in the guest'"'"'s own seconds %s)\n' $to $job \
                "$(per_work "$n.pult")" "$(per_work "$n.hand")" "$(of_pairs 1 "$n.pairs")" "$(of_pairs 2 "$n.pairs")"
        done
    done
    rules_of pult
    "$PULT" destroy -f a b
    "$PULT" network destroy nat0
}
