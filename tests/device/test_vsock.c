/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The socket device (virtio 1.2, 5.10) as a driver sees it, with unix sockets at the other end.
 */
#include "wires.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_vsock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "device/driver.h"
#include "kvm/virtio/vsock.h"

#define SLOT   1
#define CID    7u
#define HEADER 44u
#define PORT   1234u /* of the guest */
#define OPEN   500u  /* a port of the host, where somebody listens */
#define CLOSED 501u
#define ROOM   (4096u + HEADER)
#define BOTH   (VIRTIO_VSOCK_SHUTDOWN_RCV | VIRTIO_VSOCK_SHUTDOWN_SEND)

enum { RECEIVE, SEND, EVENT };

typedef struct virtio_vsock_hdr header;

static struct board board, other;
static struct driver drv;
static struct sockaddr_un where;
static socklen_t where_len;
static int far; /* the other end of the last connection that the guest made */
static unsigned connects;
static struct seg given[256]; /* by head */

/* ---- the host ---- */

static int on_connect(void *arg, uint32_t port)
{
    int pair[2];

    assert_ptr_equal(arg, &where);
    connects++;
    if (port == CLOSED ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
        return -1;
    far = pair[1];
    return pair[0];
}

static const struct vsock_owner owner = {on_connect};

static void build(struct board *b)
{
    struct error err;

    where = (struct sockaddr_un){.sun_family = AF_UNIX};
    where_len = sizeof(where);
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&where, sizeof(sa_family_t)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&where, &where_len), 0);
    assert_int_equal(listen(fd, 16), 0);
    assert_int_equal(board_init(b, false), 0);
    if (virtio_vsock_add(&b->virtio, CID, fd, &owner, &where, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(board_start(b), 0);
    far = -1;
    connects = 0;
}

static int setup(void **state)
{
    (void)state;
    build(&board);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    board_destroy(&board);
    if (far >= 0)
        close(far);
    return 0;
}

static void turn(void)
{
    while (board_turn(drv.board))
        ;
}

/* A client of the host, that has said this. */
static int client(const char *greeting)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    assert_int_equal(connect(fd, (struct sockaddr *)&where, where_len), 0);
    assert_int_equal(send(fd, greeting, strlen(greeting), MSG_NOSIGNAL), strlen(greeting));
    turn();
    return fd;
}

/* What has come there, as text. NULL: end of file. */
static const char *got(int fd)
{
    static char text[4096];

    turn();
    ssize_t n = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN))
        return NULL;
    text[max(n, (ssize_t)0)] = '\0';
    return text;
}

/* ---- the guest ---- */

static void give_one(struct seg s)
{
    const uint16_t head = driver_describe(&drv, RECEIVE, &s, 1);

    given[head] = s;
    driver_offer(&drv, RECEIVE, head);
}

static void give(unsigned n, uint32_t room)
{
    while (n--)
        give_one(driver_buffer(&drv, room, true));
    driver_kick(&drv, RECEIVE);
    turn();
}

static void use(unsigned buffers)
{
    assert_true(driver_probe(&drv, &board, SLOT));
    assert_true(driver_start(&drv, DRIVER_ALL, 3, 64));
    turn();
    if (buffers)
        give(buffers, ROOM);
}

/* A packet with these bytes; h.len is set, unless it is there already. */
static void say_as(header h, const void *data, uint32_t len)
{
    struct seg s[2];

    h.len = h.len ? h.len : len;
    s[0] = driver_bytes(&drv, &h, HEADER);
    s[1] = driver_bytes(&drv, data ? data : "", len);
    assert_int_equal(driver_request(&drv, SEND, s, len ? 2 : 1), 0);
}

static header from_guest(uint32_t port, uint32_t host_port, uint16_t op)
{
    return (header){.src_cid = CID,
                    .dst_cid = VSOCK_CID_HOST,
                    .src_port = port,
                    .dst_port = host_port,
                    .type = VIRTIO_VSOCK_TYPE_STREAM,
                    .op = op,
                    .buf_alloc = 1 << 20};
}

