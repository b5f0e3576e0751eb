/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How a throwaway VM's card gets its address (kvm/throw/init/network.c), in a network namespace of the
 * test's own: the card is a tap, and the test is the server at its other end, which also says what
 * no server should.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <linux/if_tun.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#include "kvm/throw/init/network.c"

#define OUR_MAC "02:00:00:00:0d:01"

/* ---- what init.c has ---- */

static char said[200];
static bool asked_for_more;

char *word(char letter, const char *at)
{
    static char mac[] = OUR_MAC;

    return letter == 'n' && !at ? mac : NULL;
}

void say(const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    vsnprintf(said, sizeof(said), format, ap);
    va_end(ap);
}

/* ---- the server ---- */

struct server {
    int tap, over; /* over: an eventfd */
    pthread_t thread;
    bool hostile; /* it says all kinds of things before it answers */
    bool refuses;
    const char *address, *mask, *router;
    unsigned discovers, requests;
};

struct frame {
    struct ether_header head;
    struct message m;
} __attribute__((packed));

/* Send what is in the frame, with options up to `end`. */
static void answer(const struct server *s, struct frame *f, const uint8_t *end)
{
    size_t len = (size_t)(end - (const uint8_t *)f);

    f->m.udp.len = htons((uint16_t)(len - sizeof(f->head) - sizeof(f->m.ip)));
    f->m.ip.tot_len = htons((uint16_t)(len - sizeof(f->head)));
    assert_int_equal(write(s->tap, f, len), (ssize_t)len);
}

static uint8_t *add_text(uint8_t *at, uint8_t option, const char *address)
{
    uint32_t a;

    assert_int_equal(inet_pton(AF_INET, address, &a), 1);
    return add_option(at, option, &a, 4);
}

static void say_nonsense(const struct server *s, const struct frame *right)
{
    struct frame f = *right;
    uint8_t *o = f.m.dhcp.options;

    answer(s, &f, (uint8_t *)&f.m.dhcp.xid); /* too short */
    answer(s, &f, o);                        /* no options */
    f.m.dhcp.xid ^= 1;
    answer(s, &f, o + sizeof(f.m.dhcp.options)); /* for another question */
    f = *right;
    f.m.dhcp.chaddr[5] ^= 1;
    answer(s, &f, o + sizeof(f.m.dhcp.options)); /* for another card */
    f = *right;
    o[0] = OPTION_TYPE, o[1] = 255, o[2] = ACK;
    answer(s, &f, o + 20); /* beyond its end */
    o[0] = OPTION_DNS, o[1] = 0, o[2] = OPTION_MASK, o[3] = 1, o[4] = 0, o[5] = OPTION_TYPE;
    answer(s, &f, o + 6); /* lengths that make no sense, and half an option */
    memset(o, 0, sizeof(f.m.dhcp.options));
    answer(s, &f, o + sizeof(f.m.dhcp.options)); /* nothing but padding */
    f.m.ip.ihl = 15;
    answer(s, &f, o + 20);
}

static void serve(struct server *s, struct frame *f)
{
    static const uint8_t mtu[] = {1400 >> 8, 1400 & 255};
    const uint8_t asked = f->m.dhcp.options[2];
    uint8_t *at = f->m.dhcp.options, type;

    asked_for_more = memcmp(at, "\x35\x01", 2) != 0;
    (asked == DISCOVER ? &s->discovers : &s->requests)[0]++;
    f->m.dhcp.op = 2;
    f->m.udp.dest = htons(68);
    f->m.udp.source = htons(67);
    memset(f->head.ether_dhost, 0xff, 6);
    inet_pton(AF_INET, s->address, &f->m.dhcp.yiaddr);
    type = asked == DISCOVER ? OFFER : s->refuses ? NAK : ACK;
    if (s->hostile)
        say_nonsense(s, f);
    *at++ = 0;
    at = add_option(at, OPTION_TYPE, &type, 1);
    at = add_text(at, OPTION_SERVER, "192.0.2.1");
    at = add_text(at, OPTION_MASK, s->mask);
    at = add_text(at, OPTION_ROUTER, s->router);
    at = add_option(at, OPTION_DNS, "\xc0\0\2\5\xc0\0\2\6\xc0\0\2\7\xc0\0\2\x8", 16);
    at = add_option(at, OPTION_MTU, mtu, 2);
    *at++ = OPTION_END;
    answer(s, f, at);
}

static void *server_thread(void *arg)
{
    struct server *s = arg;
    struct pollfd fds[] = {{.fd = s->tap, .events = POLLIN}, {.fd = s->over, .events = POLLIN}};
    struct frame f;

    while (poll(fds, 2, -1) > 0 && !fds[1].revents) {
        ssize_t n = read(s->tap, &f, sizeof(f));
        if (n < 0)
            break;
        if ((size_t)n == sizeof(f) && f.head.ether_type == htons(ETH_P_IP) &&
            f.m.udp.dest == htons(67))
            serve(s, &f);
    }
    return NULL;
}

