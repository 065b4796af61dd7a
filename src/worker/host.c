#include "worker/host.h"

#include <stdarg.h>

#include "base/clock.h"
#include "base/log.h"
#include "worker/json.h"
#include "worker/task.h"

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

static int fail_full(struct task *t, size_t bytes)
{
    if (output_is_full(t->out, bytes))
        return task_fail(t,
                         "The result is larger than %zu bytes; the server's limit is --result-max.",
                         t->out->max);
    return task_fail(t, "There is no memory for a result of %zu bytes.", t->out->size + bytes);
}

static void *host_reserve(struct prong_ctx *ctx, size_t bytes)
{
    struct task *t = of(ctx);
    void *at = output_reserve(t->out, bytes);

    if (at == NULL)
        (void)fail_full(t, bytes);
    return at;
}

static int host_write(struct prong_ctx *ctx, const void *data, size_t bytes)
{
    void *at = host_reserve(ctx, bytes);

    if (at == NULL)
        return -1;
    if (bytes > 0)
        memcpy(at, data, bytes);
    return 0;
}

static int host_print(struct prong_ctx *ctx, const char *format, ...)
{
    char small[256];
    va_list args, again;
    char *at;
    int n;

    va_start(args, format);
    va_copy(again, args);
    n = vsnprintf(small, sizeof(small), format, args);
    va_end(args);
    at = n < 0 ? NULL : host_reserve(ctx, (size_t)n);
    /* The NUL goes into the byte that an output keeps behind its end. */
    if (at != NULL && (size_t)n < sizeof(small))
        memcpy(at, small, (size_t)n);
    else if (at != NULL)
        (void)vsnprintf(at, (size_t)n + 1, format, again);
    va_end(again);
    return at == NULL ? -1 : 0;
}

static int host_number(struct prong_ctx *ctx, double value)
{
    char text[JSON_NUMBER_MAX];
    return host_write(ctx, text, json_number(value, text));
}

static int host_string(struct prong_ctx *ctx, const char *text, size_t bytes)
{
    struct task *t = of(ctx);
    size_t before = t->out->size;
    size_t room = JSON_ESCAPE_MAX * bytes + 2;
    char *at;

    if (bytes > t->out->max)
        return fail_full(t, bytes);
    /* Near the limit it is measured first, so that a text that just fits does. */
    if (output_is_full(t->out, room))
        room = json_quote_bytes(text, bytes);
    at = host_reserve(ctx, room);
    if (at == NULL)
        return -1;
    t->out->size = before + json_quote(text, bytes, at);
    return 0;
}

/* It becomes a header of the response: visible ASCII and spaces, nothing that could end the line.
 * */
static int host_media(struct prong_ctx *ctx, const char *media_type)
{
    struct task *t = of(ctx);
    size_t n = strlen(media_type);

    if (n == 0 || n > PROTO_MEDIA_MAX)
        return host_fail(ctx, "The kernel's media type is not 1 to %d bytes long.",
                         PROTO_MEDIA_MAX);
    for (size_t i = 0; i < n; i++) {
        if (media_type[i] < 0x20 || media_type[i] > 0x7e)
            return host_fail(ctx, "The kernel's media type is not plain ASCII.");
    }
    memcpy(t->media, media_type, n + 1);
    return 0;
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
    uint64_t deadline = of(ctx)->order->frame->deadline_ns;
    uint64_t now = clock_now_ns();

    if (deadline == CLOCK_NEVER)
        return INT64_MAX;
    if (deadline >= now)
        return (int64_t)((deadline - now) / CLOCK_NS_PER_US);
    return -(int64_t)((now - deadline + CLOCK_NS_PER_US - 1) / CLOCK_NS_PER_US);
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
