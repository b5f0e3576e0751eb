/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Engine 1: virtual machines on KVM.
 */
#ifndef PULT_KVM_KVM_H
#define PULT_KVM_KVM_H

#include "guest/engine.h"

extern const struct engine kvm_engine;

#endif
