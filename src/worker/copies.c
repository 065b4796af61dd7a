#include "worker/copies.h"

#include <errno.h>
#include <poll.h>
#include <stdalign.h>
#include <sys/socket.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "ipc/chan.h"

int copies_init(struct copies *c, const struct registry *registry, int spawn_fd,
                size_t result_bytes_max)
{
    *c = (struct copies) {
        .spawn_fd = spawn_fd, .registry = registry, .result_bytes_max = result_bytes_max};
    return spawn_fd < 0 ? 0 : frame_reader_init(&c->in, result_bytes_max);
}

static _Noreturn void end_with_zygote(void)
{
    _exit(PROTO_EXIT_RETIRED);
}

/* ---- saying ---- */

static void say(struct copies *c, const void *frame, size_t bytes)
{
    if (chan_send_struct(c->spawn_fd, frame, bytes, 0) < 0)
        end_with_zygote();
}

static void say_about(struct copies *c, enum lend_type type, const struct copy *copy)
{
    struct lend_copy frame = {.head = chan_head((enum proto_type)type, sizeof(frame)),
                              .id = copy->id,
                              .is_ready = copy->talk.state != TALK_STARTING};

    say(c, &frame, sizeof(frame));
}

static void forget_place(struct copies *c, struct copy *copy)
{
    if (!frame_reader_is_empty(&c->in) && copy->talk.in != NULL)
        frame_reader_clear(&c->in);
    talk_release(&copy->talk);
    check_close_fd(&copy->talk.fd);
    check_close_fd(&copy->in_fd);
    check_close_fd(&copy->out_fd);
    words_close(&copy->words);
    copy->id = 0;
}

void copies_kill(struct copies *c, struct copy *copy)
{
    if (!copy->has_died)
        say_about(c, LEND_KILL, copy);
    forget_place(c, copy);
}

static void dismiss(struct copies *c, struct copy *copy)
{
    if (!copy->has_died && talk_is_settled(&copy->talk))
        (void)talk_quiet(&copy->talk);
    if (!copy->has_died)
        say_about(c, LEND_DISMISS, copy);
    forget_place(c, copy);
}

void copies_release(struct copies *c, struct copy *copy)
{
    bool is_well =
        !copy->has_died && (talk_is_settled(&copy->talk) ||
                            (copy->talk.state == TALK_STARTING && frame_reader_is_empty(&c->in)));

    frame_reader_clear(&c->in);
    if (!is_well) {
        copies_kill(c, copy);
    } else if (!copy->may_keep) {
        say_about(c, LEND_RETURN, copy);
        forget_place(c, copy);
    }
}

/* A free place, if need be that of the one not used for longest. */
static struct copy *find_place(struct copies *c)
{
    struct copy *oldest = &c->held[0];

    for (size_t i = 0; i < COPIES_HELD_MAX; i++) {
        if (c->held[i].id == 0)
            return &c->held[i];
        if (c->held[i].used < oldest->used)
            oldest = &c->held[i];
    }
    dismiss(c, oldest);
    return oldest;
}

/* ---- hearing ---- */

/* 0 for one that has just died. */
static uint64_t cpu_ns_of(const struct copy *copy)
{
    struct timespec used;
    clockid_t clock;

    if (copy->has_died)
        return copy->cpu_at_death_ns;
    if (clock_getcpuclockid(copy->pid, &clock) != 0 || clock_gettime(clock, &used) < 0)
        return 0;
    return clock_from_timespec(used);
}

uint64_t copies_take_cpu_ns(struct copy *copy)
{
    uint64_t now_ns = cpu_ns_of(copy), before_ns = copy->cpu_ns;

    copy->cpu_ns = MAX(now_ns, before_ns);
    return copy->cpu_ns - before_ns;
}

static void take_lent(struct copies *c, const struct lend_lent *f, const int *fds)
{
    struct copy *copy = find_place(c);
    const struct program *program = c->registry->programs[c->wish];
    bool once = program->runs_once;

    copy->id = f->id;
    copy->place = c->wish;
    copy->program = program;
    copy->used = ++c->clock;
    copy->started_ns = f->started_ns;
    copy->may_keep = f->may_keep != 0;
    copy->has_died = false;
    copy->pid = f->pid;
    copy->cpu_ns = f->is_ready ? cpu_ns_of(copy) : 0;
    copy->in_fd = once ? fds[LEND_SOCKET] : -1;
    copy->out_fd = once ? fds[LEND_OUT] : -1;
    copy->wants_out = false;
    talk_init(&copy->talk, once ? -1 : fds[LEND_SOCKET], once ? NULL : &c->in);
    words_open(&copy->words, once ? -1 : fds[LEND_OUT], fds[LEND_ERR]);
    c->has_wish = false;
    if (f->is_ready)
        copy->talk.state = TALK_IDLE;
    /* One that is gone already is found out when it is talked to. */
    if (!once && !f->is_greeted)
        (void)talk_hello(&copy->talk, c->result_bytes_max);
}

static void take_died(struct copies *c, const struct lend_died *f)
{
    for (size_t i = 0; i < COPIES_HELD_MAX; i++) {
        if (c->held[i].id == f->id) {
            c->held[i].has_died = true;
            c->held[i].status = f->status;
            c->held[i].cpu_at_death_ns = f->cpu_ns;
        }
    }
}

