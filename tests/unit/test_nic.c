/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A container's network interfaces, as cards and in both spellings of LXC's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <linux/if_link.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "guest/def.h"
#include "guest/engine.h"
#include "lxc/lxc.h"
#include "lxc/nic.h"

#define CONTAINER "guest.type = container\n"

/* Checks the keys as for a definition, and reads them. The definition is the caller's. */
static int load(const char *text, struct guest_def **def, struct nics *out, struct error *err)
{
    static const struct engine *const engines[] = {&lxc_engine, NULL};
    struct conf *conf = NULL;

    *def = NULL;
    *out = (struct nics){0};
    engines_set(engines);
    if (conf_parse("test", text, strlen(text), &conf, err) < 0 ||
        def_from_conf("con1", "/nowhere", conf, def, err) < 0)
        return -1;
    return nics_load(*def, out, err);
}

static const char *text_of(const struct address *a)
{
    static char text[ADDRESS_TEXT];

    return address_text(a, false, text);
}

static void as_in_2010(void **state)
{
    cleanup_def struct guest_def *def = NULL;
    struct nics n;
    struct error err;

    (void)state;
    int ret = load(CONTAINER "lxc.utsname       = con1\n"
                             "lxc.network.type  = veth\n"
                             "lxc.network.flags = up\n"
                             "lxc.network.link  = br0\n"
                             "lxc.network.ipv4  = 192.168.1.16/24\n"
                             "lxc.network.name  = eth0\n"
                             "lxc.network.type  = macvlan\n"
                             "lxc.network.link  = wan\n"
                             "lxc.network.macvlan.mode = bridge\n"
                             "lxc.network.hwaddr = 00:16:3e:00:00:01\n"
                             "lxc.network.ipv6 = 2001:db8::2\n"
                             "lxc.network.script.up = /bin/true\n"
                             "lxc.network.type = empty\n",
                   &def, &n, &err);
    if (ret < 0)
        fail_msg("%s", err.text);
    assert_int_equal(n.count, 3);
    assert_true(nics_any(&n));
    assert_int_equal(n.all[0].kind, NIC_VETH);
    assert_string_equal(n.all[0].link, "br0");
    assert_string_equal(n.all[0].name, "eth0");
    assert_true(n.all[0].up);
    assert_int_equal(n.all[0].address_count, 1);
    assert_string_equal(text_of(&n.all[0].addresses[0]), "192.168.1.16/24");
    assert_int_equal(n.all[1].kind, NIC_MACVLAN);
    assert_int_equal(n.all[1].mode, MACVLAN_MODE_BRIDGE);
    assert_string_equal(n.all[1].name, "eth1");
    assert_false(n.all[1].up);
    assert_int_equal(n.all[1].mac[2], 0x3e);
    assert_string_equal(text_of(&n.all[1].addresses[0]), "2001:db8::2/64");
    assert_int_equal(n.all[2].kind, NIC_EMPTY);
    nics_clear(&n);
}

static void as_today(void **state)
{
    cleanup_def struct guest_def *def = NULL;
    struct nics n;
    struct error err;

    (void)state;
    int ret = load(CONTAINER "lxc.net.3.type = vlan\n"
                             "lxc.net.3.vlan.id = 7\n"
                             "lxc.net.3.link = wan\n"
                             "lxc.net.1.link = br0\n"
                             "lxc.net.1.ipv4.address = 10.0.0.2/24 10.0.0.255\n"
                             "lxc.net.1.ipv4.address = 10.0.1.2/16\n"
                             "lxc.net.1.ipv4.gateway = auto\n"
                             "lxc.net.1.ipv6.gateway = dev\n"
                             "lxc.net.1.hwaddr = 00:16:3E:xx:xx:Xx\n"
                             "lxc.net.1.mtu = 1400\n"
                             "lxc.net.1.veth.pair = con1a\n"
                             "lxc.net.1.type = veth\n"
                             "guest.net.4 = bridge=br1\n"
                             "guest.net.5 = user,forward=tcp:8080:80\n"
                             "guest.net.6 = none\n"
                             "guest.net.7 = network=lan,address=10.87.0.9\n",
                   &def, &n, &err);
    if (ret < 0)
        fail_msg("%s", err.text);
    assert_int_equal(n.count, 5);
    assert_int_equal(n.all[0].kind, NIC_VETH);
    assert_string_equal(n.all[0].link, "br1");
    assert_string_equal(n.all[0].name, "eth0");
    assert_int_equal(n.all[1].kind, NIC_USER);
    assert_string_equal(n.all[1].forwards[0], "tcp:8080:80");
    assert_int_equal(n.all[2].kind, NIC_NETWORK);
    assert_string_equal(n.all[2].network, "lan");
    assert_int_equal(n.all[2].address_count, 0);
    assert_string_equal(text_of(&n.all[2].addresses[0]), "10.87.0.9/32");
    const struct nic *veth = &n.all[3], *vlan = &n.all[4];
    assert_string_equal(veth->name, "eth3");
    assert_int_equal(veth->address_count, 2);
    assert_string_equal(text_of(&veth->broadcast[0]), "10.0.0.255/32");
    assert_int_equal(veth->broadcast[1].family, 0);
    assert_true(veth->gateway_auto && veth->gateway6_dev);
    assert_int_equal(veth->mtu, 1400);
    assert_string_equal(veth->pair, "con1a");
    assert_int_equal(veth->mac[0], 0);
    assert_int_equal(veth->mac[2], 0x3e);
    assert_int_equal(vlan->kind, NIC_VLAN);
    assert_int_equal(vlan->vlan, 7);
    nics_clear(&n);
}

