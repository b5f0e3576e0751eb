/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The networks' view and the wizards, walked as a person would, in a network namespace of the test's
 * own (the guard's) with a pretended NIC.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/util.h"
#include "net/link.h"
#include "scratch.h"
#include "tty.h"

#define ESC       "\033"
#define DOWN      "\033[B"
#define UP        "\033[A"
#define F2        "\033OQ"
#define F3        "\033OR"
#define F4        "\033OS"
#define RIGHT     "\033[C"
#define LEFT      "\033[D"
#define PGDN      "\033[6~"
#define PGUP      "\033[5~"
#define SHIFT_TAB "\033[Z"
#define ERASE     "\025" /* Ctrl-U: the whole line */

static bool alone; /* in a namespace that holds no network of anybody's */

static void run(const char *command)
{
    if (system(command) != 0)
        fail_msg("failed: %s", command);
}

/* A NIC with an address that leads nowhere, and an empty store. */
static int setup_network(void **state)
{
    struct link l;

    if (scratch_make(state) != 0)
        return -1;
    alone = geteuid() == 0 && link_look("eth0", &l, NULL) < 0 && access("/usr/sbin/nft", X_OK) == 0;
    if (!alone)
        return 0;
    run("ip link set lo up && ip link add eth0 type veth peer name out0 &&"
        " ip link set eth0 up && ip link set out0 up && ip address add 192.0.2.7/24 dev eth0 &&"
        " ip route add default via 192.0.2.1");
    return 0;
}

static int teardown_network(void **state)
{
    if (alone) {
        run("for f in home/networks/*.conf; do [ ! -e \"$f\" ] ||"
            " \"$PULT\" network destroy --force \"$(basename \"$f\" .conf)\"; done");
        run("ip link delete eth0 2>/dev/null; true");
    }
    return scratch_remove(state);
}

static struct tty *networks(int cols, int rows)
{
    if (!alone)
        skip();
    struct tty *t = tty_start(cols, rows, "xterm-256color", NULL, NULL);
    tty_expect(t, "Quit");
    tty_send(t, "w");
    tty_expect(t, "Networks");
    return t;
}

static void quit(struct tty *t)
{
    tty_send(t, ESC);
    tty_expect(t, "Guests");
    tty_send(t, "q");
    assert_int_equal(tty_wait_end(t), 0);
    tty_close(t);
}

static bool is_there(const char *interface)
{
    struct link l;
    return link_look(interface, &l, NULL) == 0;
}

static void nothing_yet(void **state)
{
    struct tty *t = networks(80, 24);
    (void)state;
    tty_expect(t, "No networks yet.");
    quit(t);
}

/* Enter, Enter: it works. */
static void nat_by_two_keys(void **state)
{
    struct tty *t = networks(100, 40);
    (void)state;
    tty_send(t, "n");
    tty_expect(t, "What shall the guests of the network reach?");
    tty_send(t, "\r");
    tty_expect(t, "What will be done:");
    tty_expect(t, "create the bridge nat0");
    assert_false(is_there("nat0"));
    tty_send(t, "\r");
    tty_expect(t, "It is up. The proof:");
    assert_true(is_there("nat0"));
    tty_send(t, "\r");
    tty_expect_gone(t, "New network");
    tty_expect(t, "nat0");
    tty_expect(t, "nat ");
    tty_expect(t, "10."); /* a subnet was chosen */
    tty_send(t, "p");
    tty_expect(t, "ip link add nat0 type bridge");
    tty_send(t, ESC);
    tty_expect_gone(t, "ip link add");
    tty_send(t, "D");
    tty_expect(t, "Destroy the network 'nat0'?");
    tty_send(t, "y");
    tty_expect(t, "No networks yet.");
    assert_false(is_there("nat0"));
    quit(t);
}

struct wrong {
    const char *typed, *why;
};

/* On a page of settings: each field in turn refuses what is wrong, and says why. */
static void type_wrong(struct tty *t, const char *name, const struct wrong *fields, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        tty_send(t, ERASE);
        tty_send(t, fields[i].typed);
        tty_expect(t, fields[i].why);
        tty_send(t, "\r"); /* is not taken */
        tty_expect(t, fields[i].why);
        tty_send(t, ERASE);
        tty_send(t, i == 0 ? name : "");
        tty_send(t, "\t");
        tty_expect_gone(t, fields[i].why);
    }
}