static bool take_frame(struct copies *c, const struct proto_head *head, size_t got, const int *fds,
                       size_t fd_count)
{
    const void *f;

    if ((f = chan_frame_exact(head, got, LEND_LENT, sizeof(struct lend_lent))) != NULL) {
        if (!c->has_wish || fd_count != LEND_FD_COUNT)
            return false;
        take_lent(c, f, fds);
        return true;
    }
    if ((f = chan_frame_exact(head, got, LEND_DIED, sizeof(struct lend_died))) != NULL) {
        take_died(c, f);
        return true;
    }
    if ((f = chan_frame_exact(head, got, LEND_REFUSED, sizeof(struct lend_refused))) != NULL) {
        c->has_wish = false;
        c->refused = ((const struct lend_refused *)f)->error;
        return true;
    }
    if (chan_frame_exact(head, got, LEND_FORGOTTEN, sizeof(struct lend_plain)) != NULL) {
        c->has_wish = false;
        return true;
    }
    return false;
}

/* All that the zygote has said. */
static void hear(struct copies *c)
{
    for (;;) {
        alignas(8) char frame[sizeof(struct lend_lent)];
        int fds[PROTO_FDS_MAX];
        size_t fd_count = 0;
        ssize_t got = chan_recv(c->spawn_fd, frame, sizeof(frame), fds, &fd_count, MSG_DONTWAIT);
        if (got == -EAGAIN)
            return;
        if (got == 0 || got == -ECONNRESET)
            end_with_zygote();
        if (got < 0 || !take_frame(c, (const void *)frame, (size_t)got, fds, fd_count)) {
            log_error("this worker ends: the zygote said what makes no sense.");
            _exit(PROTO_EXIT_SETUP);
        }
    }
}

/* ---- wishes ---- */

void copies_wish(struct copies *c, uint32_t place)
{
    struct lend_borrow frame = {.head = chan_head((enum proto_type)LEND_BORROW, sizeof(frame)),
                                .program = place};

    CHECK(!c->has_wish);
    c->has_wish = true;
    c->wish = place;
    c->refused = 0;
    say(c, &frame, sizeof(frame));
}

struct copy *copies_granted(struct copies *c)
{
    struct copy *newest = NULL;

    if (c->has_wish || c->refused != 0)
        return NULL;
    for (size_t i = 0; i < COPIES_HELD_MAX; i++) {
        if (c->held[i].id != 0 && c->held[i].used == c->clock)
            newest = &c->held[i];
    }
    return newest;
}

void copies_forget(struct copies *c)
{
    struct lend_plain frame = {.head = chan_head((enum proto_type)LEND_FORGET, sizeof(frame))};
    uint64_t before = c->clock;
    struct copy *copy;

    say(c, &frame, sizeof(frame));
    while (c->has_wish) {
        struct pollfd p = {.fd = c->spawn_fd, .events = POLLIN};
        (void)poll(&p, 1, -1);
        hear(c);
    }
    copy = c->clock == before ? NULL : copies_granted(c);
    if (copy != NULL && copy->program->runs_once)
        copies_kill(c, copy);
    else if (copy != NULL)
        copies_release(c, copy);
}

/* ---- waiting ---- */

static void wait_for(struct copies *c, struct copy *copy, int timeout_ms, words_tell *tell,
                     void *arg)
{
    short out = copy->talk.fd >= 0 && talk_is_sending(&copy->talk) ? POLLOUT : 0;
    /* In this order, so that what it wrote before it answered is seen with the answer. */
    struct pollfd p[] = {
        {.fd = copy->talk.fd >= 0 ? copy->talk.fd : copy->out_fd, .events = (short)(POLLIN | out)},
        {.fd = copy->words.fds[0], .events = POLLIN},
        {.fd = copy->words.fds[1], .events = POLLIN},
        {.fd = c->spawn_fd, .events = POLLIN},
        {.fd = copy->wants_out ? copy->in_fd : -1, .events = POLLOUT},
    };

    if (poll(p, ARRAY_SIZE(p), timeout_ms) <= 0)
        return;
    if ((p[0].revents & POLLOUT) != 0)
        (void)talk_flush(&copy->talk); /* when it is gone, reading says so too */
    if (p[1].revents != 0 || p[2].revents != 0)
        (void)words_read(&copy->words, tell, arg);
    if (p[3].revents != 0)
        hear(c);
}

void copies_wait(struct copies *c, struct copy *copy, int timeout_ms, words_tell *tell, void *arg)
{
    struct pollfd p = {.fd = c->spawn_fd, .events = POLLIN};

    if (copy != NULL)
        wait_for(c, copy, timeout_ms, tell, arg);
    else if (poll(&p, 1, timeout_ms) > 0)
        hear(c);
}

/* Between tasks it has nothing to say: what is readable then is its end, or a breach. */
static bool is_quiet(struct copies *c, const struct copy *copy)
{
    struct pollfd p[] = {
        {.fd = c->spawn_fd, .events = POLLIN},
        {.fd = copy->talk.fd, .events = POLLIN},
    };

    if (poll(p, ARRAY_SIZE(p), 0) == 0)
        return true;
    if (p[0].revents != 0)
        hear(c);
    return !copy->has_died && (p[1].revents == 0 || copy->talk.state == TALK_STARTING);
}

struct copy *copies_held(struct copies *c, uint32_t place)
{
    for (size_t i = 0; i < COPIES_HELD_MAX; i++) {
        struct copy *copy = &c->held[i];
        if (copy->id == 0 || copy->place != place)
            continue;
        if (is_quiet(c, copy)) {
            copy->used = ++c->clock;
            return copy;
        }
        if (!copy->has_died && copy->talk.state != TALK_STARTING)
            log_info("program %s ended, or said something that nobody asked for; it is replaced",
                     copy->program->name);
        copies_kill(c, copy);
        return NULL;
    }
    return NULL;
}