static void nothing_is_nothing(void **state)
{
    static const char *const texts[] = {
        CONTAINER,
        CONTAINER "guest.net.0 = none\n",
        CONTAINER "lxc.net.0.type = empty\n",
        CONTAINER "lxc.network.type = veth\nlxc.network.link = br0\nlxc.network.type =\n",
        CONTAINER "lxc.net.0.type = veth\nlxc.net.0.type =\n",
        CONTAINER "lxc.net.0.type = none\n",
    };
    struct nics n;
    struct error err;

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(texts); i++) {
        cleanup_def struct guest_def *def = NULL;
        if (load(texts[i], &def, &n, &err) < 0)
            fail_msg("%u: %s", i, err.text);
        assert_false(nics_any(&n));
        assert_int_equal(n.host, i == 5);
        nics_clear(&n);
    }
}

static void what_is_wrong_is_said(void **state)
{
    static const struct {
        const char *text, *why;
    } wrong[] = {
        {"lxc.net.0.type = tap\n", "there is veth, macvlan"},
        {"lxc.net.0.link = br0\n", "without lxc.net.0.type"},
        {"lxc.net.64.type = empty\n", "the highest number is 63"},
        {"lxc.network.link = br0\nlxc.network.type = veth\n", "before any lxc.network.type"},
        {"lxc.net.0.type = macvlan\n", "lxc.net.0.link is missing"},
        {"lxc.net.0.type = vlan\nlxc.net.0.link = e\n", "vlan.id is missing"},
        {"lxc.net.0.type = veth\nlxc.net.0.flags = down\n", "the one flag is up"},
        {"lxc.net.0.type = veth\nlxc.net.0.name = lo\n", "is there already"},
        {"lxc.net.0.type = veth\nlxc.net.0.name = a/b\n", "no name of an interface"},
        {"lxc.net.0.type = veth\nlxc.net.0.hwaddr = 01:00:00:00:00:00\n", "odd"},
        {"lxc.net.0.type = veth\nlxc.net.0.hwaddr = 00:16:3e\n", "such as"},
        {"lxc.net.0.type = veth\nlxc.net.0.mtu = 1\n", "mtu"},
        {"lxc.net.0.type = veth\nlxc.net.0.ipv4.address = fd00::1/64\n", "no address of IPv4"},
        {"lxc.net.0.type = veth\nlxc.net.0.ipv6.address = 10.0.0.1\n", "no address of IPv6"},
        {"lxc.net.0.type = veth\nlxc.net.0.ipv4.address = 10.0.0.1/33\n", "lxc.net.0.ipv4"},
        {"lxc.net.0.type = veth\nlxc.net.0.ipv4.gateway = auto\n", "no link"},
        {"lxc.net.0.type = veth\nlxc.net.0.ipv4.gateway = 10.0.0.1/8\n", "nor auto nor dev"},
        {"lxc.net.0.type = macvlan\nlxc.net.0.macvlan.mode = x\n", "there is private"},
        {"lxc.net.0.type = veth\nlxc.net.0.veth.mode = router\nlxc.net.0.link = br0\n",
         "in no bridge"},
        {"lxc.net.0.type = none\nlxc.net.1.type = veth\n", "no interfaces of its own"},
        {"lxc.net.0.type = veth\nlxc.net.0.name = x\nguest.net.0 = bridge=b\n"
         "lxc.net.1.type = veth\nlxc.net.1.name = x\n",
         "both called x"},
        {"guest.net.0 = tap=t0\n", "a container has no tap"},
        {"guest.net.0 = tap\n", "a container has no tap"},
        {"lxc.net.0.typ = veth\n", "lxc.net.0.type"},
    };
    struct nics n;
    struct error err;

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
        cleanup_def struct guest_def *def = NULL;
        cleanup_free char *text = xasprintf(CONTAINER "%s", wrong[i].text);
        err.text[0] = '\0';
        assert_int_equal(load(text, &def, &n, &err), -1);
        if (!strstr(err.text, wrong[i].why))
            fail_msg("'%s': %s", wrong[i].text, err.text);
        nics_clear(&n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_in_2010),
        cmocka_unit_test(as_today),
        cmocka_unit_test(nothing_is_nothing),
        cmocka_unit_test(what_is_wrong_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