/* Nothing was made of it. */
static void leave_wizard(struct tty *t, const char *name)
{
    char path[64];

    tty_send(t, ESC);
    tty_expect(t, "No networks yet.");
    assert_false(is_there(name));
    snprintf(path, sizeof path, "home/networks/%s.conf", name);
    assert_int_not_equal(access(path, F_OK), 0);
    quit(t);
}

static void wrong_input_nat(void **state)
{
    static const struct wrong fields[] = {
        {"no/name", "is no name of a network"},
        {"10.0.0.300/24", "is no address"},
        {"10.9.0.9-10.9.0.2", "ends before it begins"},
        {"12", "68"},
        {"maybe", "neither yes nor no"},
        {"certainly", "neither yes nor no"},
        {"perhaps", "neither yes nor no"},
    };
    struct tty *t = networks(100, 40);
    (void)state;
    tty_send(t, "n");
    tty_expect(t, "What shall the guests");
    tty_send(t, "\r");
    tty_expect(t, "What will be done:");
    type_wrong(t, "nat0", fields, ARRAY_SIZE(fields));
    leave_wizard(t, "nat0");
}

/* The wizard's page of settings for a bridge, and what it makes that of. */
static void bridge_settings(struct tty *t, const char *place)
{
    tty_send(t, "n");
    tty_expect(t, "What shall the guests");
    tty_send(t, DOWN "\r");
    tty_expect(t, place);
    tty_send(t, "\r");
}

static void wrong_input_bridge(void **state)
{
    static const struct wrong fields[] = {
        {"far-too-long-a-name", "is no name of a network"},
        {"5000", "is not between 1 and 4094"},
        {"12", "68"},
        {"maybe", "neither yes nor no"},
        {"certainly", "neither yes nor no"},
        {"perhaps", "neither yes nor no"},
    };
    struct tty *t = networks(100, 40);
    (void)state;
    bridge_settings(t, "a new bridge on eth0");
    tty_expect(t, "What will be done:");
    type_wrong(t, "br0", fields, ARRAY_SIZE(fields));
    leave_wizard(t, "br0");
}

/* One that is there is recommended, and is used by its name, which is not to be changed. */
static void bridge_that_is_there(void **state)
{
    struct tty *t = networks(100, 40);
    (void)state;
    run("ip link add br7 type bridge && ip link set br7 up");
    bridge_settings(t, "the bridge br7");
    tty_expect(t, "the bridge br7 is there, and stays");
    tty_send(t, "x");
    tty_expect(t, "it has the bridge's name, 'br7'");
    tty_send(t, "\177");
    tty_expect_gone(t, "it has the bridge's name");
    tty_expect(t, "What will be done:");
    tty_send(t, "\r");
    tty_expect(t, "It is up. The proof:");
    tty_send(t, "\r");
    tty_expect_gone(t, "New network");
    tty_send(t, "D");
    tty_expect(t, "Destroy the network 'br7'?");
    tty_send(t, "y");
    tty_expect(t, "No networks yet.");
    assert_true(is_there("br7"));
    run("ip link delete br7");
    quit(t);
}

/*
 * Beside Docker's rules, on the smallest screen: that they are in the way is seen before the last key
 * and after it; with consent they are not.
 */
static void beside_docker(void **state)
{
    struct tty *t = networks(80, 24);
    (void)state;
    run("nft 'add table ip filter; add chain ip filter DOCKER-USER;"
        " add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; };"
        " add rule ip filter FORWARD jump DOCKER-USER'");
    tty_send(t, "n");
    tty_expect(t, "What shall the guests");
    tty_send(t, "\r");
    tty_expect(t, "Docker drops what its guests send out");
    tty_send(t, "\r");
    tty_expect(t, "It is up, but not all is as it should be:");
    tty_expect(t, "net.mend=1");
    tty_send(t, "\r");
    tty_expect_gone(t, "New network");
    tty_send(t, "D");
    tty_expect(t, "Destroy the network 'nat0'?");
    tty_send(t, "y");
    tty_expect(t, "No networks yet.");
    tty_send(t, "n");
    tty_expect(t, "What shall the guests");
    tty_send(t, "\r");
    tty_expect(t, "Docker drops what its guests send out");
    tty_send(t, DOWN DOWN DOWN DOWN DOWN " ");
    tty_expect_gone(t, "net.mend");
    tty_expect(t, "What will be done:");
    tty_send(t, "\r");
    tty_expect(t, "It is up. The proof:");
    run("nft list chain ip filter DOCKER-USER | grep -q nat0");
    tty_send(t, "\r");
    tty_expect_gone(t, "New network");
    tty_send(t, "D");
    tty_expect(t, "Destroy the network 'nat0'?");
    tty_send(t, "y");
    tty_expect(t, "No networks yet.");
    run("! nft list chain ip filter DOCKER-USER | grep -q nat0");
    run("nft delete table ip filter");
    quit(t);
}

