/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * passt and its supervisor, see passt.h.
 */
#include "net/passt.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "base/title.h"
#include "base/util.h"
#include "net/address.h"

#define TUN_PATH  "/dev/net/tun"
#define PATH      "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define LOG_LIMIT (64u << 10)

/* Whom the host asks for names; and whom systemd-resolved asks, where the former says that it does. */
#define RESOLV_CONF   "/etc/resolv.conf"
#define RESOLVED_CONF "/run/systemd/resolve/resolv.conf"
#define CONF_MAX      65536u
#define SERVERS_MOST  3u

#define STEADY_NS 10000000000ull /* who lived so long is started anew at once */
#define PAUSE_MS  1000           /* the others after this, doubled each time */
#define PAUSE_MAX 30000

/* ---- forwards ---- */

/* A forward in its parts. */
struct forward {
    bool udp, v6;
    char address[INET6_ADDRSTRLEN]; /* "": all */
    char ports[16];                 /* PORT or PORT-PORT on the host */
    char guest_ports[16];           /* "": the same */
    unsigned first, last;           /* on the host */
};

static int parse_range(const char *text, unsigned *first, unsigned *last, struct error *err)
{
    cleanup_free char *copy = xstrdup(text);
    char *dash = strchr(copy, '-');
    int64_t lo, hi;

    if (dash)
        *dash = '\0';
    if (number_parse(copy, 1, UINT16_MAX, &lo, err) < 0)
        return -1;
    hi = lo;
    if (dash && number_parse(dash + 1, lo, UINT16_MAX, &hi, err) < 0)
        return -1;
    *first = (unsigned)lo;
    *last = (unsigned)hi;
    return 0;
}

/* Cut "ADDRESS:" off, if the text begins with one. Returns what is behind it. */
static const char *take_address(const char *text, struct forward *f)
{
    uint8_t bytes[16];
    const char *end = *text == '[' ? strchr(text, ']') : strchr(text, ':');

    if (!end || (*text == '[' && end[1] != ':'))
        return text;
    const char *from = *text == '[' ? text + 1 : text;
    if ((size_t)(end - from) >= sizeof(f->address))
        return text;
    memcpy(f->address, from, (size_t)(end - from));
    f->address[end - from] = '\0';
    f->v6 = *text == '[';
    if (inet_pton(f->v6 ? AF_INET6 : AF_INET, f->address, bytes) == 1)
        return end + (f->v6 ? 2 : 1);
    f->address[0] = '\0';
    return text;
}

static int parse_forward(const char *text, struct forward *f, struct error *err)
{
    unsigned first, last;

    *f = (struct forward){0};
    if (!str_starts(text, "tcp:") && !str_starts(text, "udp:"))
        return error_set(err, 0, "'%s' begins with neither tcp: nor udp:", text);
    f->udp = *text == 'u';
    cleanup_free char *copy = xstrdup(take_address(text + 4, f));
    char *guest = strchr(copy, ':');
    if (guest)
        *guest++ = '\0';
    if (parse_range(copy, &f->first, &f->last, err) < 0)
        return error_wrap(err, "'%s': port", text);
    if (guest && parse_range(guest, &first, &last, err) < 0)
        return error_wrap(err, "'%s': port of the guest", text);
    if (guest && last - first != f->last - f->first)
        return error_set(err, 0, "'%s': the two ranges of ports are not of the same length", text);
    snprintf(f->ports, sizeof(f->ports), "%s", copy);
    snprintf(f->guest_ports, sizeof(f->guest_ports), "%s", guest ? guest : "");
    return 0;
}

int passt_is_forward(const char *value, struct error *err)
{
    struct forward f;

    return parse_forward(value, &f, err);
}

