/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The full-screen console: what `pult` without arguments is. */
#ifndef PULT_UI_UI_H
#define PULT_UI_UI_H

/* Run until the admin quits or the terminal is lost. Returns an exit status (command.h). */
int ui_main(void);

#endif
