/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The devices that a guest cannot find by itself. Ports and interrupts are those of
 * src/kvm/machine.h; the type of _S5 is PM_S5_TYPE of src/kvm/legacy/pm.h. The power button is a
 * fixed one, told in the FADT; processors are in the MADT. PCI's windows and configuration space
 * are those of src/kvm/memory.h, its interrupts those of src/kvm/pci/pci.h.
 */
DefinitionBlock ("dsdt.aml", "DSDT", 2, "PULT", "PULTVM", 1)
{
    Name (\_S5, Package () { 5, 5, 0, 0 })

    Scope (\_SB)
    {
        /* The 64-bit window: tables.c finds these names and writes the guest's numbers into them. */
        Name (PWLO, 0x1111111111111111)
        Name (PWHI, 0x2222222222222222)
        Name (PWLN, 0x3333333333333333)

        Device (PCI0)
        {
            Name (_HID, EisaId ("PNP0A03"))
            Name (_UID, 0)
            Name (_BBN, 0)
            Name (CRS0, ResourceTemplate ()
            {
                WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode,
                               0, 0, 0, 0, 1)
                IO (Decode16, 0xcf8, 0xcf8, 1, 8)
                DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable,
                             ReadWrite, 0, 0xd0000000, 0xefffffff, 0, 0x20000000)
            })
            Name (CRS1, ResourceTemplate ()
            {
                QWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable,
                             ReadWrite, 0, 0, 0, 0, 0, ,, HIGH)
            })
            Method (_CRS, 0, Serialized)
            {
                If (LEqual (PWLN, 0))
                {
                    Return (CRS0)
                }
                CreateQWordField (CRS1, \_SB.PCI0.HIGH._MIN, LO)
                CreateQWordField (CRS1, \_SB.PCI0.HIGH._MAX, HI)
                CreateQWordField (CRS1, \_SB.PCI0.HIGH._LEN, LN)
                Store (PWLO, LO)
                Store (PWHI, HI)
                Store (PWLN, LN)
                Return (ConcatenateResTemplate (CRS0, CRS1))
            }
            /* Slot n's INTA# is GSI 16 + n modulo 8. */
            Name (_PRT, Package ()
            {
                Package () { 0x0001ffff, 0, 0, 17 },
                Package () { 0x0002ffff, 0, 0, 18 },
                Package () { 0x0003ffff, 0, 0, 19 },
                Package () { 0x0004ffff, 0, 0, 20 },
                Package () { 0x0005ffff, 0, 0, 21 },
                Package () { 0x0006ffff, 0, 0, 22 },
                Package () { 0x0007ffff, 0, 0, 23 },
                Package () { 0x0008ffff, 0, 0, 16 },
                Package () { 0x0009ffff, 0, 0, 17 },
                Package () { 0x000affff, 0, 0, 18 },
                Package () { 0x000bffff, 0, 0, 19 },
                Package () { 0x000cffff, 0, 0, 20 },
                Package () { 0x000dffff, 0, 0, 21 },
                Package () { 0x000effff, 0, 0, 22 },
                Package () { 0x000fffff, 0, 0, 23 },
                Package () { 0x0010ffff, 0, 0, 16 },
                Package () { 0x0011ffff, 0, 0, 17 },
                Package () { 0x0012ffff, 0, 0, 18 },
                Package () { 0x0013ffff, 0, 0, 19 },
                Package () { 0x0014ffff, 0, 0, 20 },
                Package () { 0x0015ffff, 0, 0, 21 },
                Package () { 0x0016ffff, 0, 0, 22 },
                Package () { 0x0017ffff, 0, 0, 23 },
                Package () { 0x0018ffff, 0, 0, 16 },
                Package () { 0x0019ffff, 0, 0, 17 },
                Package () { 0x001affff, 0, 0, 18 },
                Package () { 0x001bffff, 0, 0, 19 },
                Package () { 0x001cffff, 0, 0, 20 },
                Package () { 0x001dffff, 0, 0, 21 },
                Package () { 0x001effff, 0, 0, 22 },
                Package () { 0x001fffff, 0, 0, 23 }
            })
        }

        /* What is not for others to use: configuration space. */
        Device (MRES)
        {
            Name (_HID, EisaId ("PNP0C02"))
            Name (_UID, 0)
            Name (_CRS, ResourceTemplate ()
            {
                Memory32Fixed (ReadOnly, 0xf0000000, 0x00100000)
            })
        }

        Device (COM1)
        {
            Name (_HID, EisaId ("PNP0501"))
            Name (_UID, 1)
            Name (_STA, 0x0f)
            Name (_CRS, ResourceTemplate ()
            {
                IO (Decode16, 0x3f8, 0x3f8, 1, 8)
                IRQNoFlags () { 4 }
            })
        }

        Name (HSC2, 0x4444444444444444) /* is there a COM2? */
        Device (COM2)
        {
            Name (_HID, EisaId ("PNP0501"))
            Name (_UID, 2)
            Method (_STA, 0, NotSerialized)
            {
                If (LEqual (HSC2, 0))
                {
                    Return (0)
                }
                Return (0x0f)
            }
            Name (_CRS, ResourceTemplate ()
            {
                IO (Decode16, 0x2f8, 0x2f8, 1, 8)
                IRQNoFlags () { 3 }
            })
        }

        Device (RTC)
        {
            Name (_HID, EisaId ("PNP0B00"))
            Name (_STA, 0x0f)
            Name (_CRS, ResourceTemplate ()
            {
                IO (Decode16, 0x70, 0x70, 1, 2)
                IRQNoFlags () { 8 }
            })
        }

        Device (PEVT)
        {
            Name (_HID, "QEMU0001")
            Name (_STA, 0x0f)
            Name (_CRS, ResourceTemplate ()
            {
                IO (Decode16, 0x505, 0x505, 1, 1)
            })
        }
    }
}
