/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pult balloon: take memory from a running VM, give it back, and see what it does with it. */
#include <stdio.h>

#include "base/cleanup.h"
#include "base/util.h"
#include "cmd/ask.h"
#include "cmd/print.h"
#include "cmd/table.h"
#include "guest/client.h"

static uint64_t member(const json_t *o, const char *name)
{
    return (uint64_t)json_integer_value(json_object_get(o, name));
}

/* "left: 256M of 1.0G", and what the guest says. */
static void print_balloon(const json_t *b)
{
    const uint64_t left = member(b, "left_bytes"), wanted = member(b, "wanted_bytes");
    char text[8], of[8];
    const char *name;
    json_t *value;

    size_human(left, text);
    size_human(member(b, "size_bytes"), of);
    printf("%-20s %s of %s\n", "left to the guest:", text, of);
    if (wanted != left) {
        size_human(wanted, text);
        printf("%-20s %s\n", "asked for:", text);
    }
    json_object_foreach (json_object_get(b, "guest"), name, value) {
        size_human((uint64_t)json_integer_value(value), text);
        cleanup_free char *label = xasprintf("guest's %s:", name);
        printf("%-20s %s\n", printable(label), text);
    }
}

static int balloon_run(const struct cmd_args *a)
{
    struct error err = {0};
    const char *name = cmd_pos(a, 0), *size = cmd_pos(a, 1);
    json_t *request = json_pack("{s:s}", "cmd", "balloon"), *answer = NULL;
    uint64_t bytes = 0;

    if (size && (size_parse(size, &bytes, &err) < 0 || bytes == 0)) {
        json_decref(request);
        return cmd_usage(a, "'%s' is no size of memory, such as 256M", size);
    }
    if (size)
        json_object_set_new(request, "memory", json_integer((json_int_t)bytes));
    cleanup_close int control = ask_connect(name, &err);
    if (control < 0) {
        json_decref(request);
        return cmd_fail(a, &err);
    }
    if (client_call(control, request, NULL, 0, ASK_MS, &answer, NULL, &err) < 0)
        return cmd_fail(a, &err);
    json_t *balloon = json_incref(json_object_get(answer, "balloon"));
    json_decref(answer);
    if (size && !json_is_true(json_object_get(balloon, "driver")))
        fprintf(stderr,
                "pult: the guest has no balloon driver (virtio_balloon) yet; it is asked when it "
                "has\n");
    if (cmd_json(a)) {
        print_json(balloon);
        return EXIT_OK;
    }
    if (!size)
        print_balloon(balloon);
    json_decref(balloon);
    return EXIT_OK;
}

const struct command cmd_balloon = {
    .name = "balloon",
    .args = "NAME [SIZE]",
    .min = 1,
    .max = 2,
    .help = "leave a running VM only so much of its memory, or see what it has",
    .detail =
        "The guest is asked to be content with SIZE; what is above that comes back to the host,\n"
        "page by page, as far as the guest can spare it: rather than end its own processes it\n"
        "takes memory back. SIZE may be anything up to guest.memory, which gives it all back.\n"
        "It lasts until the VM ends; vm.balloon says how much it is left with when it starts.\n\n"
        "Without SIZE it prints what the guest is left with, and how that is used as the guest\n"
        "itself says. Memory that it has freed comes back to the host without being asked for.\n\n"
        "  pult balloon web1 256M\n"
        "  pult balloon web1 -o json | jq .guest.available",
    .json = true,
    .safe = true,
    .states = ON_STATE(GUEST_RUNNING) | ON_STATE(GUEST_FROZEN) | ON_STATE(GUEST_STOPPING),
    .run = balloon_run,
};
