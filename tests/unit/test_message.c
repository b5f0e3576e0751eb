/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The messages between a keeper and the first process of its container: descriptors arrive, and
 * never more than there is room for.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/util.h"
#include "lxc/container.h"

static void takes_no_more_descriptors_than_fit(void **state)
{
    const int sent[4] = {0, 0, 0, 0};
    int sock[2], got[4] = {-1, -1, -1, -77};
    struct message m = {.kind = MESSAGE_CONSOLE};

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sock), 0);
    for (size_t room = 1; room <= 3; room++) {
        got[room] = -77;
        assert_int_equal(message_send(sock[0], &m, sent, ARRAY_SIZE(sent)), 0);
        assert_int_equal(message_recv(sock[1], &m, got, room), (int)room);
        assert_int_equal(got[room], -77);
        for (size_t i = 0; i < room; i++)
            assert_int_equal(close(got[i]), 0);
    }
    assert_int_equal(message_send(sock[0], &m, sent, ARRAY_SIZE(sent)), 0);
    assert_int_equal(message_recv(sock[1], &m, NULL, 0), 0);
    close(sock[0]);
    assert_int_equal(message_recv(sock[1], &m, got, 3), -1);
    assert_int_equal(errno, EPIPE);
    close(sock[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_no_more_descriptors_than_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