/* Forwards and backwards; what was there is found and recommended. */
static void bridge_and_back(void **state)
{
    struct tty *t = networks(100, 40);
    (void)state;
    tty_send(t, "n");
    tty_expect(t, "What shall the guests");
    tty_send(t, DOWN "\r");
    tty_expect(t, "Where does it lead?");
    tty_expect(t, "a new bridge on eth0");
    tty_expect(t, "192.0.2.7/24");
    tty_expect(t, "recommended");
    tty_expect(t, "with a timer");
    tty_send(t, F3);
    tty_expect(t, "What shall the guests");
    tty_send(t, "\r");
    tty_expect(t, "Where does it lead?");
    tty_send(t, "\r");
    tty_expect(t, "create the bridge br0");
    tty_expect(t, "192.0.2.7/24");
    tty_send(t, F2);
    tty_expect(t, "ip link add br0 type bridge");
    tty_send(t, DOWN "5000");
    tty_expect(t, "4094");
    tty_send(t, ERASE);
    tty_send(t, DOWN DOWN DOWN "5");
    tty_expect(t, "neither yes nor no");
    tty_send(t, F3);
    tty_expect(t, "Where does it lead?");
    tty_send(t, F3);
    tty_expect(t, "What shall the guests");
    tty_send(t, ESC);
    tty_expect(t, "No networks yet.");
    assert_false(is_there("br0"));
    quit(t);
}

/* Over the NIC with the address: confirmed it stays; with Esc all is as it was. */
static void bridge_with_a_timer(void **state)
{
    struct tty *t = networks(100, 40);
    (void)state;
    for (int confirmed = 0; confirmed < 2; confirmed++) {
        tty_send(t, "n");
        tty_expect(t, "What shall the guests");
        tty_send(t, DOWN "\r");
        tty_expect(t, "a new bridge on eth0");
        tty_send(t, "\r");
        tty_expect(t, "create the bridge br0");
        tty_send(t, "\r");
        tty_expect(t, "Are you still connected?");
        assert_true(is_there("br0"));
        tty_send(t, confirmed ? "y" : ESC);
        tty_expect(t, confirmed ? "It is up. The proof:" : "It was not made; everything is as");
        tty_send(t, confirmed ? "\r" : ESC);
        tty_expect_gone(t, "New network");
        assert_int_equal(is_there("br0"), confirmed);
    }
    tty_expect(t, "br0");
    run("ip -br address show dev br0 | grep -q 192.0.2.7/24");
    tty_send(t, "d");
    tty_expect(t, "Take the network 'br0' down?");
    tty_send(t, "y");
    tty_expect(t, "it comes up when the first guest joins it");
    run("ip -br address show dev eth0 | grep -q 192.0.2.7/24");
    assert_false(is_there("br0"));
    quit(t);
}

static void save_as(struct tty *t, const char *path)
{
    tty_send(t, "s");
    tty_expect(t, "Save to");
    tty_send(t, path);
    tty_send(t, "\r");
}

/*
 * The wizard's bridge as files of the host's own configuration: shown in each dialect, saved where
 * somebody says, over what is there only after a yes, and back to the page from which it came.
 */
