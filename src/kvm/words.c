/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A kernel's command line: pult's words first, then those of vm.append, so that of two that
 * contradict each other the admin's is the later one, which Linux obeys.
 *
 * Pult's are the console, where the line names none, and those with which a kernel starts sooner
 * (the table quick). A word is in it only if it saves a stock kernel a measurable part of its start
 * and takes nothing from the running guest. Most of what VMMs give by habit does not save any, by
 * count of instructions with a kernel of Debian's: tsc=reliable, no_timer_check, noreplace-smp,
 * rcupdate.rcu_expedited, random.trust_cpu, i8042.*, pci=lastbus. The kernel asks KVM for the same.
 */
#include "kvm/words.h"

#include <stddef.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/util.h"

static const struct quick {
    const char *word;
    const char *unless[3]; /* the line has a word that begins so */
} quick[] = {
    /*
     * The self-tests of all algorithms, 45 % of the start of Debian's kernel. They tell of a
     * broken driver or miscompiled code, not of anything that differs from one start to the next.
     * FIPS 140 demands them.
     */
    {"cryptomgr.notests", {"cryptomgr.", "fips=1"}},
};

/* Has the line a word that begins so? What is quoted in it is not told apart. */
static bool line_has(const char *line, const char *begin)
{
    for (const char *at = line; (at = strstr(at, begin)); at++)
        if (at == line || at[-1] == ' ' || at[-1] == '\t')
            return true;
    return false;
}

static bool line_has_any(const char *line, const char *const *begin, size_t n)
{
    for (size_t i = 0; i < n && begin[i]; i++)
        if (line_has(line, begin[i]))
            return true;
    return false;
}

/* With a console. */
static char *line_console(const struct words_request *rq)
{
    const char *append = rq->append;

    if (rq->command)
        return xasprintf(WORDS_ROOTFS "%s%s", append ? " " : "", append ? append : "");
    if (append && line_has(append, "console="))
        return xstrdup(append);
    return xasprintf("%s %s", rq->virtio ? WORDS_VIRTIO : WORDS_SERIAL,
                     append ? append : WORDS_DEFAULT);
}

char *words_line(const struct words_request *rq)
{
    char *line = line_console(rq);

    for (size_t i = 0; i < ARRAY_SIZE(quick) && rq->quick; i++) {
        if (line_has_any(line, quick[i].unless, ARRAY_SIZE(quick[i].unless)))
            continue;
        cleanup_free char *rest = line;
        line = xasprintf("%s %s", quick[i].word, rest);
    }
    return line;
}
