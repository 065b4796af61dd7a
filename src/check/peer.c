#include "check/peer.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/err.h"

extern char **environ;

enum { PROGRAM_FD = 3, BYTE_MS = 5 };

/* ---- starting and ending ---- */

struct child_fds {
    int socket, out, err;
};

static int spawn(struct peer *p, char *const *argv, const struct child_fds *fds)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int rc;

    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawnattr_init(&attributes);
    (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
    rc = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0) |
         posix_spawn_file_actions_adddup2(&actions, fds->out, STDOUT_FILENO) |
         posix_spawn_file_actions_adddup2(&actions, fds->err, STDERR_FILENO) |
         posix_spawn_file_actions_adddup2(&actions, fds->socket, PROGRAM_FD);
    if (rc == 0)
        rc = posix_spawnp(&p->pid, argv[0], &actions, &attributes, argv, environ);
    (void)posix_spawnattr_destroy(&attributes);
    (void)posix_spawn_file_actions_destroy(&actions);
    return -rc;
}

/* Above 3, so that none is overwritten while the child's are put in their places. */
static int move_up(int *fd)
{
    int moved = fcntl(*fd, F_DUPFD_CLOEXEC, PROGRAM_FD + 1);

    if (moved < 0)
        return -errno;
    (void)close(*fd);
    *fd = moved;
    return 0;
}

static int connect_and_spawn(struct peer *p, char *const *argv)
{
    int sockets[2], out[2], errors[2], rc;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) < 0 ||
        pipe2(out, O_CLOEXEC) < 0 || pipe2(errors, O_CLOEXEC) < 0)
        return -errno;
    rc = move_up(&sockets[1]) | move_up(&out[1]) | move_up(&errors[1]);
    if (rc == 0)
        rc = spawn(p, argv, &(struct child_fds) {sockets[1], out[1], errors[1]});
    (void)close(sockets[1]);
    (void)close(out[1]);
    (void)close(errors[1]);
    p->fd = sockets[0];
    (void)fcntl(out[0], F_SETFL, O_NONBLOCK);
    (void)fcntl(errors[0], F_SETFL, O_NONBLOCK);
    words_open(&p->words, out[0], errors[0]);
    return rc;
}

int peer_start(struct peer *p, char *const *argv, bool is_verbose, struct err *err)
{
    int rc;

    *p = (struct peer) {.fd = -1, .pid_fd = -1, .is_verbose = is_verbose};
    words_open(&p->words, -1, -1);
    rc = frame_reader_init(&p->in, FRAME_BODY_MAX);
    if (rc == 0)
        rc = connect_and_spawn(p, argv);
    if (rc == 0) {
        p->pid_fd = (int)syscall(SYS_pidfd_open, p->pid, 0);
        rc = p->pid_fd < 0 ? -errno : 0;
    }
    if (rc == 0)
        return 0;
    peer_stop(p);
    return err_set(err, rc, "%s cannot be started: %s.", argv[0], strerror(-rc));
}

void peer_stop(struct peer *p)
{
    if (p->pid > 0) {
        (void)kill(-p->pid, SIGKILL); /* the children that it has left behind, too */
        if (!p->has_ended)
            (void)waitpid(p->pid, &p->status, 0);
    }
    if (p->pid_fd >= 0)
        (void)close(p->pid_fd);
    peer_hang_up(p);
    words_close(&p->words);
    frame_reader_release(&p->in);
    p->pid = 0;
    p->pid_fd = -1;
}

void peer_hang_up(struct peer *p)
{
    if (p->fd >= 0)
        (void)close(p->fd);
    p->fd = -1;
}

/* ---- waiting ---- */

static void hear_line(void *arg, const char *line)
{
    struct peer *p = arg;

    p->lines++;
    if (p->is_verbose)
        (void)printf("# | %s\n", line);
}

/* Until the socket has these events, the program ended (with `events` 0), or the time is up: -ETIMEDOUT. */
static int await(struct peer *p, short events, uint64_t deadline_ns)
{
    for (;;) {
        struct pollfd fds[] = {
            {.fd = events != 0 ? p->fd : p->pid_fd, .events = events != 0 ? events : POLLIN},
            {.fd = p->words.fds[0], .events = POLLIN},
            {.fd = p->words.fds[1], .events = POLLIN},
        };
        uint64_t now = clock_now_ns();

        if (poll(fds, ARRAY_SIZE(fds), clock_poll_ms(now, deadline_ns)) < 0 && errno != EINTR)
            return -errno;
        if (fds[1].revents != 0 || fds[2].revents != 0)
            (void)words_read(&p->words, hear_line, p);
        if (fds[0].revents != 0)
            return 0;
        if (now >= deadline_ns)
            return -ETIMEDOUT;
    }
}