static void say(uint32_t host_port, uint16_t op, const void *data, uint32_t len)
{
    say_as(from_guest(PORT, host_port, op), data, len);
}

static void say_shut(uint32_t host_port, uint32_t flags)
{
    header h = from_guest(PORT, host_port, VIRTIO_VSOCK_OP_SHUTDOWN);

    h.flags = flags;
    say_as(h, NULL, 0);
}

static header heard_header;
static const char *heard_data;

/* The next packet, which is of this kind; its buffer is given again. */
static void hear(uint16_t op)
{
    uint32_t id, len;

    if (!driver_await(&drv, RECEIVE, &id, &len))
        fail_msg("no packet, where one of op %u should be", op);
    memcpy(&heard_header, given[id].host, HEADER);
    heard_data = (const char *)given[id].host + HEADER;
    if (heard_header.op != op)
        fail_msg("op %u instead of %u", heard_header.op, op);
    assert_int_equal(len, HEADER + heard_header.len);
    assert_int_equal(heard_header.src_cid, VSOCK_CID_HOST);
    assert_int_equal(heard_header.dst_cid, CID);
    give_one(given[id]);
    driver_kick(&drv, RECEIVE);
}

static void hear_data(const char *text)
{
    hear(VIRTIO_VSOCK_OP_RW);
    assert_int_equal(heard_header.len, strlen(text));
    assert_memory_equal(heard_data, text, strlen(text));
}

static void hear_shut(uint32_t flags)
{
    hear(VIRTIO_VSOCK_OP_SHUTDOWN);
    assert_int_equal(heard_header.flags, flags);
}

static void silence(void)
{
    turn();
    assert_false(driver_used(&drv, RECEIVE, NULL, NULL));
    assert_int_equal(driver_status(&drv) & VIRTIO_CONFIG_S_NEEDS_RESET, 0);
}

/* Connect to where somebody listens. */
static void connect_out(void)
{
    if (far >= 0)
        close(far);
    say(OPEN, VIRTIO_VSOCK_OP_REQUEST, NULL, 0);
    hear(VIRTIO_VSOCK_OP_RESPONSE);
}

/* A client that is connected to PORT; returns its socket, and the host's port. */
static int connect_in(uint32_t *host_port)
{
    char want[32];
    const int fd = client("CONNECT 1234\n");

    hear(VIRTIO_VSOCK_OP_REQUEST);
    assert_int_equal(heard_header.dst_port, PORT);
    *host_port = heard_header.src_port;
    say(*host_port, VIRTIO_VSOCK_OP_RESPONSE, NULL, 0);
    snprintf(want, sizeof(want), "OK %u\n", *host_port);
    assert_string_equal(got(fd), want);
    return fd;
}

/* ---- tests ---- */

static void test_identity(void **state)
{
    (void)state;
    assert_true(driver_probe(&drv, &board, SLOT));
    assert_int_equal(config_read(&board, SLOT, 0, 4), 0x1053 << 16 | 0x1af4);
    assert_int_equal(driver_get(&drv, VIRTIO_PCI_COMMON_NUMQ, 2), 3);
    assert_int_equal(driver_read_offered(&drv) & 0xffffff, 1); /* streams */
    assert_int_equal(mmio_read(&board, drv.device, 4), CID);
    assert_int_equal(mmio_read(&board, drv.device + 4, 4), 0);
    mmio_write(&board, drv.device, 4, 99);
    assert_int_equal(mmio_read(&board, drv.device, 4), CID);
}

