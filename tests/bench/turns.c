/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * turns ROUNDS FILE: run commands in turn, and tell for each how long it takes.
 *
 * A line of FILE is NAME, a mount namespace (a file of /proc/PID/ns, or -), and the words of a
 * command. They are started without a shell, whose own start takes as long as some of them do. In
 * each round all run once, in another order, since what one leaves the kernel to clean up slows down
 * the next. Prints lines "NAME MICROSECONDS CPU FAULTS": medians of the wall time until the command
 * exits, of the CPU time of all its processes, and of their page faults. A round goes on when the
 * last of them is gone, those that it left behind included.
 */
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define COMMANDS_MOST 16u
#define WORDS_MOST    64u
#define ROUNDS_MOST   1000u

struct command {
    char *words[WORDS_MOST];
    double wall[ROUNDS_MOST], cpu[ROUNDS_MOST], faults[ROUNDS_MOST];
    int space;
    bool failed;
};

static struct command all[COMMANDS_MOST];

static _Noreturn void die(const char *what)
{
    perror(what);
    exit(1);
}

static unsigned read_commands(const char *path)
{
    FILE *f = fopen(path, "re");
    char line[8192];
    unsigned n = 0;

    if (!f)
        die(path);
    while (n < COMMANDS_MOST && fgets(line, sizeof(line), f)) {
        struct command *c = &all[n++];
        unsigned count = 0;
        for (char *w = strtok(line, " \n"); w && count < WORDS_MOST - 1; w = strtok(NULL, " \n"))
            c->words[count++] = strdup(w);
        if (count < 3)
            die("a line has a name, a namespace and a command");
        c->space = c->words[1][0] == '-' ? -1 : open(c->words[1], O_RDONLY | O_CLOEXEC);
        if (c->words[1][0] != '-' && c->space < 0)
            die(c->words[1]);
    }
    fclose(f);
    return n;
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static double cpu_of(const struct rusage *u)
{
    return (double)(u->ru_utime.tv_sec + u->ru_stime.tv_sec) * 1e6 +
           (double)(u->ru_utime.tv_usec + u->ru_stime.tv_usec);
}

static void run(struct command *c, unsigned round)
{
    struct rusage before, after;
    int status;

    getrusage(RUSAGE_CHILDREN, &before);
    const double from = now();
    const pid_t pid = fork();
    if (pid == 0) {
        const int null = open("/dev/null", O_RDWR);
        if (c->space >= 0 && setns(c->space, CLONE_NEWNS) < 0)
            die("setns");
        for (int fd = 0; fd < 3; fd++)
            dup2(null, fd);
        execvp(c->words[2], c->words + 2);
        _exit(127);
    }
    if (pid < 0 || waitpid(pid, &status, 0) < 0)
        die("fork");
    c->wall[round] = now() - from;
    c->failed |= !WIFEXITED(status) || WEXITSTATUS(status) != 0;
    while (wait(NULL) > 0)
        ;
    getrusage(RUSAGE_CHILDREN, &after);
    c->cpu[round] = cpu_of(&after) - cpu_of(&before);
    c->faults[round] = (double)(after.ru_minflt - before.ru_minflt);
}

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(double *v, unsigned n)
{
    qsort(v, n, sizeof(*v), by_size);
    return v[n / 2];
}

int main(int argc, char **argv)
{
    const unsigned rounds = argc == 3 ? (unsigned)atoi(argv[1]) : 0;
    unsigned order[COMMANDS_MOST];

    if (rounds == 0 || rounds > ROUNDS_MOST) {
        fprintf(stderr, "usage: turns ROUNDS FILE\n");
        return 2;
    }
    const unsigned n = read_commands(argv[2]);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    for (unsigned i = 0; i < n; i++)
        order[i] = i;
    for (unsigned r = 0; r < rounds; r++) {
        for (unsigned i = 0; i < n; i++)
            run(&all[order[i]], r);
        for (unsigned i = n; i > 1; i--) {
            const unsigned j = (unsigned)rand() % i, was = order[j];
            order[j] = order[i - 1];
            order[i - 1] = was;
        }
    }
    for (unsigned i = 0; i < n; i++)
        if (all[i].failed)
            printf("%s failed\n", all[i].words[0]);
        else
            printf("%s %.0f %.0f %.0f\n", all[i].words[0], median(all[i].wall, rounds),
                   median(all[i].cpu, rounds), median(all[i].faults, rounds));
    return 0;
}