/* Could somebody listen there? */
static int try_port(const struct forward *f, unsigned port, struct error *err)
{
    bool v6 = f->v6;
    struct sockaddr_in a4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct sockaddr_in6 a6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    const struct sockaddr *a = v6 ? (const void *)&a6 : (const void *)&a4;
    int yes = 1;

    if (f->address[0])
        inet_pton(v6 ? AF_INET6 : AF_INET, f->address,
                  v6 ? (void *)&a6.sin6_addr : (void *)&a4.sin_addr);
    cleanup_close int fd =
        socket(a->sa_family, (f->udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return error_set(err, errno, "create a socket");
    if (!f->udp)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    if (bind(fd, a, v6 ? sizeof(a6) : sizeof(a4)) == 0)
        return 0;
    const int why = errno;
    error_set(err, why, "listen at %s port %u", f->udp ? "UDP" : "TCP", port);
    if (why == EACCES)
        return error_hint(err,
                          "ports below 1024 need root, see net.ipv4.ip_unprivileged_port_start");
    return why == EADDRINUSE ? error_hint(err, "another process does") : -1;
}

/* ---- the program ---- */

static const char *program_name(const struct passt_request *rq)
{
    return rq->pasta ? "pasta" : "passt";
}

/* Where it is, for the caller to free; or NULL. */
static char *find_program(const struct passt_request *rq)
{
    const char *path = getenv("PATH");
    cleanup_free char *copy = xstrdup(path && *path ? path : PATH);
    char *rest = copy;

    for (char *dir; (dir = strsep(&rest, ":"));) {
        char *file = xasprintf("%s/%s", dir, program_name(rq));
        if (*dir == '/' && access(file, X_OK) == 0)
            return file;
        free(file);
    }
    return NULL;
}

int passt_check(const struct passt_request *rq, struct error *err)
{
    cleanup_free char *program = find_program(rq);
    struct forward f;

    if (!program) {
        error_set(err, 0, "user-mode networking needs %s, which is not there", program_name(rq));
        return error_hint(err, "install the package passt");
    }
    if (rq->pasta && access(TUN_PATH, R_OK | W_OK) < 0) {
        error_set(err, errno, "open " TUN_PATH);
        return error_hint(err, "as root: modprobe tun; chmod 666 " TUN_PATH);
    }
    for (size_t i = 0; rq->forwards && rq->forwards[i]; i++) {
        if (parse_forward(rq->forwards[i], &f, err) < 0)
            return -1;
        for (unsigned port = f.first; port <= f.last; port++)
            if (try_port(&f, port, err) < 0)
                return error_wrap(err, "forward=%s", rq->forwards[i]);
    }
    return 0;
}

static void add_word(char ***words, char *word)
{
    size_t n = *words ? strv_len(*words) : 0;

    *words = xrealloc(*words, n + 2, sizeof(char *));
    (*words)[n] = word;
    (*words)[n + 1] = NULL;
}

/* In its words: ADDRESS/PORTS:GUEST-PORTS. */
static void add_forward(char ***words, const char *text)
{
    struct forward f;

    if (parse_forward(text, &f, NULL) < 0)
        return;
    add_word(words, xstrdup(f.udp ? "-u" : "-t"));
    add_word(words, xasprintf("%s%s%s%s%s", f.address, f.address[0] ? "/" : "", f.ports,
                              f.guest_ports[0] ? ":" : "", f.guest_ports));
}

/* Descriptors of the program's own: passt has its stream, pasta the other three. */
enum { FD_STREAM = 3, FD_NETNS = 3, FD_USERNS, FD_READY, FD_END };

#define SELF_FD "/proc/self/fd/%d"

/* The address of a line "nameserver ADDRESS", where that is none of the host's loopback. */
static bool parse_server(const char *line, struct address *out)
{
    static const char word[] = "nameserver";
    const size_t len = sizeof(word) - 1;
    char text[ADDRESS_TEXT];

    if (!str_starts(line, word) || !line[len] || !strchr(" \t", line[len]))
        return false;
    line += len + strspn(line + len, " \t");
    snprintf(text, sizeof(text), "%.*s", (int)strcspn(line, " \t%"), line);
    if (address_parse(text, out, NULL) < 0)
        return false;
    return out->family == AF_INET ? out->bytes[0] != 127
                                  : !IN6_IS_ADDR_LOOPBACK((struct in6_addr *)out->bytes);
}

/* Those of a file: how many. */
static unsigned read_servers(const char *path, struct address servers[SERVERS_MOST])
{
    cleanup_free char *text = NULL;
    unsigned count = 0;

    if (file_read_at(AT_FDCWD, path, CONF_MAX, &text, NULL, NULL) < 0)
        return 0;
    char *rest = text;
    for (char *line; count < SERVERS_MOST && (line = strsep(&rest, "\n"));)
        count += parse_server(line, &servers[count]);
    return count;
}

static void add_server(char ***words, const char *option, const struct address *a)
{
    char server[ADDRESS_TEXT];

    add_word(words, xstrdup(option));
    add_word(words, xstrdup(address_text(a, true, server)));
}

/*
 * The host's servers, as they are: of each family the first stands for itself. For what comes from that
 * one, a passt of 2023 says that it comes from the address of --dns-forward, whoever was asked; and where
 * the gateway's address leads to the host's loopback, the gateway is asked for names all the same.
 */
static bool add_own_names(char ***words)
{
    struct address servers[SERVERS_MOST];
    const unsigned count = read_servers(RESOLV_CONF, servers);
    bool have4 = false, have6 = false;

    for (unsigned i = 0; i < count; i++) {
        bool *const have = servers[i].family == AF_INET ? &have4 : &have6;
        if (!*have)
            add_server(words, "--dns-forward", &servers[i]);
        *have = true;
    }
    return count > 0;
}

/*
 * Who gives names to a VM: passt tells it by DHCP of those of the host's servers that it reaches. A
 * server on the host's loopback it reaches at PASST_DNS, of which a passt before September 2024 does
 * not tell it: so systemd-resolved is passed over.
 */
static void add_names(char ***words, bool host_loopback)
{
    if (add_own_names(words) || host_loopback)
        return;
    struct address servers[SERVERS_MOST];
    const unsigned count = read_servers(RESOLVED_CONF, servers);
    add_word(words, xstrdup("--dns-forward"));
    add_word(words, xstrdup(PASST_DNS));
    for (unsigned i = 0; i < count; i++)
        add_server(words, "--dns", &servers[i]);
}

/* No port but those that are said leads to anywhere. */
static void add_pasta(char ***words, const struct passt_request *rq)
{
    static const char *const always[] = {"--config-net",  "--no-netns-quit", "--tcp-ns",
                                         "none",          "--udp-ns",        "none",
                                         "--dns-forward", PASST_DNS};
    const struct {
        const char *option;
        int fd;
    } files[] = {{"--netns", FD_NETNS}, {"--userns", FD_USERNS}, {"--pid", FD_READY}};
    bool udp = false, tcp = false;

    for (size_t i = 0; i < ARRAY_SIZE(always); i++)
        add_word(words, xstrdup(always[i]));
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        add_word(words, xstrdup(files[i].option));
        add_word(words, xasprintf(SELF_FD, files[i].fd));
    }
    add_word(words, xstrdup("--ns-ifname"));
    add_word(words, xstrdup(rq->ifname));
    if (rq->mac) {
        const uint8_t *m = rq->mac;
        add_word(words, xstrdup("--ns-mac-addr"));
        add_word(words,
                 xasprintf("%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5]));
    }
    for (size_t i = 0; rq->forwards && rq->forwards[i]; i++)
        *(str_starts(rq->forwards[i], "udp") ? &udp : &tcp) = true;
    if (!tcp)
        add_word(words, xstrdup("--tcp-ports=none"));
    if (!udp)
        add_word(words, xstrdup("--udp-ports=none"));
    if (geteuid() == 0) { /* nobody could not enter the namespaces of root's container */
        add_word(words, xstrdup("--runas"));
        add_word(words, xstrdup("0"));
    }
}

static char **command_line(const struct passt_request *rq)
{
    char **words = NULL;

    add_word(&words, xstrdup(program_name(rq)));
    add_word(&words, xstrdup("--foreground"));
    add_word(&words, xstrdup("--quiet"));
    add_word(&words, xstrdup("--stderr"));
    if (!rq->host_loopback)
        add_word(&words, xstrdup("--no-map-gw"));
    if (!rq->pasta)
        add_names(&words, rq->host_loopback);
    if (rq->pasta) {
        add_pasta(&words, rq);
    } else {
        add_word(&words, xstrdup("--fd"));
        add_word(&words, xasprintf("%d", FD_STREAM));
    }
    if (rq->mtu) {
        add_word(&words, xstrdup("--mtu"));
        add_word(&words, xasprintf("%u", rq->mtu));
    }
    for (size_t i = 0; rq->forwards && rq->forwards[i]; i++)
        add_forward(&words, rq->forwards[i]);
    return words;
}

/* ---- the supervisor ---- */

struct supervisor {
    const struct passt_request *rq;
    char *program;
    int channel;
    pid_t pid;
    int pidfd, words; /* of passt, and its standard error */
    int ready;        /* pasta writes to its other end when it is; -1: it did, or is none */
    char line[512];
    size_t len;
    uint64_t started;
    int pause_ms;
};

/* What it says at each start, and is no news. */
static bool is_noise(const char *line)
{
    return !*line || str_starts(line, "Failed to send ") || str_starts(line, "Don't run as root") ||
           str_starts(line, "No external routable interface for IPv6") ||
           str_starts(line, "Couldn't get any nameserver address");
}

static void log_words(struct supervisor *s)
{
    s->line[s->len] = '\0';
    if (!is_noise(s->line))
        log_line("%s: %s: %s", s->rq->name, program_name(s->rq), s->line);
    s->len = 0;
}

/* Its words, line by line, until there are no more for now. */
static void read_words(struct supervisor *s)
{
    char buf[256];
    ssize_t n;

    while ((n = read(s->words, buf, sizeof(buf))) > 0)
        for (ssize_t i = 0; i < n; i++) {
            if (buf[i] != '\n')
                s->line[s->len++] = buf[i];
            if (buf[i] == '\n' || s->len == sizeof(s->line) - 1)
                log_words(s);
        }
}

/* Put these descriptors, and no others, at FD_STREAM and behind it. */
static void keep_only(const int *fds, unsigned n)
{
    int high[FD_END - FD_STREAM];

    for (unsigned i = 0; i < n; i++)
        high[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, FD_END);
    for (unsigned i = 0; i < n; i++)
        dup2(high[i], FD_STREAM + (int)i);
    close_range(FD_STREAM + n, ~0u, 0);
}

/* In the child: nothing of ours but what it is to have, and its standard error. */
static void become_passt(const struct supervisor *s, int end, int words)
{
    const int of_pasta[] = {s->rq->netns, s->rq->userns, end};
    sigset_t none;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (int n = 1; n < NSIG; n++)
        signal(n, SIG_DFL);
    dup2(words, STDERR_FILENO);
    if (s->rq->pasta)
        keep_only(of_pasta, ARRAY_SIZE(of_pasta));
    else
        keep_only(&end, 1);
    execv(s->program, command_line(s->rq));
    dprintf(STDERR_FILENO, "start '%s': %s\n", s->program, strerror(errno));
    _exit(127);
}

/* Send our end of the stream to where it is wanted. */
static int send_stream(int channel, int stream)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec byte = {.iov_base = (char[]){'p'}, .iov_len = 1};
    struct msghdr m = {.msg_iov = &byte,
                       .msg_iovlen = 1,
                       .msg_control = &control,
                       .msg_controllen = sizeof(control)};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);

    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &stream, sizeof(stream));
    return sendmsg(channel, &m, MSG_NOSIGNAL) == 1 ? 0 : -1;
}

