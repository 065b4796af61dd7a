#include "worker/task.h"

#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "worker/host.h"
#include "worker/json.h"

static void set_up(struct task *t, struct shm_page *page, const struct shm_control *control,
                   struct answer_channel *channel)
{
    *t = (struct task) {
        .ctx.host = host_table(),
        .page = page,
        .control = control,
        .channel = channel,
        .out = &t->outputs[0],
    };
}

int task_init(struct task *t, struct shm_page *page, const struct shm_control *control,
              struct answer_channel *channel)
{
    set_up(t, page, control, channel);
    for (size_t i = 0; i < ARRAY_SIZE(t->outputs); i++) {
        if (output_init(&t->outputs[i], channel->out_bytes) < 0)
            return -ENOMEM;
    }
    return 0;
}

int task_init_together(struct task *t, struct shm_page *page, const struct shm_control *control,
                       struct answer_channel *channel)
{
    set_up(t, page, control, channel);
    t->is_together = true;
    return output_init_small(t->out, channel->out_bytes);
}

void task_release(struct task *t)
{
    for (size_t i = 0; i < ARRAY_SIZE(t->outputs); i++)
        output_release(&t->outputs[i]);
}

void task_begin(struct task *t, const struct order *order)
{
    t->ctx.state = order->kernel->state;
    t->order = order;
    t->yield_units = 0;
    t->done = 0;
    t->stop = TASK_RUNS;
    t->failed = t->died = false;
    t->program_cpu_ns = 0;
    t->media[0] = '\0';
    output_clear(t->out);
}

void task_end(struct task *t)
{
    for (size_t i = 0; i < ARRAY_SIZE(t->outputs); i++) {
        if (t->outputs[i].data != NULL)
            output_trim(&t->outputs[i]);
    }
    t->order = NULL;
}

void task_turn(struct task *t)
{
    t->out = t->out == &t->outputs[0] ? &t->outputs[1] : &t->outputs[0];
    output_clear(t->out);
}

/* Cuts an error that did not fit where a character begins, for it becomes JSON. */
static void cut_at_character(char *text)
{
    size_t n = strlen(text);

    while (n > 0 && ((unsigned char)text[n - 1] & 0xc0) == 0x80)
        n--;
    if (n > 0 && json_utf8_length(text + n - 1, strlen(text + n - 1)) == 0)
        text[n - 1] = '\0';
}

/* The first failure is the reason; what a kernel says when a writer has failed is a consequence. */
void task_fail_va(struct task *t, const char *format, va_list args)
{
    if (t->failed)
        return;
    t->failed = true;
    if (vsnprintf(t->error, sizeof(t->error), format, args) >= (int)sizeof(t->error))
        cut_at_character(t->error);
}

int task_fail(struct task *t, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    task_fail_va(t, format, args);
    va_end(args);
    return -1;
}

int task_die(struct task *t, int status, bool was_killed, const char *format, ...)
{
    va_list args;

    if (t->failed)
        return -1;
    t->died = true;
    t->was_killed = was_killed;
    t->died_status = status;
    va_start(args, format);
    task_fail_va(t, format, args);
    va_end(args);
    return -1;
}

uint64_t task_coarse_now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return clock_from_timespec(now);
}

bool task_is_cancelled(struct task *t, uint64_t now_ns)
{
    const struct proto_task *f = t->order->frame;

    if (t->stop == TASK_CANCELLED)
        return true;
    if (atomic_load_explicit(&t->control->cancel[f->inflight], memory_order_relaxed) != f->task &&
        now_ns < f->deadline_ns)
        return false;
    t->stop = TASK_CANCELLED;
    return true;
}

bool task_must_yield(struct task *t, uint64_t done, uint64_t total)
{
    const struct proto_task *f = t->order->frame;

    if (total != t->yield_units || done > total || t->yield_units == 0)
        return false;
    if (t->stop != TASK_YIELDED &&
        atomic_load_explicit(&t->control->yield[f->inflight], memory_order_relaxed) != f->task)
        return false;
    t->stop = TASK_YIELDED;
    t->done = done;
    return true;
}

/* A request's job has the request's id. */
void task_log_about(const struct proto_task *f)
{
    log_context(f == NULL ? NULL : f->job, f == NULL ? NULL : f->trace_id);
    log_context_job(f == NULL ? NULL : f->job);
}
