#include "zygote/trial.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "ipc/description.h"
#include "kernel/plugin.h"
#include "sandbox/sandbox.h"
#include "zygote/reap.h"
#include "zygote/spawn.h"

enum { TRIAL_PASSED = 0, TRIAL_SENTENCE = 1, TRIAL_PAGE = 4096 };

/* What a child leaves behind, in memory that is shared. Believed only as far as it is bounded. */
struct trial_report {
    volatile uint32_t step;     /* enum plugin_step: how far it came */
    uint32_t description_bytes; /* 0: it did not come to it */
    char sentence[DESCRIPTION_TEXT_MAX];
    char description[DESCRIPTION_BYTES_MAX];
} __attribute__((aligned(TRIAL_PAGE)));

/* One file on its way. */
struct trial {
    const struct folder_entry *entry;
    struct stat before; /* of the file, when its trial began */
    pid_t pid;          /* 0: it has ended */
    unsigned tries;
    bool is_late;
    int status; /* of wait4 */
};

struct trials {
    const struct trial_config *config;
    struct registry *registry;
    struct trial *all;
    struct trial_report *reports; /* shared */
    uint32_t count, running;
    uint32_t settled; /* the first so many are loaded or refused */
    pid_t zygote;
};

struct trial_child {
    const struct trials *all;
    uint32_t index;
};

static bool path_of(const struct trials *t, uint32_t index, char out[PATH_MAX])
{
    int n = snprintf(out, PATH_MAX, "%s/%s", t->config->folder->dir, t->all[index].entry->file);
    return n > 0 && n < PATH_MAX;
}

/* ---- in the child ---- */

static _Noreturn void say(struct trial_report *report, const char *sentence)
{
    (void)snprintf(report->sentence, sizeof(report->sentence), "%s", sentence);
    _exit(TRIAL_SENTENCE);
}

/* A kernel that writes where it should not must not write into the reports of others. */
static struct trial_report *keep_report(const struct trials *t, uint32_t index)
{
    if (index > 0)
        (void)munmap(t->reports, index * sizeof(struct trial_report));
    if (index + 1 < t->count)
        (void)munmap(&t->reports[index + 1], (t->count - index - 1) * sizeof(struct trial_report));
    return &t->reports[index];
}

static void describe(struct trial_report *report, const struct prong_kernel *k)
{
    struct buf b;
    struct err err;

    if (description_check_fits(k, &err) < 0)
        say(report, err.text);
    buf_init(&b, DESCRIPTION_BYTES_MAX);
    if (description_encode(&b, k, NULL) < 0)
        say(report, "There is no memory for its description.");
    memcpy(report->description, b.data, b.size);
    report->description_bytes = (uint32_t)b.size;
    buf_release(&b);
}

/* What a child may do while it tries foreign code. The file may be a link to one that lies elsewhere. */
static int enter_sandbox(const struct trials *t, const char *path, struct err *err)
{
    char real[PATH_MAX];
    const char *read[] = {realpath(path, real)};
    struct sandbox_policy policy = {
        .kind = SANDBOX_PROGRAM, .keeps_user = true, .read = read, .read_count = read[0] != NULL};
    struct sandbox_rules rules = {.name = "prong-trial", .policy = &policy, .parent = t->zygote};

    return sandbox_enter(&rules, err);
}

static void run_child(void *arg)
{
    const struct trial_child *c = arg;
    const struct trials *t = c->all;
    struct trial_report *report = keep_report(t, c->index);
    const char *sentence = NULL;
    struct plugin p = {0};
    void *state = NULL;
    char path[PATH_MAX];
    struct err err;

    if (!path_of(t, c->index, path))
        say(report, "Its path is too long.");
    if (enter_sandbox(t, path, &err) < 0 || plugin_open(path, &p, &report->step, &err) < 0)
        say(report, err.text);
    describe(report, &p.kernel);
    if (!t->config->with_fault && strcmp(p.kernel.name, "fault") == 0)
        _exit(TRIAL_PASSED);
    report->step = PLUGIN_INIT;
    if (p.kernel.init != NULL && p.kernel.init(t->config->host, &state) != 0)
        say(report, "Its init failed.");
    /* Its init is for the zygote; from now on it is as in a worker. */
    if (sandbox_narrow(&err) < 0)
        say(report, err.text);
    report->step = PLUGIN_SELFTEST;
    if (p.kernel.selftest != NULL)
        sentence = p.kernel.selftest(state);
    if (sentence != NULL)
        say(report, sentence);
    report->step = PLUGIN_PASSED;
    _exit(TRIAL_PASSED);
}