static void test_guest_connects(void **state)
{
    (void)state;
    use(8);
    connect_out();
    assert_int_equal(heard_header.src_port, OPEN);
    assert_int_equal(heard_header.dst_port, PORT);
    assert_int_equal(heard_header.type, VIRTIO_VSOCK_TYPE_STREAM);
    assert_int_equal(heard_header.buf_alloc, VSOCK_BUFFER);
    assert_int_equal(heard_header.fwd_cnt, 0);
    say(OPEN, VIRTIO_VSOCK_OP_RW, "hello", 5);
    assert_string_equal(got(far), "hello");
    assert_int_equal(send(far, "answer", 6, 0), 6);
    hear_data("answer");
    assert_int_equal(heard_header.fwd_cnt, 5);
    say(OPEN, VIRTIO_VSOCK_OP_RW, "", 0);
    say(OPEN, VIRTIO_VSOCK_OP_CREDIT_REQUEST, NULL, 0);
    hear(VIRTIO_VSOCK_OP_CREDIT_UPDATE);
    silence();
    say(OPEN, VIRTIO_VSOCK_OP_RST, NULL, 0);
    assert_null(got(far));
    silence();
    say(CLOSED, VIRTIO_VSOCK_OP_REQUEST, NULL, 0);
    hear(VIRTIO_VSOCK_OP_RST);
    assert_int_equal(heard_header.src_port, CLOSED);
    assert_int_equal(connects, 2);
}

static void test_host_connects(void **state)
{
    uint32_t port, second;

    (void)state;
    use(8);
    int fd = client("CONNECT 1234\nright away");
    hear(VIRTIO_VSOCK_OP_REQUEST);
    silence(); /* until it has answered */
    port = heard_header.src_port;
    assert_int_equal(heard_header.dst_port, PORT);
    assert_string_equal(got(fd), "");
    say(port, VIRTIO_VSOCK_OP_RESPONSE, NULL, 0);
    hear_data("right away");
    assert_true(str_starts(got(fd), "OK "));
    say(port, VIRTIO_VSOCK_OP_RW, "fine", 4);
    assert_string_equal(got(fd), "fine");
    int more = connect_in(&second);
    assert_int_not_equal(port, second);
    close(more);
    hear_shut(BOTH);
    say(second, VIRTIO_VSOCK_OP_RST, NULL, 0);
    close(fd);
    hear_shut(BOTH);
    silence();

    /* Refused; and a client that did not wait. */
    fd = client("CONNECT 1234\n");
    hear(VIRTIO_VSOCK_OP_REQUEST);
    say(heard_header.src_port, VIRTIO_VSOCK_OP_RST, NULL, 0);
    assert_null(got(fd));
    close(fd);
    fd = client("CONNECT 1234\n");
    hear(VIRTIO_VSOCK_OP_REQUEST);
    port = heard_header.src_port;
    close(fd);
    hear(VIRTIO_VSOCK_OP_RST);
    say(port, VIRTIO_VSOCK_OP_RESPONSE, NULL, 0);
    hear(VIRTIO_VSOCK_OP_RST);
    silence();
}

static void test_greetings(void **state)
{
    static const char *const bad[] = {"CONNECT\n",
                                      "CONNECT \n",
                                      "CONNECT x\n",
                                      "CONNECT -1\n",
                                      "CONNECT 4294967295\n",
                                      "CONNECT 99999999999\n",
                                      "connect 1\n",
                                      "GET / HTTP/1.1\n",
                                      "\n",
                                      "CONNECT 0000000000000000000000000001\n"};

    (void)state;
    use(8);
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        const int fd = client(bad[i]);
        assert_null(got(fd));
        close(fd);
    }
    silence();
    int fd = client("CON");
    assert_string_equal(got(fd), "");
    assert_int_equal(send(fd, "NECT 5", 6, 0), 6);
    assert_string_equal(got(fd), "");
    assert_int_equal(send(fd, "6\n", 2, 0), 2);
    hear(VIRTIO_VSOCK_OP_REQUEST);
    assert_int_equal(heard_header.dst_port, 56);
    close(fd);
    hear(VIRTIO_VSOCK_OP_RST);
    close(client("CONN"));
    close(client(""));
    silence();

    /* Nobody is there. */
    fd = client("");
    assert_true(driver_reset(&drv));
    assert_null(got(fd));
    close(fd);
    fd = client("CONNECT 1\n");
    assert_null(got(fd));
    close(fd);
}

