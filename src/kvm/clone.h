/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Another VM like one that there is: engine.clone(). Each disk that the VM writes to is copied; what it
 * only reads is shared.
 */
#ifndef PULT_KVM_CLONE_H
#define PULT_KVM_CLONE_H

#include "base/conf.h"
#include "base/error.h"
#include "guest/engine.h"

int clone_machine(const struct engine_clone *c, struct conf *conf, const char *dir,
                  struct error *err);

#endif