/* ---- what came of it ---- */

static const char *const step_names[] = {
    [PLUGIN_LOAD] = "constructor",   [PLUGIN_ENTRY] = "prong_kernel_entry",
    [PLUGIN_CHECK] = "declaration",  [PLUGIN_INIT] = "init",
    [PLUGIN_SELFTEST] = "self-test", [PLUGIN_PASSED] = "self-test",
};
static_assert(ARRAY_SIZE(step_names) == PLUGIN_PASSED + 1, "every step has a name");

/* Why it did not come through. */
static void explain(const struct trials *t, uint32_t index, char *out, size_t capacity)
{
    const struct trial *trial = &t->all[index];
    const struct trial_report *report = &t->reports[index];
    const char *what = step_names[MIN(report->step, (uint32_t)PLUGIN_PASSED)];

    if (trial->is_late) {
        (void)snprintf(out, capacity, "Its %s did not end within %.3g s.", what,
                       (double)t->config->timeout_ns / (double)CLOCK_NS_PER_S);
    } else if (WIFSIGNALED(trial->status)) {
        const char *name = sigabbrev_np(WTERMSIG(trial->status));
        (void)snprintf(out, capacity, "Its %s died by SIG%s.", what, name == NULL ? "?" : name);
    } else if (WEXITSTATUS(trial->status) == TRIAL_SENTENCE && report->sentence[0] != '\0') {
        (void)snprintf(out, capacity, "%.*s", DESCRIPTION_TEXT_MAX - 1, report->sentence);
    } else {
        (void)snprintf(out, capacity, "Its %s ended with exit code %d.", what,
                       WEXITSTATUS(trial->status));
    }
}

static void refuse(const struct trials *t, uint32_t index, const char *why)
{
    t->config->refuse(t->config->refuse_arg, t->all[index].entry->file, why);
}

/* NULL for what is none. */
static struct description *read_description(const struct trial_report *report)
{
    struct description *about = NULL;
    uint32_t bytes = report->description_bytes;

    if (bytes == 0 || bytes > DESCRIPTION_BYTES_MAX ||
        description_decode(report->description, bytes, &about) < 0)
        return NULL;
    return about;
}

static void add_broken(struct trials *t, uint32_t index, const struct description *about,
                       const char *why)
{
    struct declared *d = declared_of(about);
    struct err err = {.text = "There is no memory for it."};

    if (d == NULL || declared_check(d, &err) < 0) {
        (void)declared_free(d);
        refuse(t, index, err.text);
    } else if (registry_add_declared(t->registry, d, &err) < 0) {
        refuse(t, index, err.text);
    } else {
        registry_break(t->registry, t->registry->count - 1, why);
    }
}

/* It is what has been tried. */
static int check_unchanged(const struct trial *trial, const char *path, struct err *err)
{
    const struct stat *a = &trial->before;
    struct stat b;

    if (stat(path, &b) < 0 || a->st_dev != b.st_dev || a->st_ino != b.st_ino ||
        a->st_size != b.st_size || a->st_mtim.tv_sec != b.st_mtim.tv_sec ||
        a->st_mtim.tv_nsec != b.st_mtim.tv_nsec)
        return err_set(err, -ESTALE, "It was changed while it was tried.");
    return 0;
}

static int load(struct trials *t, uint32_t index, const char *name, struct err *err)
{
    const struct folder_entry *entry = t->all[index].entry;
    struct plugin p = {0};
    char path[PATH_MAX];
    int rc = registry_check_free(t->registry, name, err);

    if (rc < 0)
        return rc;
    CHECK(path_of(t, index, path));
    rc = check_unchanged(&t->all[index], path, err);
    if (rc == 0)
        rc = plugin_open(path, &p, NULL, err);
    /* A kernel whose init failed stays loaded: what it registered may point into it. */
    if (rc == 0)
        rc = registry_add(t->registry, &p.kernel, t->config->host, err);
    if (rc == 0 && entry->manifest != NULL)
        t->registry->kernels[t->registry->count - 1].limits = &entry->manifest->limits;
    return rc;
}

