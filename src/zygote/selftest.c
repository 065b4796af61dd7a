#include "zygote/selftest.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "ipc/description.h"
#include "sandbox/sandbox.h"
#include "zygote/reap.h"
#include "zygote/spawn.h"

enum { EXIT_PASSED = 0, EXIT_SENTENCE = 1 };

typedef char selftest_sentence[DESCRIPTION_TEXT_MAX];

/* All tests that are on their way. */
struct selftest {
    struct registry *registry;
    selftest_sentence *sentences; /* shared memory: child i writes the i-th */
    pid_t pids[PROTO_KERNELS_MAX];
    uint32_t running;
    uint64_t timeout_ns;
    pid_t zygote;
};

struct selftest_child {
    const struct selftest *all;
    uint32_t index;
};

static void run_child(void *arg)
{
    const struct selftest_child *c = arg;
    const struct registry_kernel *k = &c->all->registry->kernels[c->index];
    struct sandbox_policy policy = {.kind = SANDBOX_KERNEL};
    struct sandbox_rules rules = {
        .name = "prong-selftest", .policy = &policy, .parent = c->all->zygote};
    const char *sentence;
    struct err err;

    if (sandbox_enter(&rules, &err) < 0)
        sentence = err.text;
    else
        sentence = k->kernel.selftest(k->state);
    if (sentence == NULL)
        _exit(EXIT_PASSED);
    (void)snprintf(c->all->sentences[c->index], sizeof(selftest_sentence), "%s", sentence);
    _exit(EXIT_SENTENCE);
}

static void start(struct selftest *s, uint32_t index)
{
    struct selftest_child child = {.all = s, .index = index};
    char text[DESCRIPTION_TEXT_MAX];
    pid_t pid;

    if (s->registry->kernels[index].kernel.selftest == NULL)
        return;
    pid = spawn_child(run_child, &child);
    if (pid > 0) {
        s->pids[index] = pid;
        s->running++;
        return;
    }
    (void)snprintf(text, sizeof(text), "Its self-test could not be started: %s.", strerror(-pid));
    registry_break(s->registry, index, text);
}

/* What the end of its test says about a kernel; "" when all is well. */
static void judge(const struct selftest *s, uint32_t index, int status, char *out, size_t capacity)
{
    const char *sentence = s->sentences[index];

    if (WIFSIGNALED(status)) {
        const char *name = sigabbrev_np(WTERMSIG(status));
        (void)snprintf(out, capacity, "Its self-test died by SIG%s.", name == NULL ? "?" : name);
    } else if (WEXITSTATUS(status) == EXIT_SENTENCE && sentence[0] != '\0') {
        (void)snprintf(out, capacity, "%.*s", DESCRIPTION_TEXT_MAX - 1, sentence);
    } else if (WEXITSTATUS(status) != EXIT_PASSED) {
        (void)snprintf(out, capacity, "Its self-test ended with exit code %d.",
                       WEXITSTATUS(status));
    } else {
        out[0] = '\0';
    }
}

static void settle(struct selftest *s, const struct reaped *child)
{
    char text[DESCRIPTION_TEXT_MAX];

    for (uint32_t i = 0; i < s->registry->count; i++) {
        if (s->pids[i] != child->pid)
            continue;
        s->pids[i] = 0;
        sandbox_forget(child->pid);
        s->running--;
        judge(s, i, child->status, text, sizeof(text));
        if (text[0] != '\0')
            registry_break(s->registry, i, text);
    }
}

/* Reaps until all are through or the time is up; `timeout_ns` from now, CLOCK_NEVER for no limit.
 * */
static void await(struct selftest *s, int reap_fd, uint64_t deadline_ns)
{
    while (s->running > 0) {
        struct pollfd p = {.fd = reap_fd, .events = POLLIN};
        struct reaped child;
        uint64_t now = clock_now_ns();

        if (now >= deadline_ns)
            return;
        (void)poll(&p, 1, clock_poll_ms(now, deadline_ns));
        reap_clear(reap_fd);
        while (reap_next(&child))
            settle(s, &child);
    }
}

static void kill_late_ones(struct selftest *s)
{
    char text[DESCRIPTION_TEXT_MAX];

    (void)snprintf(text, sizeof(text), "Its self-test did not end within %.3g s.",
                   (double)s->timeout_ns / (double)CLOCK_NS_PER_S);
    for (uint32_t i = 0; i < s->registry->count; i++) {
        if (s->pids[i] == 0)
            continue;
        registry_break(s->registry, i, text);
        reap_kill(s->pids[i], SIGKILL);
    }
}

void selftest_run(struct registry *r, int reap_fd, uint64_t timeout_ns)
{
    struct selftest s = {.registry = r, .timeout_ns = timeout_ns, .zygote = getpid()};
    size_t bytes = (size_t)r->count * sizeof(selftest_sentence);

    if (r->count == 0)
        return;
    s.sentences = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (s.sentences == MAP_FAILED) {
        log_error("there is no memory for self-tests: %s; they are left out", strerror(errno));
        return;
    }
    for (uint32_t i = 0; i < r->count; i++)
        start(&s, i);
    await(&s, reap_fd, clock_now_ns() + timeout_ns);
    kill_late_ones(&s);
    await(&s, reap_fd, CLOCK_NEVER);
    (void)munmap(s.sentences, bytes);
}
