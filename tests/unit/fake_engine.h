/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An engine for tests of what is above engines: its guest is one shell command on a pty, named by
 * the key fake.command.
 */
#ifndef PULT_TESTS_FAKE_ENGINE_H
#define PULT_TESTS_FAKE_ENGINE_H

#include "guest/engine.h"

extern const struct engine fake_engine; /* of the type "fake" */
/* engines_set() to the fake one, PULT_HOME and PULT_RUN to a fresh directory. */
void fake_setup(void);
/* Remove that directory. */
void fake_teardown(void);
/* A conf for a guest that runs this command. */
struct conf *fake_conf(const char *command);

#endif