/* What leads to it: a stream for passt, a pipe for the word of pasta. [1] is its end. */
static int make_ends(const struct supervisor *s, int ends[2])
{
    return s->rq->pasta ? pipe2(ends, O_CLOEXEC)
                        : socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends);
}

/* Start passt. -1: it could not be. */
static int launch(struct supervisor *s)
{
    int ends[2] = {-1, -1}, words[2] = {-1, -1};
    int ret = -1;

    s->started = now_mono_ns();
    s->ready = -1;
    if (make_ends(s, ends) == 0 && pipe2(words, O_CLOEXEC) == 0 && (s->pid = fork()) >= 0) {
        if (s->pid == 0)
            become_passt(s, ends[1], words[1]);
        fcntl(words[0], F_SETFL, O_NONBLOCK);
        s->pidfd = pidfd_open(s->pid, 0);
        s->words = steal_fd(words[0]);
        if (s->rq->pasta)
            s->ready = steal_fd(ends[0]);
        else
            send_stream(s->channel, ends[0]);
        ret = 0;
    } else {
        log_line("%s: start %s: %s", s->rq->name, program_name(s->rq), strerror(errno));
    }
    for (int i = 0; i < 2; i++) {
        cleanup_close_fn(&ends[i]);
        cleanup_close_fn(&words[i]);
    }
    return ret;
}

