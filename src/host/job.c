#include "host/job.h"

#include <errno.h>

#include "base/clock.h"
#include "worker/writer.h"

static struct job *of(struct prong_ctx *ctx)
{
    return CONTAINER_OF(ctx, struct job, ctx);
}

int job_init(struct job *j, const struct prong_kernel *k, void *state, struct link *l,
             size_t result_max, size_t part_max)
{
    *j = (struct job) {
        .ctx = {.host = job_host(), .state = state},
        .link = l,
        .kernel = k,
        .out = &j->outputs[0],
        .part_max = MIN(part_max, (size_t)PRONG_EMIT_MAX),
    };
    for (size_t i = 0; i < ARRAY_SIZE(j->outputs); i++) {
        if (output_init(&j->outputs[i], result_max) < 0)
            return -ENOMEM;
    }
    return 0;
}

void job_release(struct job *j)
{
    for (size_t i = 0; i < ARRAY_SIZE(j->outputs); i++)
        output_release(&j->outputs[i]);
    args_release(&j->args);
}

void job_begin(struct job *j, uint64_t id)
{
    j->id = id;
    j->input_kind = PRONG_INPUT_NONE;
    j->input = (struct prong_buf) {.data = "", .size = 0};
    j->deadline_ns = CLOCK_NEVER;
    j->looked_ns = j->told_ns = clock_coarse_ns();
    j->wants_parts = j->cancelled = j->failed = false;
    j->media[0] = '\0';
    output_clear(j->out);
}

void job_end(struct job *j)
{
    for (size_t i = 0; i < ARRAY_SIZE(j->outputs); i++)
        output_trim(&j->outputs[i]);
    args_release(&j->args);
}

void job_turn(struct job *j)
{
    j->out = j->out == &j->outputs[0] ? &j->outputs[1] : &j->outputs[0];
    output_clear(j->out);
}

/* The first failure is the reason; what a kernel says when a writer has failed is a consequence. */
static int fail_va(struct job *j, const char *format, va_list args)
{
    if (!j->failed)
        (void)vsnprintf(j->error, sizeof(j->error), format, args);
    j->failed = true;
    return -1;
}

int job_fail(struct job *j, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)fail_va(j, format, args);
    va_end(args);
    return -1;
}

/* Looks at the socket when the clock has moved, every few milliseconds: kernels may ask often. */
bool job_is_cancelled(struct job *j)
{
    uint64_t now = clock_coarse_ns();

    if (j->cancelled || now == j->looked_ns)
        return j->cancelled;
    j->looked_ns = now;
    j->cancelled = now >= j->deadline_ns || link_is_cancelled(j->link, j->id);
    return j->cancelled;
}

/* ---- what a kernel may call ---- */

static const struct args_value *value_at(struct prong_ctx *ctx, unsigned index)
{
    static const struct args_value none = {.text = ""};
    const struct args *args = &of(ctx)->args;
    return index < args->count ? &args->values[index] : &none;
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
    *ret_input = of(ctx)->input;
    return of(ctx)->input_kind;
}

/* As what a writer returns. */
static int told(struct job *j, int rc, const struct err *err)
{
    return rc < 0 ? job_fail(j, "%s", err->text) : 0;
}

static void *host_reserve(struct prong_ctx *ctx, size_t bytes)
{
    struct err err;
    void *at = writer_reserve(of(ctx)->out, bytes, &err);

    if (at == NULL)
        (void)job_fail(of(ctx), "%s", err.text);
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
    struct job *j = of(ctx);
    uint64_t now = clock_coarse_ns();
    char said[80];

    if (now - j->told_ns >= JOB_TELL_MS * CLOCK_NS_PER_MS) {
        j->told_ns = now;
        (void)snprintf(said, sizeof(said), "{\"done\":%llu,\"total\":%llu}",
                       (unsigned long long)done, (unsigned long long)total);
        (void)link_send(j->link, FRAME_PROGRESS, j->id, said, "", 0);
    }
    return job_is_cancelled(j);
}

static int host_cancelled(struct prong_ctx *ctx)
{
    return job_is_cancelled(of(ctx));
}

static int64_t host_left_us(struct prong_ctx *ctx)
{
    return clock_left_us(of(ctx)->deadline_ns, clock_now_ns());
}

static int host_wants_parts(struct prong_ctx *ctx)
{
    return of(ctx)->wants_parts;
}

static int host_emit(struct prong_ctx *ctx, const void *json, size_t bytes)
{
    struct job *j = of(ctx);

    if (!j->wants_parts)
        return 0;
    if (bytes > j->part_max)
        return job_fail(j, "The kernel emitted a part of %zu bytes; the limit is %zu.", bytes,
                        j->part_max);
    (void)link_send(j->link, FRAME_PART, j->id, "", json, bytes);
    return 0;
}

static int host_fail(struct prong_ctx *ctx, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)fail_va(of(ctx), format, args);
    va_end(args);
    return -1;
}

/* Prong makes log lines of what a program writes there. */
static void host_log(struct prong_ctx *ctx, enum prong_log level, const char *format, ...)
{
    static const char *const words[] = {
        [PRONG_LOG_DEBUG] = "debug",
        [PRONG_LOG_INFO] = "info",
        [PRONG_LOG_WARNING] = "warning",
        [PRONG_LOG_ERROR] = "error",
    };
    char text[1024];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    (void)fprintf(stderr, "%s: %s: %s\n", of(ctx)->kernel->name,
                  level <= PRONG_LOG_ERROR ? words[level] : "error", text);
}

const struct prong_host *job_host(void)
{
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

    return &host;
}
