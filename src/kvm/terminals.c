/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Terminals, see terminals.h. All of this runs in the keeper's loop, but COM1's line and
 * emergency(), which are called by vCPUs.
 */
#include "kvm/terminals.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "guest/keeper.h"
#include "kvm/throw/throw.h"
#include "kvm/virtio/console.h"
#include "kvm/vm.h"

/* A character that Linux's hvc driver takes for what a break is on a serial line. */
#define HVC_SYSRQ "\x0f"

/* A terminal or port of virtio, and what it is joined to. */
struct terminal {
    struct vm *vm;
    struct console *console;
    struct virtio_port *port;
    bool is_console; /* hvc0 where that is the console */
    bool stream;     /* a named port */
    bool open;       /* the guest's driver has it */
};

struct terminals {
    unsigned count;
    struct terminal terminal[2 + VIRTIO_PORTS_MOST]; /* with is_console: the first */
};

/* ---- the definition ---- */

int terminals_is_console(const char *value, struct error *err)
{
    if (strcmp(value, "serial") == 0 || strcmp(value, "virtio") == 0)
        return 0;
    return error_set(err, 0, "'%s' is neither serial nor virtio", value);
}

/* A dot keeps them apart from the names of terminals, and from each other's. */
int terminals_is_port(const char *value, struct error *err)
{
    static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";

    if (strlen(value) <= VIRTIO_PORT_NAME && strspn(value, good) == strlen(value) &&
        strchr(value, '.') && value[0] != '.' && value[strlen(value) - 1] != '.')
        return 0;
    return error_set(err, 0,
                     "'%s' is no name of a port, such as org.example.agent: letters, digits, _, - "
                     "and at least one dot, %u at most",
                     value, VIRTIO_PORT_NAME);
}

bool terminals_virtio(const struct guest_def *def)
{
    return str_eq(conf_get(def->conf, "vm.console"), "virtio");
}

/* The name of port n, or NULL. */
static const char *port_name(const struct guest_def *def, unsigned n)
{
    char key[24];

    snprintf(key, sizeof(key), "vm.port.%u", n);
    return conf_get(def->conf, key);
}

/* How many named ports there are: numbers without a gap. */
static unsigned count_ports(const struct guest_def *def)
{
    unsigned n = 0;

    while (port_name(def, n))
        n++;
    return n;
}

int terminals_check(const struct guest_def *def, struct error *err)
{
    const unsigned n = count_ports(def);
    unsigned keys = 0;

    if (terminals_virtio(def) && throw_wanted(def))
        return error_set(err, 0, "vm.console = virtio: with vm.rootfs it is the serial port");

    for (size_t i = 0; i < def->conf->count; i++) {
        const struct conf_line *l = &def->conf->lines[i];
        keys += l->key && str_starts(l->key, "vm.port.") && conf_get(def->conf, l->key) == l->value;
    }
    if (keys != n)
        return error_set(err, 0, "vm.port.%u is missing: ports are numbered from 0 without a gap",
                         n);
    if (n > VIRTIO_PORTS_MOST)
        return error_set(err, 0, "a VM has at most %u ports (vm.port)", VIRTIO_PORTS_MOST);
    for (unsigned i = 0; i < n; i++)
        for (unsigned j = 0; j < i; j++)
            if (strcmp(port_name(def, i), port_name(def, j)) == 0)
                return error_set(err, 0, "vm.port.%u and vm.port.%u have the same name", j, i);
    return 0;
}

/* ---- from the guest ---- */

/* The guest prints on the console; what it printed last is kept, however slow the readers. */
static size_t print(struct vm *vm, struct console *console, const void *data, size_t len)
{
    if (!vm->ended)
        return console_put(console, data, len);
    console_put_last(console, data, len);
    return len;
}

static size_t com1_put(void *arg, const void *data, size_t len)
{
    struct vm *vm = arg;

    return print(vm, vm->keeper->console, data, len);
}

static void com1_input_ready(void *arg)
{
    struct vm *vm = arg;

    console_input_ready(vm->keeper->console);
}

const struct serial_line terminals_com1 = {com1_put, com1_input_ready};

static size_t terminal_put(void *arg, const void *data, size_t len)
{
    struct terminal *t = arg;
    size_t n = print(t->vm, t->console, data, len);

    if (t->is_console)
        machine_printed(t->vm->machine, data, n);
    return n;
}

static void terminal_input_ready(void *arg)
{
    struct terminal *t = arg;

    console_input_ready(t->console);
}

static void terminal_opened(void *arg, bool open)
{
    struct terminal *t = arg;

    t->open = open;
    console_input_ready(t->console); /* what waited for COM1 to take it may go here now */
}

static void terminal_emergency(void *arg, uint8_t byte)
{
    struct terminal *t = arg;

    console_put(t->console, &byte, 1);
}

static const struct virtio_port_line terminal_line = {
    .put = terminal_put,
    .input_ready = terminal_input_ready,
    .opened = terminal_opened,
    .emergency = terminal_emergency,
};

/* ---- to the guest ---- */

/* The terminal that is the console now, NULL: COM1. */
static struct terminal *console_terminal(const struct vm *vm)
{
    struct terminal *first = vm->terminals->terminal;