static int reap(struct supervisor *s)
{
    int status = 0;

    while (waitpid(s->pid, &status, 0) < 0 && errno == EINTR)
        ;
    read_words(s);
    if (s->len)
        log_words(s);
    close(s->pidfd);
    close(s->words);
    if (s->ready >= 0)
        close(steal_fd(s->ready));
    s->pid = -1;
    return status;
}

/* The other end of the channel was closed, or nobody holds it any more. */
static bool is_over(const struct pollfd *channel)
{
    return channel->revents != 0;
}

/* pasta wrote its process id, or ended before that, which is told, too: it will be tried again. */
static void hear_ready(struct supervisor *s)
{
    char pid[16];

    const bool ready = read(s->ready, pid, sizeof(pid)) > 0;
    send(s->channel, ready ? PASTA_READY : PASTA_FAILED, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    close(steal_fd(s->ready));
}

/* Wait until passt has ended. False: nobody wants it any more. */
static bool attend(struct supervisor *s)
{
    struct pollfd p[] = {{.fd = s->channel, .events = POLLIN},
                         {.fd = s->pidfd, .events = POLLIN},
                         {.fd = s->words, .events = POLLIN},
                         {.fd = s->ready, .events = POLLIN}};

    for (;;) {
        if (poll(p, ARRAY_SIZE(p), -1) < 0 && errno != EINTR)
            return false;
        if (p[2].revents & POLLIN)
            read_words(s);
        else if (p[2].revents)
            p[2].fd = -1;
        if (p[3].revents) {
            hear_ready(s);
            p[3].fd = -1;
        }
        if (p[1].revents)
            return true;
        if (is_over(&p[0]))
            return false;
    }
}

/* One life of passt, and the pause after it. False: it was the last. */
static bool live(struct supervisor *s)
{
    struct pollfd channel = {.fd = s->channel, .events = POLLIN};

    if (launch(s) == 0) {
        if (!attend(s)) {
            kill(s->pid, SIGKILL);
            reap(s);
            return false;
        }
        int status = reap(s);
        if (poll(&channel, 1, 0) == 1) /* it ends with its stream, as we do */
            return false;
        if (now_mono_ns() - s->started >= STEADY_NS)
            s->pause_ms = 0;
        log_line("%s: %s ended (%s %d): it is started again %s", s->rq->name, program_name(s->rq),
                 WIFSIGNALED(status) ? "signal" : "status",
                 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
                 s->pause_ms ? "in a moment" : "now");
    }
    if (s->pause_ms && poll(&channel, 1, s->pause_ms) == 1)
        return false;
    s->pause_ms = min(max(2 * s->pause_ms, PAUSE_MS), PAUSE_MAX);
    return true;
}

static void supervise(const struct passt_request *rq, char *program, int channel)
{
    const int fds[] = {channel, rq->netns, rq->userns};
    struct passt_request own = *rq;
    struct supervisor s = {.rq = &own, .program = program, .channel = FD_STREAM};
    sigset_t none;

    log_to(STDERR_FILENO, LOG_LIMIT);
    keep_only(fds, rq->pasta ? ARRAY_SIZE(fds) : 1);
    own.netns = s.channel + 1;
    own.userns = s.channel + 2;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGTERM, SIG_IGN); /* it ends with the one that wants the network */
    title_set("pult: %s %s", program_name(rq), rq->title);
    while (live(&s))
        ;
    _exit(0);
}

