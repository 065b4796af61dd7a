#include "worker/host.h"

#include <stdarg.h>

#include "base/clock.h"
#include "base/log.h"
#include "worker/task.h"
#include "worker/writer.h"

static struct task *of(struct prong_ctx *ctx)
{
    return CONTAINER_OF(ctx, struct task, ctx);
}

static const struct params_value *value_at(struct prong_ctx *ctx, unsigned index)
{
    static const struct params_value none = {.text = ""};
    const struct params *params = &of(ctx)->order->params;
    return index < params->count ? &params->values[index] : &none;
}

static int64_t host_int(struct prong_ctx *ctx, unsigned index)
{
    return value_at(ctx, index)->integer;
}

static double host_real(struct prong_ctx *ctx, unsigned index)
{
    return value_at(ctx, index)->real;
}

static const char *host_text(struct prong_ctx *ctx, unsigned index)
{
    return value_at(ctx, index)->text;
}

static enum prong_input host_input(struct prong_ctx *ctx, struct prong_buf *ret_input)
{
    const struct order *order = of(ctx)->order;
    *ret_input = order->input;
    return (enum prong_input)order->frame->input_kind;
}

static int host_fail(struct prong_ctx *ctx, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    task_fail_va(of(ctx), format, args);
    va_end(args);
    return -1;
}

/* As what a writer returns. */
static int told(struct task *t, int rc, const struct err *err)
{
    return rc < 0 ? task_fail(t, "%s", err->text) : 0;
}

static void *host_reserve(struct prong_ctx *ctx, size_t bytes)
{
    struct err err;
    void *at = writer_reserve(of(ctx)->out, bytes, &err);

    if (at == NULL)
        (void)task_fail(of(ctx), "%s", err.text);
    return at;
}

static int host_write(struct prong_ctx *ctx, const void *data, size_t bytes)
{
    struct err err;
    return told(of(ctx), writer_bytes(of(ctx)->out, data, bytes, &err), &err);
}

static int host_print(struct prong_ctx *ctx, const char *format, ...)
{
    struct err err;
    va_list args;
    int rc;

    va_start(args, format);
    rc = writer_print(of(ctx)->out, &err, format, args);
    va_end(args);
    return told(of(ctx), rc, &err);
}

static int host_number(struct prong_ctx *ctx, double value)
{
    struct err err;
    return told(of(ctx), writer_number(of(ctx)->out, value, &err), &err);
}

static int host_string(struct prong_ctx *ctx, const char *text, size_t bytes)
{
    struct err err;
    return told(of(ctx), writer_string(of(ctx)->out, text, bytes, &err), &err);
}

static int host_media(struct prong_ctx *ctx, const char *media_type)
{
    struct err err;
    return told(of(ctx), writer_media(of(ctx)->media, media_type, &err), &err);
}

static int host_progress(struct prong_ctx *ctx, uint64_t done, uint64_t total)
{
    struct task *t = of(ctx);
    uint64_t now = task_coarse_now_ns();

    if (!t->is_together) {
        atomic_store_explicit(&t->page->done, done, memory_order_relaxed);
        atomic_store_explicit(&t->page->total, total, memory_order_relaxed);
    }
    atomic_store_explicit(&t->page->beat_ns, now, memory_order_relaxed);
    return task_is_cancelled(t, now) || task_must_yield(t, done, total);
}

static int host_cancelled(struct prong_ctx *ctx)
{
    return task_is_cancelled(of(ctx), task_coarse_now_ns());
}

static int64_t host_left_us(struct prong_ctx *ctx)
{
    return clock_left_us(of(ctx)->order->frame->deadline_ns, clock_now_ns());
}

static int host_wants_parts(struct prong_ctx *ctx)
{
    return of(ctx)->order->frame->wants_parts != 0;
}

static int host_emit(struct prong_ctx *ctx, const void *json, size_t bytes)
{
    struct task *t = of(ctx);

    if (!host_wants_parts(ctx))
        return 0;
    if (bytes > PROTO_PART_MAX)
        return host_fail(ctx, "The kernel emitted a part of %zu bytes; the limit is %d.", bytes,
                         PROTO_PART_MAX);
    answer_emit(t->channel, t->order->frame->task,
                (struct prong_buf) {.data = json, .size = bytes});
    return 0;
}

static void host_log(struct prong_ctx *ctx, enum prong_log level, const char *format, ...)
{
    static const enum log_level levels[] = {
        [PRONG_LOG_DEBUG] = LOG_DEBUG,
        [PRONG_LOG_INFO] = LOG_INFO,
        [PRONG_LOG_WARNING] = LOG_WARNING,
        [PRONG_LOG_ERROR] = LOG_ERROR,
    };
    const struct order *order = of(ctx)->order;
    char text[LOG_LINE_BYTES_MAX];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    task_log_about(order->frame); /* of several that are computed together, this one */
    log_write(level <= PRONG_LOG_ERROR ? levels[level] : LOG_ERROR, "%s: %s",
              order->kernel->kernel.name, text);
}

static const struct prong_host host = {
    .size = sizeof(struct prong_host),
    .abi_major = PRONG_ABI_MAJOR,
    .abi_minor = PRONG_ABI_MINOR,
    .int_param = host_int,
    .real_param = host_real,
    .text_param = host_text,
    .input = host_input,
    .reserve = host_reserve,
    .write = host_write,
    .print = host_print,
    .number = host_number,
    .string = host_string,
    .media = host_media,
    .progress = host_progress,
    .cancelled = host_cancelled,
    .left_us = host_left_us,
    .wants_parts = host_wants_parts,
    .emit = host_emit,
    .fail = host_fail,
    .log = host_log,
};

static_assert(PRONG_EMIT_MAX == PROTO_PART_MAX, "what a kernel may emit fits a frame");
static_assert(PRONG_BATCH_MAX == PROTO_BATCH_MAX, "no kernel gets more calls at once");

const struct prong_host *host_table(void)
{
    return &host;
}
