#include "zygote/programs.h"

#include <errno.h>
#include <signal.h>
#include <stdalign.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "ipc/chan.h"

enum { FRAMES_MAX = 16 }; /* of one worker before others have their turn */

void programs_init(struct programs *p, const struct registry *registry, programs_start *start,
                   void *arg)
{
    *p = (struct programs) {
        .registry = registry, .start = start, .start_arg = arg, .next_id = 1, .next_wish = 1};
    for (uint32_t i = 0; i < PROTO_WORKERS_MAX; i++)
        p->workers[i].fd = -1;
}

static const struct program *program_of(const struct programs *p, uint32_t place)
{
    return p->registry->programs[place];
}

/* ---- copies ---- */

static void close_fds(int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        check_close_fd(&fds[i]);
        fds[i] = -1;
    }
}

static struct programs_copy *find(struct programs *p, uint64_t id)
{
    for (uint32_t i = 0; i < PROGRAMS_COPIES_MAX && id != 0; i++) {
        if (p->copies[i].id == id)
            return &p->copies[i];
    }
    return NULL;
}

static struct programs_copy *find_free_place(struct programs *p)
{
    for (uint32_t i = 0; i < PROGRAMS_COPIES_MAX; i++) {
        if (p->copies[i].id == 0)
            return &p->copies[i];
    }
    return NULL;
}

/* One that nobody has; those that have said READY first. */
static struct programs_copy *find_idle(struct programs *p, uint32_t program)
{
    struct programs_copy *found = NULL;

    for (uint32_t i = 0; i < PROGRAMS_COPIES_MAX; i++) {
        struct programs_copy *c = &p->copies[i];
        if (c->id == 0 || c->program != program || c->holder >= 0 || c->is_ending)
            continue;
        if (c->is_ready)
            return c;
        found = c;
    }
    return found;
}

static uint32_t count_copies(const struct programs *p, uint32_t program)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < PROGRAMS_COPIES_MAX; i++)
        n += p->copies[i].id != 0 && p->copies[i].program == program;
    return n;
}

static uint32_t count_held(const struct programs *p, uint32_t slot)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < PROGRAMS_COPIES_MAX; i++)
        n += p->copies[i].id != 0 && p->copies[i].holder == (int32_t)slot;
    return n;
}

/* It hears the end of its socket, and may end by itself for a while. */
static void dismiss(struct programs_copy *c, uint64_t now_ns)
{
    close_fds(c->fds, LEND_FD_COUNT);
    c->holder = -1;
    c->is_ending = true;
    c->kill_ns = now_ns + PROGRAMS_QUIET_NS;
}

static void kill_now(struct programs_copy *c)
{
    close_fds(c->fds, LEND_FD_COUNT);
    c->is_ending = true;
    c->kill_ns = CLOCK_NEVER;
    reap_kill(c->pid, SIGKILL);
}

/* ---- wishes ---- */

/* Everything that is said fits the socket's buffer many times over, unless nobody reads it. */
static int tell(struct programs *p, uint32_t slot, const void *frame, size_t bytes, const int *fds,
                size_t fd_count)
{
    struct iovec iov = {.iov_base = (void *)(uintptr_t)frame, .iov_len = bytes};

    return chan_send(p->workers[slot].fd, &iov, 1, fds, fd_count, MSG_DONTWAIT);
}

static int refuse(struct programs *p, uint32_t slot, int error)
{
    struct lend_refused refused = {
        .head = chan_head((enum proto_type)LEND_REFUSED, sizeof(refused)), .error = error};

    p->workers[slot].has_wish = false;
    return tell(p, slot, &refused, sizeof(refused), NULL, 0);
}

static int lend(struct programs *p, uint32_t slot, struct programs_copy *c)
{
    const struct program *program = program_of(p, c->program);
    bool may_keep = program->copies == 0;
    struct lend_lent lent = {
        .head = chan_head((enum proto_type)LEND_LENT, sizeof(lent)),
        .id = c->id,
        .started_ns = c->started_ns,
        .pid = c->pid,
        .is_greeted = c->is_greeted,
        .is_ready = c->is_ready,
        .may_keep = may_keep,
    };
    int rc;

    p->workers[slot].has_wish = false;
    c->holder = (int32_t)slot;
    c->is_greeted = true;
    rc = tell(p, slot, &lent, sizeof(lent), c->fds, LEND_FD_COUNT);
    if (may_keep || program->runs_once)
        close_fds(c->fds, LEND_FD_COUNT);
    return rc;
}