/* Each side ends one direction, then the other. */
static void test_half_close(void **state)
{
    (void)state;
    use(8);
    connect_out();
    assert_int_equal(send(far, "last", 4, 0), 4);
    shutdown(far, SHUT_WR);
    hear_data("last");
    hear_shut(VIRTIO_VSOCK_SHUTDOWN_SEND);
    say(OPEN, VIRTIO_VSOCK_OP_RW, "still", 5);
    assert_string_equal(got(far), "still");
    close(far);
    far = -1;
    hear_shut(BOTH);
    say(OPEN, VIRTIO_VSOCK_OP_RW, "too late", 8); /* had been on its way */
    silence();
    say(OPEN, VIRTIO_VSOCK_OP_RST, NULL, 0);
    silence();
    say(OPEN, VIRTIO_VSOCK_OP_RW, "x", 1);
    hear(VIRTIO_VSOCK_OP_RST);

    connect_out();
    say_shut(OPEN, VIRTIO_VSOCK_SHUTDOWN_SEND);
    assert_null(got(far));
    assert_int_equal(send(far, "still", 5, 0), 5);
    hear_data("still");
    say(OPEN, VIRTIO_VSOCK_OP_CREDIT_UPDATE, NULL, 0);
    silence();
    say_shut(OPEN, VIRTIO_VSOCK_SHUTDOWN_RCV);
    hear(VIRTIO_VSOCK_OP_RST);
    assert_int_equal(send(far, "x", 1, MSG_NOSIGNAL), -1);

    /* At once; and what it said before comes first. */
    connect_out();
    say(OPEN, VIRTIO_VSOCK_OP_RW, "bye", 3);
    say_shut(OPEN, BOTH);
    hear(VIRTIO_VSOCK_OP_RST);
    assert_string_equal(got(far), "bye");
    assert_null(got(far));

    /* One that reads no more, but still has something to say. */
    connect_out();
    say_shut(OPEN, VIRTIO_VSOCK_SHUTDOWN_RCV);
    assert_int_equal(send(far, "x", 1, MSG_NOSIGNAL), -1);
    say(OPEN, VIRTIO_VSOCK_OP_RW, "but", 3);
    assert_string_equal(got(far), "but");
    say_shut(OPEN, 0);
    silence();
    close(far);
    far = -1;
    hear_shut(BOTH);
    say(OPEN, VIRTIO_VSOCK_OP_RST, NULL, 0);

    /* A host that reads no more. */
    connect_out();
    shutdown(far, SHUT_RD);
    say(OPEN, VIRTIO_VSOCK_OP_RW, "nobody", 6);
    hear_shut(VIRTIO_VSOCK_SHUTDOWN_RCV);
    say(OPEN, VIRTIO_VSOCK_OP_RW, "nobody", 6);
    assert_int_equal(send(far, "talks", 5, 0), 5);
    hear_data("talks");
    silence();
}

/* The guest has room for little. */
static void test_credit_of_guest(void **state)
{
    header h = from_guest(PORT, OPEN, VIRTIO_VSOCK_OP_REQUEST);

    (void)state;
    use(8);
    h.buf_alloc = 10;
    say_as(h, NULL, 0);
    hear(VIRTIO_VSOCK_OP_RESPONSE);
    assert_int_equal(send(far, "0123456789abcdefghijklmno", 25, 0), 25);
    hear_data("0123456789");
    hear(VIRTIO_VSOCK_OP_CREDIT_REQUEST);
    silence();
    h.op = VIRTIO_VSOCK_OP_CREDIT_UPDATE;
    h.fwd_cnt = 4;
    say_as(h, NULL, 0);
    hear_data("abcd");
    hear(VIRTIO_VSOCK_OP_CREDIT_REQUEST);
    h.fwd_cnt = 4; /* nothing new */
    say_as(h, NULL, 0);
    silence();
    h.buf_alloc = 0; /* less than is under way */
    say_as(h, NULL, 0);
    h.fwd_cnt = 4000; /* what cannot be */
    say_as(h, NULL, 0);
    silence();
    h.fwd_cnt = 14;
    h.buf_alloc = 100;
    say_as(h, NULL, 0);
    hear_data("efghijklmno");
    silence();
}

