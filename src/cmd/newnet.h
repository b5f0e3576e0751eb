/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The network of a new guest that was given none. HOME/pult.conf says which, by
 *
 *     net.default = NAME|user|none
 *
 * and otherwise it is nat0, for root where the host can do that, which is defined with the first such
 * guest; or `user`, for who may run that program; or none. What is not the first choice is said.
 */
#ifndef PULT_CMD_NEWNET_H
#define PULT_CMD_NEWNET_H

#include "base/conf.h"
#include "base/error.h"

#define DEFAULT_NETWORK "nat0"

/* Does a definition say anything of networks? */
bool new_net_given(const struct conf *conf);
/*
 * Add the default to a definition that does not; a note goes to standard error. Changes nothing on
 * disk, so that a guest that cannot be created leaves no network behind.
 */
int new_net_default(const char *type, struct conf *conf, struct error *err);
/* Define nat0 where this definition wants it and it is not there: the last before the guest's name. */
int new_net_define(const struct conf *guest, struct error *err);

#endif