/* A new copy for the wish of this worker. */
static int start(struct programs *p, uint32_t slot)
{
    struct programs_worker *w = &p->workers[slot];
    struct programs_copy *c = find_free_place(p);
    int fds[LEND_FD_COUNT] = {-1, -1, -1};
    pid_t pid;

    if (c == NULL)
        return refuse(p, slot, EAGAIN);
    pid = p->start(p->start_arg, w->program, fds);
    if (pid < 0)
        return refuse(p, slot, -pid);
    *c = (struct programs_copy) {
        .id = p->next_id++,
        .pid = pid,
        .program = w->program,
        .holder = -1,
        .started_ns = clock_now_ns(),
    };
    memcpy(c->fds, fds, sizeof(fds));
    p->count++;
    return lend(p, slot, c);
}

/* Serves this worker's wish if that can be now. */
static int try_wish(struct programs *p, uint32_t slot)
{
    struct programs_worker *w = &p->workers[slot];
    const struct program *program = program_of(p, w->program);
    struct programs_copy *c = find_idle(p, w->program);

    if (c != NULL)
        return lend(p, slot, c);
    if (!p->is_over && (program->copies == 0 || count_copies(p, w->program) < program->copies))
        return start(p, slot);
    return 0;
}

static int oldest_wish(const struct programs *p, uint32_t program)
{
    int found = -1;

    for (uint32_t i = 0; i < PROTO_WORKERS_MAX; i++) {
        const struct programs_worker *w = &p->workers[i];
        if (w->fd >= 0 && w->has_wish && w->program == program &&
            (found < 0 || w->wish < p->workers[found].wish))
            found = (int)i;
    }
    return found;
}

/* One place has come free: who has waited longest has it. One that cannot be told is dead or dying, and
 * what it was lent comes back when it is waited for. */
static void serve_oldest(struct programs *p, uint32_t program)
{
    int slot = oldest_wish(p, program);

    if (slot >= 0)
        (void)try_wish(p, (uint32_t)slot);
}

/* ---- what workers say ---- */

static int take_borrow(struct programs *p, uint32_t slot, const struct lend_borrow *f)
{
    struct programs_worker *w = &p->workers[slot];

    if (w->has_wish || f->program >= p->registry->program_count ||
        count_held(p, slot) >= PROGRAMS_COPIES_PER_WORKER)
        return -EPROTO;
    w->has_wish = true;
    w->program = f->program;
    w->wish = p->next_wish++;
    return try_wish(p, slot);
}

static int take_forget(struct programs *p, uint32_t slot)
{
    struct lend_plain forgotten = {
        .head = chan_head((enum proto_type)LEND_FORGOTTEN, sizeof(forgotten))};

    /* What it wished for is on its way, or the refusal. */
    if (!p->workers[slot].has_wish)
        return 0;
    p->workers[slot].has_wish = false;
    return tell(p, slot, &forgotten, sizeof(forgotten), NULL, 0);
}

static int take_about_copy(struct programs *p, uint32_t slot, const struct lend_copy *f)
{
    struct programs_copy *c = find(p, f->id);
    uint32_t program;

    if (f->id >= p->next_id)
        return -EPROTO;
    if (c == NULL)
        return 0;
    if (c->holder != (int32_t)slot)
        return -EPROTO;
    program = c->program;
    switch ((enum lend_type)f->head.type) {
    case LEND_RETURN:
        if (c->fds[LEND_SOCKET] < 0 || c->is_ending)
            return -EPROTO;
        c->is_ready = f->is_ready != 0;
        c->holder = -1;
        serve_oldest(p, program);
        return 0;
    case LEND_DISMISS:
        dismiss(c, clock_now_ns());
        return 0;
    default:
        kill_now(c);
        return 0;
    }
}

