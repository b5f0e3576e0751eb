/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The devices that a guest cannot find by itself. Ports and interrupts are those of
 * src/kvm/machine.h; the type of _S5 is PM_S5_TYPE of src/kvm/legacy/pm.h. The power button is a
 * fixed one, told in the FADT; processors are in the MADT.
 */
DefinitionBlock ("dsdt.aml", "DSDT", 2, "PULT", "PULTVM", 1)
{
    Name (\_S5, Package () { 5, 5, 0, 0 })

    Scope (\_SB)
    {
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
