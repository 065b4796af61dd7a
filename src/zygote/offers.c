#include "zygote/offers.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "sandbox/sandbox.h"
#include "zygote/judge.h"
#include "zygote/reap.h"
#include "zygote/spawn.h"
#include "zygote/start.h"
#include "zygote/trial.h"

/* A judge is done when the program's time is up, and the program when it was told so; both are killed
 * this much later. */
#define GRACE_NS (2 * CLOCK_NS_PER_S)

/* One program on its way. */
struct offer {
    const struct folder_entry *entry;
    struct judge_report *report; /* shared; NULL when it is not tried */
    uint32_t place;
    pid_t program_pid, judge_pid; /* 0: it has ended */
    int program_status;           /* of wait4 */
    uint64_t until_ns;            /* there is no other try after that */
    uint64_t end_ns;              /* when what is left of them is killed */
    unsigned tries;
    bool was_ended;                 /* by us */
    bool was_struck;                /* by others */
    char why[DESCRIPTION_TEXT_MAX]; /* it cannot even be tried; "" when it can */
};

struct offers {
    const struct offers_config *config;
    struct registry *registry;
    struct offer *all;
    uint32_t count, running; /* processes */
    struct start_config start;
};

uint64_t offers_patience_ns(const struct folder *folder)
{
    uint64_t longest = 0;

    for (uint32_t i = 0; i < folder->count; i++) {
        const struct folder_entry *entry = &folder->entries[i];
        if (!entry->is_shared_object && entry->manifest->kind != MANIFEST_EXEC)
            longest = MAX(longest, entry->manifest->limits.start_s * CLOCK_NS_PER_S + GRACE_NS);
    }
    return longest;
}

/* ---- starting ---- */

static int make_program(struct offers *o, struct offer *offer)
{
    const struct manifest *m = offer->entry->manifest;
    struct program *program;
    int place;

    if (m->kind == MANIFEST_LIBRARY && o->config->host == NULL)
        return -ENOTSUP;
    program = program_new(m, o->config->folder->dir, o->config->sdk, o->config->host);
    if (program == NULL)
        return -ENOMEM;
    place = registry_add_program(o->registry, program);
    if (place < 0) {
        (void)program_free(program);
        return place;
    }
    offer->place = (uint32_t)place;
    return 0;
}

