/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pult: argv → the UI, or one command. The only file that names the engines.
 */
#include <fcntl.h>
#include <jansson.h>
#include <sys/random.h>
#include <unistd.h>

#include "cmd/command.h"
#include "guest/engine.h"
#include "kvm/kvm.h"
#include "lxc/lxc.h"
#include "ui/ui.h"

static const struct engine *const engines[] = {&lxc_engine, &kvm_engine, NULL};

/* A descriptor that is opened later must not become standard input, output or error. */
static void open_standard_fds(void)
{
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            open("/dev/null", O_RDWR);
}

/* Where the hash tables of JSON begin; jansson itself would open /dev/urandom in each process. */
static void seed_json(void)
{
    size_t seed;
    if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) == (ssize_t)sizeof seed)
        json_object_seed(seed);
}

int main(int argc, char **argv)
{
    open_standard_fds();
    seed_json();
    engines_set(engines);
    return argc == 1 ? ui_main() : command_main(argc - 1, argv + 1);
}