    return vm->terminals->count && first->is_console && first->open ? first : NULL;
}

static size_t console_input(void *arg, const void *data, size_t len)
{
    struct vm *vm = arg;
    struct terminal *t = console_terminal(vm);

    if (vm->deaf)
        return 0;
    return t ? virtio_port_input(t->port, data, len) : serial_input(&vm->machine->com1, data, len);
}

static void console_output_ready(void *arg)
{
    struct vm *vm = arg;
    struct terminals *all = vm->terminals;

    serial_output_ready(&vm->machine->com1);
    if (all->count && all->terminal[0].is_console)
        virtio_port_output_ready(all->terminal[0].port);
}

static const struct console_port console_port = {console_input, console_output_ready, NULL, NULL};

static size_t port_input(void *arg, const void *data, size_t len)
{
    return virtio_port_input(((struct terminal *)arg)->port, data, len);
}

static void port_output_ready(void *arg)
{
    virtio_port_output_ready(((struct terminal *)arg)->port);
}

static void port_resize(void *arg, unsigned cols, unsigned rows)
{
    virtio_port_resize(((struct terminal *)arg)->port, cols, rows);
}

static void port_attended(void *arg, bool yes)
{
    virtio_port_attend(((struct terminal *)arg)->port, yes);
}

static const struct console_port terminal_port = {port_input, port_output_ready, port_resize, NULL};
static const struct console_port stream_port = {port_input, port_output_ready, NULL, port_attended};

void terminals_resize(struct vm *vm, unsigned cols, unsigned rows)
{
    struct terminals *all = vm->terminals;

    if (all && all->count && all->terminal[0].is_console)
        virtio_port_resize(all->terminal[0].port, cols, rows);
}

void terminals_break(struct vm *vm)
{
    struct terminal *t = console_terminal(vm);

    if (t)
        console_type(vm->keeper->console, HVC_SYSRQ, 1);
    else
        serial_break(&vm->machine->com1);
}

/* ---- life ---- */

/* One more, joined to the keeper's console or to a port of this name. */
static struct terminal *new_terminal(struct vm *vm, const char *name, bool stream,
                                     struct error *err)
{
    struct keeper *k = vm->keeper;
    struct terminals *all = vm->terminals;
    struct console *console = name ? keeper_port(k, name, stream, err) : k->console;

    if (!console)
        return NULL;
    struct terminal *t = &all->terminal[all->count++];
    *t = (struct terminal){.vm = vm, .console = console, .is_console = !name, .stream = stream};
    return t;
}

static int add_hvc(struct vm *vm, const char *name, struct error *err)
{
    struct terminal *t = new_terminal(vm, name, false, err);

    if (!t)
        return -1;
    t->port = virtio_terminal_add(&vm->machine->virtio, &terminal_line, t, err);
    return t->port ? 0 : -1;
}

static int add_named(struct vm *vm, struct error *err)
{
    struct virtio_port_setup setup[VIRTIO_PORTS_MOST];
    struct terminal *of[VIRTIO_PORTS_MOST];
    const unsigned n = count_ports(vm->keeper->def);

    if (!n)
        return 0;
    for (unsigned i = 0; i < n; i++) {
        const char *name = port_name(vm->keeper->def, i);
        of[i] = new_terminal(vm, name, true, err);
        if (!of[i])
            return -1;
        setup[i] = (struct virtio_port_setup){.name = name, .line = &terminal_line, .arg = of[i]};
    }
    if (virtio_ports_add(&vm->machine->virtio, setup, n, err) < 0)
        return -1;
    for (unsigned i = 0; i < n; i++)
        of[i]->port = setup[i].port;
    return 0;
}

int terminals_add(struct machine *m, struct keeper *k, struct error *err)
{
    struct vm *vm = vm_of(k);

    (void)m;
    vm->terminals = xcalloc(1, sizeof(*vm->terminals));
    if (terminals_virtio(k->def) && add_hvc(vm, NULL, err) < 0)
        return -1;
    if (add_hvc(vm, terminals_virtio(k->def) ? "hvc1" : "hvc0", err) < 0)
        return -1;
    return add_named(vm, err);
}

void terminals_plug(struct vm *vm)
{
    struct keeper *k = vm->keeper;

    for (unsigned i = 0; i < vm->terminals->count; i++) {
        struct terminal *t = &vm->terminals->terminal[i];
        if (!t->is_console)
            console_plug(t->console, t->stream ? &stream_port : &terminal_port, t);
    }
    terminals_resize(vm, k->cols, k->rows);
    console_plug(k->console, &console_port, vm);
}

void terminals_last(struct vm *vm)
{
    for (unsigned i = 0; i < vm->terminals->count; i++)
        virtio_port_last(vm->terminals->terminal[i].port);
    serial_output_ready(&vm->machine->com1);
}

void terminals_unplug(struct vm *vm)
{
    struct terminals *all = vm->terminals;

    for (unsigned i = 0; all && i < all->count; i++)
        console_unplug(all->terminal[i].console);
    console_unplug(vm->keeper->console);
    free(all);
    vm->terminals = NULL;
}

void terminals_ready(void *arg)
{
    struct vm *vm = arg;

    vm->deaf = false;
    console_input_ready(vm->keeper->console);
}
