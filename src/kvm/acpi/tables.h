/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ACPI tables: what the guest is told of the machine it runs on.
 *
 *     RSDP ─► XSDT ─┬► FADT ─┬► DSDT   from dsdt.asl, compiled at build time
 *                   ├► MADT  └► FACS
 *                   └► MCFG            where PCI's configuration space is
 */
#ifndef PULT_KVM_ACPI_TABLES_H
#define PULT_KVM_ACPI_TABLES_H

#include <stdint.h>

#include "kvm/memory.h"
#include "kvm/topology.h"

/*
 * Write all tables for these vCPUs, and a second serial port if there is one, into
 * [gpa, gpa + room), the RSDP first. -1: no room.
 */
int acpi_put_tables(const struct memory *m, uint64_t gpa, uint64_t room,
                    const struct cpu_topology *cpus, bool com2);

#endif
