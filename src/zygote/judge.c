#include "zygote/judge.h"

#include <errno.h>
#include <poll.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "program/talk.h"
#include "program/words.h"
#include "worker/sandbox.h"

enum { RESULT_MAX = 1 << 20 }; /* none is expected */

struct trial {
    const struct judge *judge;
    struct frame_reader in;
    struct talk talk;
    struct words words;
};

static void log_line(void *arg, const char *line)
{
    const struct trial *t = arg;

    log_info("%s: %s", t->judge->program->name, line);
}

static _Noreturn void end(struct judge_report *report, enum judge_outcome outcome)
{
    report->outcome = (uint32_t)outcome;
    _exit(0);
}

static _Noreturn void refuse(struct trial *t, const char *why)
{
    struct judge_report *report = t->judge->report;
    char last[600];

    (void)words_read(&t->words, log_line, t);
    words_flush(&t->words, log_line, t);
    words_last_sentence(&t->words, last, sizeof(last));
    (void)snprintf(report->sentence, sizeof(report->sentence), "%.*s%s", 380, why, last);
    end(report, JUDGE_REFUSED);
}

/* What it wrote comes until its streams end, which is when it has died. */
static _Noreturn void tell_ended(struct trial *t)
{
    struct judge_report *report = t->judge->report;
    uint64_t end_ns = clock_now_ns() + CLOCK_NS_PER_S;

    check_close_fd(&t->talk.fd);
    t->talk.fd = -1;
    while (words_read(&t->words, log_line, t) && clock_now_ns() < end_ns) {
        struct pollfd p[] = {{.fd = t->words.fds[0], .events = POLLIN},
                             {.fd = t->words.fds[1], .events = POLLIN}};
        (void)poll(p, ARRAY_SIZE(p), clock_poll_ms(clock_now_ns(), end_ns));
    }
    words_flush(&t->words, log_line, t);
    words_last_sentence(&t->words, report->sentence, sizeof(report->sentence) - 200);
    end(report, JUDGE_ENDED);
}

static void add_kernel(struct trial *t, const struct prong_kernel *k, size_t *used)
{
    struct judge_report *report = t->judge->report;
    struct buf b;

    buf_init(&b, DESCRIPTION_BYTES_MAX);
    if (description_encode(&b, k, NULL) < 0 || b.size > sizeof(report->data) - *used)
        refuse(t, "Its kernels have too long descriptions.");
    memcpy(report->data + *used, b.data, b.size);
    report->bytes[report->count++] = (uint32_t)b.size;
    *used += b.size;
    buf_release(&b);
}

/* Either the manifest declares the kernel, or READY does. */
static void describe(struct trial *t, const struct talk_said *said)
{
    const struct declared *declared = t->judge->program->manifest->declared;
    struct declared *kernels[DESCRIBE_KERNELS_MAX];
    uint32_t count = 0;
    size_t used = 0;
    struct err err;

    if (said->about_bytes > 0 &&
        describe_read(said->about, said->about_bytes, kernels, &count, &err) < 0)
        refuse(t, err.text);
    if (count == 0 && declared == NULL)
        refuse(t, "It offers no kernel: READY names none, and no manifest declares one.");
    if (count > 0 && declared != NULL)
        refuse(t, "Its manifest declares a kernel, and READY names others: one of them must go.");
    if (declared != NULL)
        add_kernel(t, &declared->kernel, &used);
    for (uint32_t i = 0; i < count; i++)
        add_kernel(t, &kernels[i]->kernel, &used);
}

static void wait_for(struct trial *t, uint64_t end_ns)
{
    struct pollfd p[] = {
        {.fd = t->talk.fd, .events = POLLIN},
        {.fd = t->words.fds[0], .events = POLLIN},
        {.fd = t->words.fds[1], .events = POLLIN},
    };

    (void)poll(p, ARRAY_SIZE(p), clock_poll_ms(clock_now_ns(), end_ns));
    (void)words_read(&t->words, log_line, t);
}

static void listen_to(struct trial *t)
{
    const struct program *program = t->judge->program;
    uint64_t end_ns = clock_now_ns() + program->start_ns;
    struct talk_said said = {.kind = TALK_NOTHING};
    char why[400];

    while (said.kind == TALK_NOTHING) {
        if (clock_now_ns() >= end_ns) {
            (void)snprintf(why, sizeof(why), "It was not ready within %.3g s.",
                           (double)program->start_ns / (double)CLOCK_NS_PER_S);
            refuse(t, why);
        }
        wait_for(t, end_ns);
        talk_next(&t->talk, &said);
    }
    if (said.kind == TALK_ENDED)
        tell_ended(t);
    if (said.kind != TALK_READY) {
        (void)snprintf(why, sizeof(why), "It broke the protocol: it %s.", said.how.text);
        refuse(t, why);
    }
    describe(t, &said);
}

static void enter_sandbox(const struct judge *j)
{
    struct sandbox_rules rules = {
        .name = "prong-trial",
        .parent = j->zygote,
        .keep = {j->fds[LEND_SOCKET], j->fds[LEND_OUT], j->fds[LEND_ERR]},
        .keep_count = LEND_FD_COUNT,
    };
    struct err err;

    if (sandbox_enter(&rules, &err) == 0)
        return;
    (void)snprintf(j->report->sentence, sizeof(j->report->sentence), "%s", err.text);
    end(j->report, JUDGE_REFUSED);
}

void judge_run(void *judge)
{
    static struct trial t;

    t.judge = judge;
    enter_sandbox(t.judge);
    words_open(&t.words, SANDBOX_FIRST_FD + LEND_OUT, SANDBOX_FIRST_FD + LEND_ERR);
    if (frame_reader_init(&t.in, RESULT_MAX) < 0)
        refuse(&t, "There is no memory to try it.");
    talk_init(&t.talk, SANDBOX_FIRST_FD + LEND_SOCKET, &t.in);
    if (talk_hello(&t.talk, t.judge->result_bytes_max) < 0)
        tell_ended(&t);
    listen_to(&t);
    words_flush(&t.words, log_line, &t);
    (void)talk_quiet(&t.talk);
    end(t.judge->report, JUDGE_READY);
}