/* The host does not read: what was sent within the credit is kept, what is beyond is an end. */
static void test_credit_of_host(void **state)
{
    enum { PIECE = 16384 };
    static char piece[PIECE], back[PIECE];
    uint32_t sent = 0, forwarded = 0, taken = 0;

    (void)state;
    use(16);
    connect_out();
    /* As a driver does that obeys: until no credit is left. */
    for (;;) {
        uint32_t id, len;
        turn();
        while (driver_used(&drv, RECEIVE, &id, &len)) {
            memcpy(&heard_header, given[id].host, HEADER);
            assert_int_equal(heard_header.op, VIRTIO_VSOCK_OP_CREDIT_UPDATE);
            forwarded = heard_header.fwd_cnt;
            give_one(given[id]);
        }
        if (VSOCK_BUFFER - (sent - forwarded) < PIECE)
            break;
        for (unsigned i = 0; i < PIECE; i++)
            piece[i] = (char)((sent + i) * 31 >> 3);
        say(OPEN, VIRTIO_VSOCK_OP_RW, piece, PIECE);
        sent += PIECE;
        board_free_all(&board); /* requests are done; rings and buffers lie lower */
        board.next = 2u << 20;
    }
    assert_true(sent > VSOCK_BUFFER && sent < 16 * VSOCK_BUFFER);
    /* The host reads: all is there, in order, and there is credit again. */
    while (taken < sent) {
        turn();
        ssize_t n = recv(far, back, sizeof(back), MSG_DONTWAIT);
        assert_true(n > 0);
        for (ssize_t i = 0; i < n; i++, taken++)
            assert_int_equal(back[i], (char)(taken * 31 >> 3));
    }
    do
        hear(VIRTIO_VSOCK_OP_CREDIT_UPDATE);
    while (heard_header.fwd_cnt < sent - VSOCK_BUFFER / 2);
    assert_string_equal(got(far), "");

    /* A guest that does not care. */
    for (unsigned i = 0; i < 64 && !driver_used(&drv, RECEIVE, NULL, NULL); i++) {
        say(OPEN, VIRTIO_VSOCK_OP_RW, piece, PIECE);
        board.next = 2u << 20;
        turn();
        uint32_t id;
        while (driver_used(&drv, RECEIVE, &id, NULL)) {
            memcpy(&heard_header, given[id].host, HEADER);
            if (heard_header.op == VIRTIO_VSOCK_OP_RST)
                goto over;
            assert_int_equal(heard_header.op, VIRTIO_VSOCK_OP_CREDIT_UPDATE);
        }
    }
    fail_msg("it is not stopped");
over:
    while (recv(far, back, sizeof(back), MSG_DONTWAIT) > 0)
        ;
    assert_null(got(far));
}

/* Whoever closes has not waited for us: what it had sent is still passed on. */
static void test_flush_after_reset(void **state)
{
    static char piece[32768];
    uint32_t sent = 0;
    size_t taken = 0;
    ssize_t n;

    (void)state;
    use(8);
    connect_out();
    while (sent < VSOCK_BUFFER * 2) { /* more than a socket takes by itself */
        say(OPEN, VIRTIO_VSOCK_OP_RW, piece, sizeof(piece));
        sent += sizeof(piece);
        board.next = 2u << 20;
    }
    say_shut(OPEN, BOTH);
    say(OPEN, VIRTIO_VSOCK_OP_RST, NULL, 0);
    for (;;) {
        turn();
        n = recv(far, piece, sizeof(piece), MSG_DONTWAIT);
        if (n <= 0)
            break;
        taken += (size_t)n;
    }
    assert_int_equal(n, 0);
    assert_int_equal(taken, sent);
    uint32_t id;
    while (driver_used(&drv, RECEIVE, &id, NULL)) {
        memcpy(&heard_header, given[id].host, HEADER);
        assert_int_equal(heard_header.op, VIRTIO_VSOCK_OP_CREDIT_UPDATE);
    }
}