static int open_tap(void)
{
    struct ifreq r = {.ifr_name = "card0", .ifr_flags = IFF_TAP | IFF_NO_PI};
    struct ifreq mac = {.ifr_hwaddr = {.sa_family = ARPHRD_ETHER, .sa_data = "\x2\0\0\0\xd\x1"}};
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(ioctl(fd, TUNSETIFF, &r), 0);
    assert_int_equal(change("card0", SIOCSIFHWADDR, &mac), 0);
    return fd;
}

/* The whole of it, against such a server. */
static void get_address(struct server *s)
{
    static bool isolated;

    if (geteuid() != 0 || access("/dev/net/tun", R_OK | W_OK) < 0 ||
        (!isolated && (unshare(CLONE_NEWNET | CLONE_NEWNS) < 0 ||
                       mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0))) {
        print_message("needs root, for interfaces\n");
        skip();
    }
    if (!isolated && (mount("none", "/run", "tmpfs", 0, NULL) < 0 ||
                      mount("none", "/etc", "tmpfs", 0, NULL) < 0))
        fail();
    isolated = true;
    memset(name_servers, 0, sizeof(name_servers));
    said[0] = '\0';
    s->tap = open_tap();
    s->over = eventfd(0, EFD_CLOEXEC);
    assert_int_equal(pthread_create(&s->thread, NULL, server_thread, s), 0);
    cards_up();
}

static void end(struct server *s)
{
    assert_int_equal(eventfd_write(s->over, 1), 0);
    pthread_join(s->thread, NULL);
    close(s->over);
    close(s->tap);
}

static bool has_address(unsigned long what, const char *address)
{
    struct ifreq r = {.ifr_flags = 0};
    struct sockaddr_in a;
    uint32_t wanted;

    if (change("card0", what, &r) < 0)
        return false;
    memcpy(&a, &r.ifr_addr, sizeof(a));
    inet_pton(AF_INET, address, &wanted);
    return a.sin_addr.s_addr == wanted;
}

static unsigned mtu(void)
{
    struct ifreq r = {.ifr_flags = 0};

    return change("card0", SIOCGIFMTU, &r) < 0 ? 0 : (unsigned)r.ifr_mtu;
}

static bool has_route(const char *line)
{
    char command[200];

    snprintf(command, sizeof(command), "ip route show | grep -q '^%s'", line);
    return system(command) == 0;
}

/* ---- tests ---- */

static void an_address_and_all_that_comes_with_it(void **state)
{
    struct server s = {.address = "192.0.2.50", .mask = "255.255.255.0", .router = "192.0.2.1"};

    (void)state;
    get_address(&s);
    assert_string_equal(said, "");
    assert_false(asked_for_more);
    assert_true(has_address(SIOCGIFADDR, "192.0.2.50"));
    assert_true(has_address(SIOCGIFNETMASK, "255.255.255.0"));
    assert_int_equal(mtu(), 1400);
    assert_true(has_route("default via 192.0.2.1 dev card0"));
    assert_true(has_address(SIOCGIFADDR, "192.0.2.50"));
    end(&s);
}

static void a_router_elsewhere_and_a_server_that_errs(void **state)
{
    struct server s = {.address = "192.0.2.60",
                       .mask = "255.255.255.255",
                       .router = "198.51.100.1",
                       .hostile = true};

    (void)state;
    get_address(&s);
    assert_string_equal(said, "");
    assert_true(has_address(SIOCGIFADDR, "192.0.2.60"));
    assert_true(has_route("default via 198.51.100.1 dev card0"));
    end(&s);
}

static void it_is_said_that_there_is_none(void **state)
{
    struct server s = {.address = "192.0.2.50",
                       .mask = "255.255.255.0",
                       .router = "192.0.2.1",
                       .refuses = true};

    (void)state;
    get_address(&s);
    assert_string_equal(said, "pult: card0 has no address: no DHCP server answers\n");
    assert_false(has_address(SIOCGIFADDR, "192.0.2.50"));
    assert_true(s.discovers >= 1 && s.requests >= 1);
    end(&s);
}

static void expect_names(void)
{
    char text[200] = "";
    int fd = open(RESOLV, O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_true(read(fd, text, sizeof(text) - 1) > 0);
    close(fd);
    assert_string_equal(text, "nameserver 192.0.2.5\nnameserver 192.0.2.6\nnameserver 192.0.2.7\n");
}

/* A file is hidden, and as it was below; a link to nowhere leads there now. */
static void names(void **state)
{
    struct server s = {.address = "192.0.2.50", .mask = "255.255.255.0", .router = "192.0.2.1"};

    (void)state;
    get_address(&s);
    assert_int_equal(system("echo mine >" RESOLV), 0);
    cards_names();
    expect_names();
    assert_int_equal(umount(RESOLV), 0);
    assert_int_equal(system("grep -q mine " RESOLV), 0);
    assert_int_equal(unlink(RESOLV), 0);
    assert_int_equal(symlink("../run/systemd/resolve/stub-resolv.conf", RESOLV), 0);
    cards_names();
    expect_names();
    assert_int_equal(unlink(RESOLV), 0);
    cards_names(); /* no file: none is made on what may be a disk */
    assert_int_equal(access(RESOLV, F_OK), -1);
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_and_all_that_comes_with_it),
        cmocka_unit_test(a_router_elsewhere_and_a_server_that_errs),
        cmocka_unit_test(it_is_said_that_there_is_none),
        cmocka_unit_test(names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
