/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The files of a network's server, for server.c alone.
 */
#ifndef PULT_NET_SERVER_FILES_H
#define PULT_NET_SERVER_FILES_H

#include "base/error.h"
#include "net/network.h"

/* Write them where they say something else now: 1; 0 where they said that already. */
int server_write_config(const struct network *n, struct error *err);
int server_write_hosts(const char *network, struct error *err);

#endif