static void test_much_to_guest(void **state)
{
    enum { MUCH = 300000 };
    static uint8_t out[MUCH], in[MUCH];
    header h = from_guest(PORT, OPEN, VIRTIO_VSOCK_OP_CREDIT_UPDATE);
    size_t sent = 0, taken = 0;

    (void)state;
    for (unsigned i = 0; i < MUCH; i++)
        out[i] = (uint8_t)(i * 7 >> 2);
    use(16);
    connect_out();
    while (taken < MUCH) {
        ssize_t n = send(far, out + sent, MUCH - sent, MSG_DONTWAIT);
        sent += n > 0 ? (size_t)n : 0;
        hear(VIRTIO_VSOCK_OP_RW);
        assert_true(taken + heard_header.len <= MUCH);
        memcpy(in + taken, heard_data, heard_header.len);
        taken += heard_header.len;
        h.fwd_cnt = (uint32_t)taken;
        say_as(h, NULL, 0);
        board.next = 2u << 20;
    }
    assert_memory_equal(in, out, MUCH);
}

/* A header over many pieces, and bytes behind it over more. */
static void test_pieces(void **state)
{
    struct seg s[24];
    uint8_t all[24 * 5];
    uint32_t len;

    (void)state;
    use(1);
    connect_out(); /* the buffer is there again: use it up */
    say(OPEN, VIRTIO_VSOCK_OP_CREDIT_REQUEST, NULL, 0);
    assert_true(driver_await(&drv, RECEIVE, NULL, NULL));
    for (unsigned i = 0; i < ARRAY_SIZE(s); i++)
        s[i] = driver_buffer(&drv, 5, true);
    driver_send(&drv, RECEIVE, s, ARRAY_SIZE(s));
    assert_int_equal(send(far, "0123456789", 10, 0), 10);
    assert_true(driver_await(&drv, RECEIVE, NULL, &len));
    assert_int_equal(len, HEADER + 10);
    for (unsigned i = 0; i < ARRAY_SIZE(s); i++)
        memcpy(all + 5 * (size_t)i, s[i].host, 5);
    memcpy(&heard_header, all, HEADER);
    assert_int_equal(heard_header.op, VIRTIO_VSOCK_OP_RW);
    assert_int_equal(heard_header.len, 10);
    assert_memory_equal(all + HEADER, "0123456789", 10);
}

/* ---- what no driver should do ---- */