static int take_frame(struct programs *p, uint32_t slot, const struct proto_head *head)
{
    size_t bytes = head->bytes;

    if (head->type == LEND_BORROW && bytes == sizeof(struct lend_borrow))
        return take_borrow(p, slot, (const void *)head);
    if (head->type == LEND_FORGET && bytes == sizeof(struct lend_plain))
        return take_forget(p, slot);
    if (head->type >= LEND_RETURN && head->type <= LEND_KILL && bytes == sizeof(struct lend_copy))
        return take_about_copy(p, slot, (const void *)head);
    return -EPROTO;
}

static void close_worker(struct programs_worker *w)
{
    w->has_wish = false;
    check_close_fd(&w->fd);
    w->fd = -1;
}

int programs_receive(struct programs *p, uint32_t slot)
{
    struct programs_worker *w = &p->workers[slot];
    int rc = 0;

    for (int i = 0; i < FRAMES_MAX && rc == 0 && w->fd >= 0; i++) {
        alignas(8) char frame[sizeof(struct lend_copy)];
        ssize_t got = chan_recv(w->fd, frame, sizeof(frame), NULL, NULL, MSG_DONTWAIT);
        if (got == -EAGAIN)
            return 0;
        if (got <= 0)
            rc = got == 0 || got == -ECONNRESET ? -EPIPE : -EPROTO;
        else
            rc = take_frame(p, slot, (const void *)frame);
    }
    if (rc < 0)
        close_worker(w);
    return rc == 0 || rc == -EPIPE ? rc : -EPROTO;
}

void programs_add_worker(struct programs *p, uint32_t slot, int fd)
{
    CHECK(slot < PROTO_WORKERS_MAX && p->workers[slot].fd < 0);
    p->workers[slot] = (struct programs_worker) {.fd = fd};
}

void programs_worker_gone(struct programs *p, uint32_t slot, int status)
{
    bool has_retired = WIFEXITED(status) && WEXITSTATUS(status) == PROTO_EXIT_RETIRED;

    close_worker(&p->workers[slot]);
    for (uint32_t i = 0; i < PROGRAMS_COPIES_MAX && p->count > 0; i++) {
        struct programs_copy *c = &p->copies[i];
        if (c->id == 0 || c->holder != (int32_t)slot)
            continue;
        if (has_retired && !c->is_ending && !program_of(p, c->program)->runs_once) {
            dismiss(c, clock_now_ns());
        } else {
            c->holder = -1;
            kill_now(c);
        }
    }
}

/* ---- ends ---- */

bool programs_reaped(struct programs *p, const struct reaped *child)
{
    struct lend_died died = {.head = chan_head((enum proto_type)LEND_DIED, sizeof(died)),
                             .cpu_ns = child->cpu_ns,
                             .status = child->status};

    for (uint32_t i = 0; i < PROGRAMS_COPIES_MAX && p->count > 0; i++) {
        struct programs_copy *c = &p->copies[i];
        if (c->id == 0 || c->pid != child->pid)
            continue;
        died.id = c->id;
        if (c->holder >= 0 && p->workers[c->holder].fd >= 0)
            (void)tell(p, (uint32_t)c->holder, &died, sizeof(died), NULL, 0);
        close_fds(c->fds, LEND_FD_COUNT);
        c->id = 0;
        p->count--;
        serve_oldest(p, c->program);
        return true;
    }
    return false;
}

uint64_t programs_wake_ns(const struct programs *p)
{
    uint64_t wake_ns = CLOCK_NEVER;

    for (uint32_t i = 0; i < PROGRAMS_COPIES_MAX && p->count > 0; i++) {
        if (p->copies[i].id != 0 && p->copies[i].is_ending)
            wake_ns = MIN(wake_ns, p->copies[i].kill_ns);
    }
    return wake_ns;
}

void programs_tick(struct programs *p, uint64_t now_ns)
{
    for (uint32_t i = 0; i < PROGRAMS_COPIES_MAX && p->count > 0; i++) {
        struct programs_copy *c = &p->copies[i];
        if (c->id != 0 && c->is_ending && c->kill_ns <= now_ns)
            kill_now(c);
    }
}

void programs_kill_all(struct programs *p)
{
    p->is_over = true;
    for (uint32_t i = 0; i < PROGRAMS_COPIES_MAX && p->count > 0; i++) {
        if (p->copies[i].id != 0)
            kill_now(&p->copies[i]);
    }
}