/* ---- the other side ---- */

int passt_start(const struct passt_request *rq, pid_t *supervisor, int *channel, struct error *err)
{
    cleanup_free char *program = find_program(rq);
    int ends[2];

    if (!program)
        return error_set(err, ENOENT, "start %s", program_name(rq));
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return error_set(err, errno, "create a socket for passt");
    *supervisor = fork();
    if (*supervisor == 0)
        supervise(rq, program, ends[1]);
    const int why = errno;
    close(ends[1]);
    if (*supervisor < 0) {
        close(ends[0]);
        return error_set(err, why, "start a process for passt");
    }
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    *channel = ends[0];
    return 0;
}

int passt_receive(int channel)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } control;
    char byte;
    struct iovec iov = {.iov_base = &byte, .iov_len = 1};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = &control,
                       .msg_controllen = sizeof(control)};
    int fd = -1;

    ssize_t n = recvmsg(channel, &m, MSG_CMSG_CLOEXEC);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return -EAGAIN;
    if (n <= 0)
        return -EPIPE;
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
        c->cmsg_len == CMSG_LEN(sizeof(int)))
        memcpy(&fd, CMSG_DATA(c), sizeof(fd));
    return fd < 0 ? -EAGAIN : fd;
}

void passt_stop(pid_t supervisor, int channel)
{
    if (channel >= 0)
        close(channel);
    while (supervisor > 0 && waitpid(supervisor, NULL, 0) < 0 && errno == EINTR)
        ;
}