/* Empty, also when there was one. */
static int make_report(struct offer *offer)
{
    void *map;

    if (offer->report != NULL)
        (void)munmap(offer->report, sizeof(*offer->report));
    offer->report = NULL;
    map = mmap(NULL, sizeof(*offer->report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
               0);
    if (map == MAP_FAILED)
        return -errno;
    offer->report = map;
    return 0;
}

static int start_both(struct offers *o, struct offer *offer)
{
    struct judge judge = {
        .program = o->registry->programs[offer->place],
        .zygote = o->start.zygote,
        .result_bytes_max = FRAME_BODY_MAX,
    };
    int fds[LEND_FD_COUNT];
    pid_t pid;
    int rc = make_report(offer);

    if (rc < 0)
        return rc;
    offer->tries++;
    offer->was_ended = offer->was_struck = false;
    offer->program_status = 0;
    offer->end_ns = offer->until_ns;
    judge.report = offer->report;
    pid = start_program(&o->start, offer->place, fds);
    if (pid < 0)
        return pid;
    offer->program_pid = pid;
    o->running++;
    judge.fds = fds;
    pid = spawn_child(judge_run, &judge);
    for (int i = 0; i < LEND_FD_COUNT; i++)
        (void)close(fds[i]);
    if (pid < 0)
        return pid;
    offer->judge_pid = pid;
    o->running++;
    return 0;
}

static void explain_start(struct offer *offer, int rc)
{
    (void)snprintf(offer->why, sizeof(offer->why), "It cannot be tried: %s.", strerror(-rc));
}

static void start(struct offers *o, struct offer *offer)
{
    int rc = make_program(o, offer);

    offer->until_ns =
        clock_now_ns() + offer->entry->manifest->limits.start_s * CLOCK_NS_PER_S + GRACE_NS;
    if (rc == -ENOTSUP)
        (void)snprintf(offer->why, sizeof(offer->why),
                       "There is no prong-host beside prong-zygote to load a library in.");
    else if (rc == -ENOSPC)
        (void)snprintf(offer->why, sizeof(offer->why), "There are %d programs already.",
                       PROTO_PROGRAMS_MAX);
    else if (rc == 0 && !o->registry->programs[offer->place]->runs_once)
        rc = start_both(o, offer);
    if (rc < 0 && offer->why[0] == '\0')
        explain_start(offer, rc);
}

/* ---- waiting ---- */

static void note_judge(struct offer *offer)
{
    offer->judge_pid = 0;
    offer->end_ns = MIN(offer->end_ns, clock_now_ns() + GRACE_NS);
    /* Only one that was told QUIET has time to end. */
    if (offer->report->outcome != JUDGE_READY && offer->program_pid != 0 &&
        offer->report->outcome != JUDGE_ENDED)
        offer->end_ns = 0;
}

static bool must_try_again(const struct offer *offer)
{
    return offer->program_pid == 0 && offer->judge_pid == 0 && offer->was_struck &&
           offer->report->outcome != JUDGE_READY && offer->tries < TRIAL_TRIES_MAX &&
           clock_now_ns() < offer->until_ns;
}

static void note_end(struct offers *o, const struct reaped *child)
{
    for (uint32_t i = 0; i < o->count; i++) {
        struct offer *offer = &o->all[i];
        int rc;
        if (offer->program_pid != child->pid && offer->judge_pid != child->pid)
            continue;
        o->running--;
        offer->was_struck |= !offer->was_ended && reap_was_killed(child->status);
        if (offer->program_pid == child->pid) {
            offer->program_pid = 0;
            offer->program_status = child->status;
        } else {
            note_judge(offer);
        }
        rc = must_try_again(offer) ? start_both(o, offer) : 0;
        if (rc < 0)
            explain_start(offer, rc);
        return;
    }
}

static uint64_t kill_late_ones(struct offers *o, uint64_t now_ns)
{
    uint64_t next_ns = CLOCK_NEVER;

    for (uint32_t i = 0; i < o->count; i++) {
        struct offer *offer = &o->all[i];
        if (offer->program_pid == 0 && offer->judge_pid == 0)
            continue;
        if (offer->end_ns > now_ns) {
            next_ns = MIN(next_ns, offer->end_ns);
            continue;
        }
        offer->was_ended = true;
        if (offer->program_pid != 0)
            reap_kill(offer->program_pid, SIGKILL);
        if (offer->judge_pid != 0)
            reap_kill(offer->judge_pid, SIGKILL);
        offer->end_ns = CLOCK_NEVER;
    }
    return next_ns;
}

static void await(struct offers *o)
{
    while (o->running > 0) {
        struct pollfd p = {.fd = o->config->reap_fd, .events = POLLIN};
        struct reaped child;
        uint64_t next_ns = kill_late_ones(o, clock_now_ns());

        (void)poll(&p, 1, clock_poll_ms(clock_now_ns(), next_ns));
        reap_clear(o->config->reap_fd);
        while (reap_next(&child)) {
            sandbox_forget(child.pid);
            note_end(o, &child);
        }
    }
}

/* ---- judging the judges ---- */

static void refuse(const struct offers *o, const struct offer *offer, const char *why)
{
    o->config->refuse(o->config->refuse_arg, offer->entry->file, why);
}

static void explain_end(const struct offer *offer, char *out, size_t capacity)
{
    int status = offer->program_status;
    const char *words = offer->report->sentence;
    char how[64];

    if (WIFSIGNALED(status))
        (void)snprintf(how, sizeof(how), "was killed by SIG%s", sigabbrev_np(WTERMSIG(status)));
    else
        (void)snprintf(how, sizeof(how), "exited with code %d", WEXITSTATUS(status));
    (void)snprintf(out, capacity, "It %s before it was ready.%.*s", how, DESCRIPTION_TEXT_MAX - 200,
                   words);
}

static void add_kernel(const struct offers *o, const struct offer *offer, const void *data,
                       size_t bytes)
{
    CLEANUP_FREE struct description *about = NULL;
    struct err err = {.text = "What its trial has found is no description."};
    struct declared *d = NULL;

    if (description_decode(data, bytes, &about) == 0)
        d = declared_of(about);
    if (d == NULL || declared_check(d, &err) < 0 ||
        registry_add_remote(o->registry, &d->kernel, offer->place, o->config->remote, &err) < 0) {
        refuse(o, offer, err.text);
        (void)declared_free(d);
        return;
    }
    o->registry->kernels[o->registry->count - 1].declared = d;
}

static void add_kernels(const struct offers *o, const struct offer *offer)
{
    const struct judge_report *report = offer->report;
    uint32_t count = MIN(report->count, (uint32_t)DESCRIBE_KERNELS_MAX);
    size_t at = 0;

    for (uint32_t i = 0; i < count && report->bytes[i] <= sizeof(report->data) - at; i++) {
        add_kernel(o, offer, report->data + at, report->bytes[i]);
        at += report->bytes[i];
    }
}

static void add_once(const struct offers *o, const struct offer *offer)
{
    struct err err;

    if (registry_add_remote(o->registry, &offer->entry->manifest->declared->kernel, offer->place,
                            o->config->remote, &err) < 0)
        refuse(o, offer, err.text);
}

static void settle(const struct offers *o, struct offer *offer)
{
    char why[DESCRIPTION_TEXT_MAX];

    if (offer->why[0] != '\0') {
        refuse(o, offer, offer->why);
    } else if (offer->report == NULL) {
        add_once(o, offer);
    } else if (offer->report->outcome == JUDGE_READY) {
        add_kernels(o, offer);
    } else if (offer->report->outcome == JUDGE_ENDED) {
        offer->report->sentence[sizeof(offer->report->sentence) - 1] = '\0';
        explain_end(offer, why, sizeof(why));
        refuse(o, offer, why);
    } else if (offer->report->outcome == JUDGE_REFUSED) {
        offer->report->sentence[sizeof(offer->report->sentence) - 1] = '\0';
        refuse(o, offer, offer->report->sentence);
    } else {
        refuse(o, offer, "Its trial was killed.");
    }
    if (offer->report != NULL)
        (void)munmap(offer->report, sizeof(*offer->report));
}

void offers_run(struct registry *r, const struct offers_config *config)
{
    const struct folder *folder = config->folder;
    struct offers o = {
        .config = config,
        .registry = r,
        .start = {.registry = r, .zygote = getpid(), .memory_bytes_max = config->memory_bytes_max}};
    CLEANUP_FREE struct offer *all = calloc(MAX(folder->count, 1U), sizeof(*all));

    if (all == NULL) {
        log_error("there is no memory to try programs; none is loaded");
        return;
    }
    o.all = all;
    for (uint32_t i = 0; i < folder->count; i++) {
        if (folder->entries[i].is_shared_object)
            continue;
        all[o.count].entry = &folder->entries[i];
        start(&o, &all[o.count++]);
    }
    await(&o);
    for (uint32_t i = 0; i < o.count; i++)
        settle(&o, &all[i]);
}