/* Loads, announces as broken, or refuses one whose trial has ended. */
static void settle(struct trials *t, uint32_t index)
{
    const struct trial *trial = &t->all[index];
    const struct trial_report *report = &t->reports[index];
    CLEANUP_FREE struct description *about = read_description(report);
    bool passed = !trial->is_late && trial->status == 0 && report->step == PLUGIN_PASSED;
    char why[DESCRIPTION_TEXT_MAX];
    struct err err;

    if (!t->config->with_fault && about != NULL && strcmp(about->name, "fault") == 0) {
        log_debug("kernel fault is left out: --enable-fault-kernel was not given");
        return;
    }
    explain(t, index, why, sizeof(why));
    if (passed && about != NULL) {
        if (load(t, index, about->name, &err) < 0)
            refuse(t, index, err.text);
    } else if (about != NULL && report->step >= PLUGIN_SELFTEST) {
        add_broken(t, index, about, why);
    } else {
        refuse(t, index, why);
    }
}

/* Those whose turn it is: kernels have their indices by name. The others are still running meanwhile. */
static void settle_next(struct trials *t)
{
    while (t->settled < t->count && t->all[t->settled].pid == 0)
        settle(t, t->settled++);
}

/* ---- all of them ---- */

static void start(struct trials *t, uint32_t index)
{
    struct trial_child child = {.all = t, .index = index};
    struct trial *trial = &t->all[index];
    struct trial_report *report = &t->reports[index];
    char path[PATH_MAX];
    pid_t pid;

    trial->tries++;
    if (path_of(t, index, path) && stat(path, &trial->before) < 0)
        trial->before = (struct stat) {0};
    pid = spawn_child(run_child, &child);
    if (pid > 0) {
        trial->pid = pid;
        t->running++;
        return;
    }
    trial->status = TRIAL_SENTENCE << 8;
    (void)snprintf(report->sentence, sizeof(report->sentence), "It could not be tried: %s.",
                   strerror(-pid));
}

/* Else the kernel would be missing until the kernels are loaded anew, and its jobs would fail for it. */
static bool must_try_again(const struct trial *trial)
{
    return !trial->is_late && trial->tries < TRIAL_TRIES_MAX && reap_was_killed(trial->status);
}

static void note_end(struct trials *t, const struct reaped *child)
{
    for (uint32_t i = 0; i < t->count; i++) {
        struct trial *trial = &t->all[i];
        if (trial->pid != child->pid)
            continue;
        trial->pid = 0;
        trial->status = child->status;
        t->running--;
        if (!must_try_again(trial))
            return;
        memset(&t->reports[i], 0, sizeof(t->reports[i]));
        start(t, i);
        return;
    }
}

/* Reaps until all are through or the time is up. */
static void await(struct trials *t, uint64_t deadline_ns)
{
    while (t->running > 0) {
        struct pollfd p = {.fd = t->config->reap_fd, .events = POLLIN};
        struct reaped child;
        uint64_t now = clock_now_ns();

        if (now >= deadline_ns)
            return;
        (void)poll(&p, 1, clock_poll_ms(now, deadline_ns));
        reap_clear(t->config->reap_fd);
        while (reap_next(&child)) {
            sandbox_forget(child.pid);
            note_end(t, &child);
        }
        settle_next(t);
    }
}

static void kill_late_ones(struct trials *t)
{
    for (uint32_t i = 0; i < t->count; i++) {
        if (t->all[i].pid == 0)
            continue;
        t->all[i].is_late = true;
        reap_kill(t->all[i].pid, SIGKILL);
    }
}

static void run_all(struct trials *t)
{
    for (uint32_t i = 0; i < t->count; i++)
        start(t, i);
    await(t, clock_now_ns() + t->config->timeout_ns);
    kill_late_ones(t);
    await(t, CLOCK_NEVER);
    settle_next(t);
}

void trial_run(struct registry *r, const struct trial_config *config)
{
    const struct folder *folder = config->folder;
    struct trials t = {.config = config, .registry = r, .zygote = getpid()};
    CLEANUP_FREE struct trial *all = calloc(MAX(folder->count, 1u), sizeof(*all));
    size_t bytes;

    for (uint32_t i = 0; i < folder->count && all != NULL; i++) {
        if (folder->entries[i].is_shared_object)
            all[t.count++].entry = &folder->entries[i];
    }
    if (all != NULL && t.count == 0)
        return;
    bytes = t.count * sizeof(*t.reports);
    t.all = all;
    t.reports = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (all == NULL || t.reports == MAP_FAILED) {
        log_error("there is no memory to try kernels: %s; none is loaded", strerror(errno));
        return;
    }
    run_all(&t);
    (void)munmap(t.reports, bytes);
}
