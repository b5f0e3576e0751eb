/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A host with nearly all that a NIC can have: eth9 has most of it, eth8 some, eth7 nothing; far9, far8
 * and far7 are what they are wired to. The places of pult are kept by a process for good, so all tests of a group have
 * one scratch directory, emptied before each.
 */
#ifndef PULT_TESTS_WORLD_H
#define PULT_TESTS_WORLD_H

#include <sys/mount.h>
#include <sys/stat.h>

static const char *const world =
    "ip link add eth9 type veth peer name far9; ip link set eth9 up; ip link set far9 up;"
    "ip link add eth8 type veth peer name far8; ip link set eth8 up; ip link set far8 up;"
    "ip link add eth7 type veth peer name far7;"
    "sysctl -qw net.ipv6.conf.eth9.accept_dad=0;"
    "ip address add 10.1.0.2/24 brd + dev eth9 label eth9:one;"
    "ip address add 10.1.0.3/24 brd + dev eth9;"
    "ip address add 10.1.0.4/24 dev eth9 noprefixroute;"
    "ip address add 10.2.0.2/16 dev eth9 metric 77 valid_lft 3600 preferred_lft 1800;"
    "ip address add 10.3.0.2 peer 10.3.0.9/32 dev eth9 scope link;"
    "ip address add 169.254.9.9/16 dev eth9 scope link;"
    "ip address add 10.8.0.2/24 dev eth8;"
    "ip address add fd01::2/64 dev eth9 nodad;"
    "ip address add fd01::3/64 dev eth9 nodad noprefixroute;"
    "ip address add fd02::2/64 dev eth9 nodad metric 88 valid_lft 3600 preferred_lft 1800;"
    "ip address add fd03::2/64 dev eth9 nodad mngtmpaddr valid_lft forever preferred_lft 0;"
    "ip address add fd04::2 peer fd04::9/128 dev eth9 nodad;"
    "ip address add fe80::99/64 dev eth9 nodad;"
    "ip address add fd08::2/64 dev eth8 nodad;"
    "ip route add default via 10.1.0.1 dev eth9 proto dhcp src 10.1.0.2 metric 100;"
    "ip route add default via 10.1.0.7 dev eth9 metric 200 mtu lock 1400 advmss 1300 initcwnd 20;"
    "ip route add 192.0.2.0/24 dev eth9 scope link proto static;"
    "ip route add 192.0.3.0/24 via 172.16.0.1 dev eth9 onlink;"
    "ip route add 192.0.4.0/24 nexthop via 10.1.0.1 dev eth9 weight 3"
    " nexthop via 10.8.0.1 dev eth8 weight 1;"
    "ip route add 192.0.5.0/24 via inet6 fe80::1 dev eth9;"
    "ip route add 192.0.6.7 dev eth8 tos 8 proto 77;"
    "ip route append 192.0.6.7 via 10.8.0.3 dev eth8 tos 8 proto 77;"
    "ip route add blackhole 192.0.7.0/24;"
    "ip route add unreachable 192.0.8.0/24 metric 5 table 1000;"
    "ip route add default via 10.1.0.1 dev eth9 table 7;"
    "ip route add throw 10.0.0.0/8 table 7;"
    "ip -6 route add default via fe80::1 dev eth9 proto ra metric 1024 expires 1800 pref high;"
    "ip -6 route add fd11::/48 via fd01::1 dev eth9 src fd01::2 mtu 1280 hoplimit 7;"
    "ip -6 route add fd12::/48 nexthop via fd01::1 dev eth9 nexthop via fd08::1 dev eth8 weight 2;"
    "ip -6 route add unreachable fd13::/48 metric 9;"
    "ip -6 route add fd14::/48 via fd99::1 dev eth9 onlink table 7;"
    "ip rule add pref 100 from 10.1.0.0/24 iif eth9 lookup 7;"
    "ip rule add pref 101 not to 10.9.0.0/16 fwmark 0x10/0xf0 tos 8 lookup main;"
    "ip rule add pref 102 oif eth9 uidrange 100-200 ipproto tcp dport 80-90 lookup 1000;"
    "ip rule add pref 103 lookup main suppress_prefixlength 0;"
    "ip rule add pref 104 from 10.77.0.0/16 prohibit;"
    "ip rule add pref 105 from 10.78.0.0/16 goto 32766;"
    "ip rule add pref 106 sport 53 lookup 300 protocol static;"
    "ip -6 rule add pref 100 from fd01::/64 iif eth9 lookup 7;";

static bool world_is_ours;

/*
 * RUN is in memory, as on any host: each word of a journal is written with fsync(), which a disk takes
 * its time for.
 */
static inline int world_make(void **state)
{
    (void)state;
    if (system("rm -rf home run *.txt") != 0)
        return -1;
    world_is_ours = in_playground();
    if (!world_is_ours)
        return 0;
    if (mkdir("run", 0711) < 0 || mount("run", "run", "tmpfs", 0, "mode=711") < 0)
        return -1;
    sh(world);
    return 0;
}

/* Also after a test that failed half-way: the next one finds an empty world. */
static inline int world_remove(void **state)
{
    if (world_is_ours)
        (void)!system(
            "(nft flush ruleset; for l in eth9 eth8 eth7 nat0 nat1 rou0 iso0 inner0 guarded0 br0"
            " br1 br7; do ip link del $l; done;"
            "ip route flush table 7; ip route flush table 1000;"
            "ip -6 route flush table 7; ip route del blackhole 192.0.7.0/24;"
            "ip -6 route del unreachable fd13::/48;"
            "for p in 100 101 102 103 104 105 106; do ip rule del pref $p;"
            " ip -6 rule del pref $p; done) >/dev/null 2>&1");
    while (umount2("run", MNT_DETACH) == 0)
        ;
    (void)state;
    return 0;
}

#define world_test(f) cmocka_unit_test_setup_teardown(f, world_make, world_remove)

#endif