static void test_nonsense(void **state)
{
    header h;
    struct seg s;

    (void)state;
    use(16);
    /* Who it is not, and where nobody is. */
    h = from_guest(PORT, OPEN, VIRTIO_VSOCK_OP_REQUEST);
    h.src_cid = CID + 1;
    say_as(h, NULL, 0);
    h.src_cid = CID;
    h.dst_cid = 3;
    say_as(h, NULL, 0);
    h.dst_cid = VSOCK_CID_HOST | 1ull << 32;
    say_as(h, NULL, 0);
    say(OPEN, VIRTIO_VSOCK_OP_RST, NULL, 0);
    s = driver_bytes(&drv, &h, HEADER - 1);
    assert_int_equal(driver_request(&drv, SEND, &s, 1), 0);
    s = driver_buffer(&drv, 64, true);
    assert_int_equal(driver_request(&drv, SEND, &s, 1), 0);
    silence();
    assert_int_equal(connects, 0);

    h = from_guest(PORT, OPEN, VIRTIO_VSOCK_OP_REQUEST);
    h.type = VIRTIO_VSOCK_TYPE_SEQPACKET;
    say_as(h, NULL, 0);
    hear(VIRTIO_VSOCK_OP_RST);
    assert_int_equal(heard_header.type, VIRTIO_VSOCK_TYPE_SEQPACKET);

    /* Without a connection everything is answered by a reset. */
    for (uint16_t op = 0; op < 20; op++) {
        if (op == VIRTIO_VSOCK_OP_REQUEST || op == VIRTIO_VSOCK_OP_RST)
            continue;
        say(OPEN, op, "data", 4);
        hear(VIRTIO_VSOCK_OP_RST);
        assert_int_equal(heard_header.src_port, OPEN);
        assert_int_equal(heard_header.dst_port, PORT);
    }
    /* What does not fit to an open one ends it. */
    static const uint16_t wrong[] = {VIRTIO_VSOCK_OP_INVALID, VIRTIO_VSOCK_OP_REQUEST,
                                     VIRTIO_VSOCK_OP_RESPONSE, 8, UINT16_MAX};
    for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
        connect_out();
        say(OPEN, wrong[i], NULL, 0);
        hear(VIRTIO_VSOCK_OP_RST);
        assert_null(got(far));
    }
    /* So do more bytes than there are, or more than there may be. */
    connect_out();
    h = from_guest(PORT, OPEN, VIRTIO_VSOCK_OP_RW);
    h.len = 5;
    say_as(h, "1234", 4);
    hear(VIRTIO_VSOCK_OP_RST);
    assert_null(got(far));
    connect_out();
    h.len = UINT32_MAX;
    say_as(h, "1234", 4);
    hear(VIRTIO_VSOCK_OP_RST);
    /* Fewer are taken as what they are. */
    connect_out();
    h.len = 3;
    say_as(h, "1234", 4);
    assert_string_equal(got(far), "123");
    /* And no more after it has said that there are none. */
    say_shut(OPEN, VIRTIO_VSOCK_SHUTDOWN_SEND | 0xf0);
    say(OPEN, VIRTIO_VSOCK_OP_RW, "x", 1);
    hear(VIRTIO_VSOCK_OP_RST);

    /* A client that waits for an answer gets none of these for one. */
    int fd = client("CONNECT 1234\n");
    hear(VIRTIO_VSOCK_OP_REQUEST);
    const uint32_t port = heard_header.src_port;
    say(port, VIRTIO_VSOCK_OP_CREDIT_UPDATE, NULL, 0);
    say(port, VIRTIO_VSOCK_OP_RW, "x", 1);
    hear(VIRTIO_VSOCK_OP_RST);
    assert_null(got(fd));
    close(fd);
    silence();

    /* No room for any packet. */
    assert_true(driver_reset(&drv));
    use(0);
    give(1, HEADER);
    h = from_guest(PORT, OPEN, VIRTIO_VSOCK_OP_RW);
    s = driver_bytes(&drv, &h, HEADER);
    driver_send(&drv, SEND, &s, 1);
    turn();
    assert_true(driver_status(&drv) & VIRTIO_CONFIG_S_NEEDS_RESET);
}

/* Answers that the guest does not take: after so many its packets wait. */
static void test_many_resets(void **state)
{
    unsigned sent = 0, taken = 0, answered = 0;
    uint32_t id;

    (void)state;
    use(0);
    header h = from_guest(PORT, OPEN, VIRTIO_VSOCK_OP_RW);
    struct seg s = driver_bytes(&drv, &h, HEADER);
    for (unsigned i = 0; i < 10; i++) {
        for (; sent - taken < 60; sent++)
            driver_send(&drv, SEND, &s, 1);
        turn();
        while (driver_used(&drv, SEND, NULL, NULL))
            taken++;
    }
    assert_in_range(taken, 100, 130);
    give(60, ROOM);
    for (unsigned i = 0; i < 50; i++) {
        turn();
        while (driver_used(&drv, SEND, NULL, NULL))
            taken++;
        while (driver_used(&drv, RECEIVE, &id, NULL)) {
            answered++;
            give_one(given[id]);
            driver_kick(&drv, RECEIVE);
        }
    }
    assert_int_equal(taken, answered);
    assert_true(taken > 150);
}