static void bridge_as_files(void **state)
{
    struct tty *t = networks(80, 24);
    (void)state;
    run("mkdir old && echo mine >old/05-pult-br0.network");
    bridge_settings(t, "a new bridge on eth0");
    tty_expect(t, "What will be done:");
    tty_expect(t, "F4 as files");
    tty_send(t, DOWN "5000"); /* a wrong field: there is nothing to be shown */
    tty_expect(t, "is not between 1 and 4094");
    tty_send(t, F4);
    tty_expect(t, "is not between 1 and 4094");
    tty_send(t, ERASE);
    tty_expect(t, "What will be done:");
    tty_send(t, F4);
    tty_expect(t, "To keep it at each boot");
    tty_expect(t, "nothing is written unless you save it");
    for (int i = 0; i < 5 && !tty_has(t, "05-pult-br0.netdev"); i++) {
        tty_send(t, RIGHT);
        tty_pump(t, 3000, 300);
    }
    tty_expect(t, "/etc/systemd/network/05-pult-br0.netdev");
    tty_send(t, PGDN);
    tty_expect(t, "Address=192.0.2.7/24");
    tty_expect_gone(t, "05-pult-br0.netdev <==");
    tty_send(t, PGUP);
    tty_expect(t, "05-pult-br0.netdev <==");
    tty_send(t, "s");
    tty_expect(t, "Save to (a directory)");
    tty_send(t, ESC);
    tty_expect(t, "not saved");
    save_as(t, "");
    tty_expect_gone(t, "Save to");
    save_as(t, "old/no/such/place");
    tty_expect(t, "No such file or directory");
    save_as(t, "new");
    tty_expect(t, "the files are saved: new");
    run("grep -q 'Bridge=br0' new/05-pult-eth0.network && test $(ls new | wc -l) = 3");
    save_as(t, "old");
    tty_expect(t, "Write over it? (y/n)");
    tty_send(t, "n");
    tty_expect(t, "not saved");
    run("grep -qx mine old/05-pult-br0.network && test $(ls old | wc -l) = 1");
    save_as(t, "old");
    tty_expect(t, "Write over it? (y/n)");
    tty_send(t, "y");
    tty_expect(t, "the files are saved: old");
    run("diff -r old new");
    tty_send(t, LEFT);
    tty_expect(t, "/etc/netplan/90-pult-br0.yaml");
    save_as(t, "one.yaml");
    tty_expect(t, "the file is saved: one.yaml");
    run("grep -q 'interfaces: \\[eth0\\]' one.yaml");
    tty_send(t, ESC);
    tty_expect_gone(t, "To keep it at each boot");
    tty_expect(t, "What will be done:");
    tty_send(t, F4);
    tty_expect(t, "To keep it at each boot");
    tty_send(t, ESC);
    tty_expect(t, "What will be done:");
    tty_send(t, F3);
    tty_expect(t, "Where does it lead?");
    tty_send(t, ESC);
    tty_expect(t, "No networks yet.");
    assert_false(is_there("br0"));
    quit(t);
}

/* Of a network in the list; and of one that nobody but pult could make. */
static void files_from_the_list(void **state)
{
    struct tty *t = networks(100, 40);
    (void)state;
    run("\"$PULT\" network create br0 --kind bridge --port eth0 >/dev/null &&"
        " \"$PULT\" network create iso0 --kind isolated >/dev/null");
    tty_expect(t, "iso0");
    tty_send(t, "b");
    tty_expect(t, "To keep it at each boot");
    tty_send(t, RIGHT);
    tty_expect(t, "192.0.2.7/24");
    tty_send(t, ESC);
    tty_expect_gone(t, "To keep it at each boot");
    tty_send(t, DOWN "b");
    tty_expect(t, "changes nothing that the host's own configuration keeps");
    tty_send(t, "s");
    tty_send(t, ESC);
    tty_expect_gone(t, "To keep it at each boot");
    quit(t);
}

/* The form of a guest asks for a network, and gets the one that is made. */
static void from_the_form(void **state)
{
    if (!alone)
        skip();
    struct tty *t = tty_start(100, 40, "xterm-256color", NULL, NULL);
    (void)state;
    tty_expect(t, "Quit");
    tty_send(t, ":new vm\r");
    tty_expect(t, "New guest");
    tty_send(t, SHIFT_TAB SHIFT_TAB); /* past the button to the last field */
    tty_send(t, UP UP UP UP UP UP UP UP UP UP);
    for (int i = 0; i < 12 && !tty_has(t, "New network"); i++) {
        tty_send(t, F2);
        tty_pump(t, 200, 100);
        if (!tty_has(t, "New network"))
            tty_send(t, DOWN);
    }
    tty_expect(t, "New network");
    tty_send(t, DOWN DOWN DOWN "\r");
    tty_expect(t, "create the bridge iso0");
    tty_send(t, "\r");
    tty_expect(t, "It is up.");
    tty_send(t, "\r");
    tty_expect_gone(t, "New network");
    tty_expect(t, "New guest");
    tty_expect(t, "iso0");
    tty_send(t, ESC);
    tty_expect_gone(t, "New guest");
    tty_send(t, "q");
    assert_int_equal(tty_wait_end(t), 0);
    tty_close(t);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup_network, teardown_network)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(nothing_yet),     T(nat_by_two_keys),     T(wrong_input_nat),      T(wrong_input_bridge),
        T(bridge_and_back), T(bridge_with_a_timer), T(bridge_that_is_there), T(beside_docker),
        T(bridge_as_files), T(files_from_the_list), T(from_the_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