int peer_await_end(struct peer *p, uint64_t deadline_ns)
{
    int rc = p->has_ended ? 0 : await(p, 0, deadline_ns);

    if (rc == 0 && !p->has_ended) {
        (void)waitpid(p->pid, &p->status, 0);
        p->has_ended = true;
        (void)words_read(&p->words, hear_line, p);
    }
    return rc;
}

const char *peer_status_text(int status, char out[40])
{
    if (WIFSIGNALED(status)) {
        const char *name = sigabbrev_np(WTERMSIG(status));
        (void)snprintf(out, 40, "SIG%s", name == NULL ? "?" : name);
    } else {
        (void)snprintf(out, 40, "exit status %d", WEXITSTATUS(status));
    }
    return out;
}

/* ---- frames ---- */

static const char *type_name(unsigned type)
{
    static const char *const names[FRAME_TYPE_COUNT] = {
        [FRAME_HELLO] = "HELLO", [FRAME_READY] = "READY",       [FRAME_JOB] = "JOB",
        [FRAME_PART] = "PART",   [FRAME_PROGRESS] = "PROGRESS", [FRAME_RESULT] = "RESULT",
        [FRAME_ERROR] = "ERROR", [FRAME_CANCEL] = "CANCEL",     [FRAME_PING] = "PING",
        [FRAME_PONG] = "PONG",   [FRAME_QUIET] = "QUIET",
    };

    return type < FRAME_TYPE_COUNT && names[type] != NULL ? names[type] : "?";
}

static void show(const struct peer *p, const char *arrow, const struct frame *f)
{
    if (!p->is_verbose)
        return;
    (void)printf("# %s %s %016llx %.*s", arrow, type_name(f->type), (unsigned long long)f->job,
                 (int)MIN(f->meta_bytes, (size_t)300), f->meta);
    (void)printf(f->raw_bytes > 0 ? " and %zu bytes\n" : "\n", f->raw_bytes);
}

/* Until it has taken all that was sent, or some milliseconds have passed: it may well wait for more. */
static void await_taken(const struct peer *p)
{
    uint64_t deadline = clock_now_ns() + BYTE_MS * CLOCK_NS_PER_MS;
    int left = 1;

    while (left > 0 && clock_now_ns() < deadline) {
        (void)sched_yield();
        if (ioctl(p->fd, SIOCOUTQ, &left) < 0)
            return;
    }
}

int peer_send_bytes(struct peer *p, const void *data, size_t bytes, bool is_piecemeal,
                    uint64_t deadline_ns)
{
    const char *at = data;
    int rc = p->fd < 0 ? -EPIPE : 0;

    while (bytes > 0 && rc == 0) {
        ssize_t n = send(p->fd, at, is_piecemeal ? 1 : bytes, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n < 0 && errno == EAGAIN)
            rc = await(p, POLLOUT, deadline_ns);
        else if (n < 0 && errno != EINTR)
            return errno == ECONNRESET ? -EPIPE : -errno;
        if (n > 0 && is_piecemeal)
            await_taken(p);
        at += MAX(n, 0);
        bytes -= (size_t)MAX(n, 0);
    }
    return rc;
}

int peer_send(struct peer *p, enum frame_type type, uint64_t job, const char *meta, const void *raw,
              size_t raw_bytes, uint64_t deadline_ns)
{
    struct frame f = {
        .type = type, .job = job, .meta = meta, .meta_bytes = strlen(meta), .raw_bytes = raw_bytes};
    struct frame_opening opening = frame_opening(type, job, f.meta_bytes, raw_bytes);
    size_t bytes = FRAME_OPENING_BYTES + f.meta_bytes + raw_bytes;
    CLEANUP_FREE char *all = malloc(bytes);

    show(p, "->", &f);
    if (all == NULL)
        return -ENOMEM;
    memcpy(all, &opening, FRAME_OPENING_BYTES);
    memcpy(all + FRAME_OPENING_BYTES, meta, f.meta_bytes);
    if (raw_bytes > 0)
        memcpy(all + FRAME_OPENING_BYTES + f.meta_bytes, raw, raw_bytes);
    return peer_send_bytes(p, all, bytes, false, deadline_ns);
}

int peer_receive(struct peer *p, struct frame *ret, uint64_t deadline_ns, struct err *err)
{
    for (;;) {
        int rc = frame_reader_next(&p->in, ret, err);

        if (rc > 0) {
            show(p, "<-", ret);
            return 0;
        }
        if (rc < 0)
            return -EPROTO;
        if (p->fd < 0)
            return -EPIPE;
        rc = await(p, POLLIN, deadline_ns);
        if (rc == 0)
            rc = frame_reader_fill(&p->in, p->fd);
        if (rc < 0 && rc != -EAGAIN)
            return rc;
    }
}