static void test_many_connections(void **state)
{
    static int ends[VSOCK_CONNECTIONS];

    (void)state;
    use(16);
    for (unsigned i = 0; i < VSOCK_CONNECTIONS; i++) {
        say_as(from_guest(i, OPEN, VIRTIO_VSOCK_OP_REQUEST), NULL, 0);
        hear(VIRTIO_VSOCK_OP_RESPONSE);
        ends[i] = far;
        far = -1;
    }
    say_as(from_guest(PORT, OPEN, VIRTIO_VSOCK_OP_REQUEST), NULL, 0);
    hear(VIRTIO_VSOCK_OP_RST);
    assert_int_equal(connects, VSOCK_CONNECTIONS);
    int fd = client("CONNECT 1\n");
    assert_null(got(fd));
    close(fd);
    silence();

    /* Each is still what it was. */
    for (unsigned i = 0; i < VSOCK_CONNECTIONS; i += 50) {
        say_as(from_guest(i, OPEN, VIRTIO_VSOCK_OP_RW), &i, sizeof(i));
        turn();
        unsigned back = 0;
        assert_int_equal(recv(ends[i], &back, sizeof(back), 0), sizeof(back));
        assert_int_equal(back, i);
    }
    /* One that only waits for a guest that does not answer makes room. */
    close(ends[3]);
    hear_shut(BOTH);
    say(OPEN, VIRTIO_VSOCK_OP_REQUEST, NULL, 0);
    hear(VIRTIO_VSOCK_OP_RST);
    assert_int_equal(heard_header.dst_port, 3);
    hear(VIRTIO_VSOCK_OP_RESPONSE);
    say_as(from_guest(3, OPEN, VIRTIO_VSOCK_OP_RW), "x", 1);
    hear(VIRTIO_VSOCK_OP_RST);
    assert_true(driver_reset(&drv));
    for (unsigned i = 0; i < VSOCK_CONNECTIONS; i++) {
        if (i == 3)
            continue;
        assert_null(got(ends[i]));
        close(ends[i]);
    }
}

/* What a driver that was saved is told where it goes on: 5.10.6.7. */
static void test_saved(void **state)
{
    struct error err;
    struct state s;
    uint32_t id, len;

    (void)state;
    use(8);
    connect_out();
    struct seg event = driver_buffer(&drv, 8, true);
    driver_send(&drv, EVENT, &event, 1);
    silence();
    assert_false(driver_used(&drv, EVENT, NULL, NULL));
    assert_int_equal(virtio_hold_all(&board.virtio, 1000, &err), 0);
    state_save(&s, &err);
    pci_state(&board.pci, &s);
    virtio_state_all(&board.virtio, &s);
    assert_int_equal(state_finish(&s), 0);
    cleanup_free uint8_t *data = s.data;
    const int old_far = far;
    build(&other);
    for (unsigned i = 0; i < 2; i++)
        memcpy(other.memory->slots[i].host, board.memory->slots[i].host,
               board.memory->slots[i].size);
    state_load(&s, data, s.len, &err);
    pci_state(&other.pci, &s);
    virtio_state_all(&other.virtio, &s);
    if (state_finish(&s) < 0)
        fail_msg("%s", err.text);
    virtio_release_all(&other.virtio);
    drv.board = &other;
    for (unsigned i = 0; i < DRIVER_QUEUES; i++) {
        struct driver_queue *q = &drv.queues[i];
        q->desc = memory_at(other.memory, q->desc_at, 1);
        q->avail = memory_at(other.memory, q->avail_at, 1);
        q->used = memory_at(other.memory, q->used_at, 1);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(given); i++)
        given[i].host = given[i].at ? memory_at(other.memory, given[i].at, 1) : NULL;
    other.next = board.next;
    assert_true(driver_await(&drv, EVENT, &id, &len));
    assert_int_equal(len, 4);
    assert_int_equal(*(uint32_t *)memory_at(other.memory, event.at, 4),
                     VIRTIO_VSOCK_EVENT_TRANSPORT_RESET);
    say(OPEN, VIRTIO_VSOCK_OP_RW, "x", 1);
    hear(VIRTIO_VSOCK_OP_RST);
    connect_out();
    close(far);
    far = old_far;
    board_destroy(&other);
    drv.board = &board;
    virtio_release_all(&board.virtio); /* the one that was saved goes on */
    assert_string_equal(got(far), "");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_identity),         TEST(test_guest_connects),
        TEST(test_host_connects),    TEST(test_greetings),
        TEST(test_half_close),       TEST(test_credit_of_guest),
        TEST(test_credit_of_host),   TEST(test_flush_after_reset),
        TEST(test_much_to_guest),    TEST(test_pieces),
        TEST(test_nonsense),         TEST(test_many_resets),
        TEST(test_many_connections), TEST(test_saved),
    };
    return cmocka_run_group_tests_name("vsock", tests, NULL, NULL);
}
