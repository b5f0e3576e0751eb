/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Profiles of system calls in LXC's format: each becomes a filter that the kernel would take (whole
 * instructions, not too many), or is refused with a reason.
 */
#include "fuzz/feed.h"

#include "base/cleanup.h"
#include "base/util.h"
#include "lxc/seccomp_profile.h"

static const char *const heads[] = {"2\ndenylist\n",
                                    "2\nallowlist\n",
                                    "2\nblacklist\n",
                                    "2\nwhitelist\n",
                                    "1\nallowlist\n",
                                    "1\nwhitelist\n",
                                    "2\ndenylist kill\n",
                                    "2\nallowlist errno 38\n",
                                    "2\nblacklist allow\n",
                                    "3\ndenylist\n",
                                    "2\n",
                                    ""};
static const char *const calls[] = {
    "mount", "umount2", "mknod",       "ioctl",        "clone",  "read", "reject_force_umount",
    "39",    "keyctl",  "personality", "no_such_call", "socket", "x32",  "-1",
    "99999"};
static const char *const actions[] = {"",     " errno 1", " kill",  " allow",        " trap",
                                      " log", " notify",  " errno", " kill_process", " errno 99999",
                                      " x"};
static const char *const sections[] = {"[all]",    "[x86_64]", "[x86]", "[arm64]",
                                       "[X86_64]", "[",        "[]"};
static const char *const compares[] = {"SCMP_CMP_EQ", "SCMP_CMP_NE", "SCMP_CMP_MASKED_EQ",
                                       "SCMP_CMP_GT", "SCMP_CMP_LE", "SCMP_CMP_"};
static const char *const numbers[] = {"0", "1", "5", "6", "0x5412", "4294967296", "-1", "x", ""};

static void line(struct feed *f, FILE *out)
{
    if (feed_rarely(f, 12)) {
        cleanup_free char *raw = feed_string(f, 60);
        fprintf(out, "%s\n", raw);
        return;
    }
    if (feed_rarely(f, 6)) {
        fprintf(out, "%s\n", feed_rarely(f, 3) ? "# a comment" : feed_pick(f, sections));
        return;
    }
    fprintf(out, "%s%s", feed_pick(f, calls), feed_pick(f, actions));
    for (uint32_t n = feed_rarely(f, 3) ? feed_below(f, 8) : 0; n > 0; n--) {
        fprintf(out, " [%s,%s,%s", feed_pick(f, numbers), feed_pick(f, numbers),
                feed_pick(f, compares));
        fprintf(out, feed_rarely(f, 3) ? ",%s]" : "]", feed_pick(f, numbers));
    }
    fputc('\n', out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct feed f = {data, size};
    struct error err = {0};
    struct filter filter = {0};
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    fputs(feed_pick(&f, heads), out);
    for (int i = 0; i < 60 && f.left > 0; i++)
        line(&f, out);
    fclose(out);
    FILE *in = fmemopen(text, len + (len == 0), "r");
    must(in != NULL);
    if (profile_parse(in, "profile", &filter, &err) < 0)
        must(*err.text != '\0');
    fclose(in);
    free(text);
    filter_clear(&filter);
    return 0;
}
