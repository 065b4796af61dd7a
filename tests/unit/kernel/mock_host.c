#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mock_host.h"

#define PARTS_MAX 4096

struct parts {
    struct mock_bytes at[PARTS_MAX];
    size_t count;
};

static struct mock *mock_of(struct prong_ctx *ctx)
{
    return (struct mock *)(void *)ctx;
}

static int64_t host_int(struct prong_ctx *ctx, unsigned index)
{
    assert_true(index < mock_of(ctx)->kernel->param_count);
    return mock_of(ctx)->ints[index];
}

static double host_real(struct prong_ctx *ctx, unsigned index)
{
    assert_int_equal(mock_of(ctx)->kernel->params[index].type, PRONG_REAL);
    return mock_of(ctx)->reals[index];
}

static const char *host_text(struct prong_ctx *ctx, unsigned index)
{
    assert_non_null(mock_of(ctx)->texts[index]);
    return mock_of(ctx)->texts[index];
}

static enum prong_input host_input(struct prong_ctx *ctx, struct prong_buf *ret_input)
{
    *ret_input = mock_of(ctx)->input;
    return mock_of(ctx)->input_kind;
}

static void *host_reserve(struct prong_ctx *ctx, size_t bytes)
{
    struct mock *m = mock_of(ctx);
    size_t size = m->out.size + bytes;

    if (size > m->out_max) {
        m->failed = 1;
        return NULL;
    }
    if (size + 1 > m->out_room) {
        m->out_room = 2 * (size + 1);
        m->out.data = realloc(m->out.data, m->out_room);
        assert_non_null(m->out.data);
    }
    char *at = m->out.data + m->out.size;

    m->out.size = size;
    m->out.data[size] = '\0';
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

__attribute__((format(printf, 2, 3))) static int host_print(struct prong_ctx *ctx,
                                                            const char *format, ...)
{
    char text[1024];
    va_list args;

    va_start(args, format);
    int bytes = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    assert_in_range(bytes, 0, sizeof(text) - 1);
    return host_write(ctx, text, (size_t)bytes);
}

static int host_number(struct prong_ctx *ctx, double value)
{
    char text[40] = "null";

    for (int digits = 15; isfinite(value) && digits <= 17; digits++) {
        (void)snprintf(text, sizeof(text), "%.*g", digits, value);
        if (memcmp(&(double) {strtod(text, NULL)}, &value, sizeof(value)) == 0)
            break;
    }
    return host_write(ctx, text, strlen(text));
}

static int host_string(struct prong_ctx *ctx, const char *text, size_t bytes)
{
    int err = host_write(ctx, "\"", 1);

    for (size_t i = 0; err == 0 && i < bytes; i++) {
        if (text[i] == '"' || text[i] == '\\')
            err = host_print(ctx, "\\%c", text[i]);
        else if ((unsigned char)text[i] < 0x20)
            err = host_print(ctx, "\\u%04x", (unsigned)text[i]);
        else
            err = host_write(ctx, &text[i], 1);
    }
    return err != 0 ? err : host_write(ctx, "\"", 1);
}

static int host_media(struct prong_ctx *ctx, const char *media_type)
{
    mock_of(ctx)->media = media_type;
    return 0;
}

static int host_progress(struct prong_ctx *ctx, uint64_t done, uint64_t total)
{
    struct mock *m = mock_of(ctx);

    assert_false(m->stopped);
    assert_true(done >= m->done && done <= total);
    assert_true(m->total == 0 || m->total == total);
    m->progress_calls++;
    m->done = done;
    m->stopped = done >= m->cut;
    return m->stopped;
}

static int host_cancelled(struct prong_ctx *ctx)
{
    return mock_of(ctx)->stopped;
}

static int64_t host_left_us(struct prong_ctx *ctx)
{
    (void)ctx;
    return 1000000;
}

static int host_wants_parts(struct prong_ctx *ctx)
{
    return mock_of(ctx)->wants_parts;
}

static struct mock_bytes bytes_copy(const void *data, size_t size)
{
    struct mock_bytes copy = {.data = malloc(size + 1), .size = size};

    assert_non_null(copy.data);
    if (size > 0)
        memcpy(copy.data, data, size);
    copy.data[size] = '\0';
    return copy;
}

static int host_emit(struct prong_ctx *ctx, const void *data, size_t bytes)
{
    struct mock *m = mock_of(ctx);

    assert_in_range(bytes, 1, PRONG_EMIT_MAX);
    m->emitted = realloc(m->emitted, (m->emitted_count + 1) * sizeof(*m->emitted));
    assert_non_null(m->emitted);
    m->emitted[m->emitted_count++] = bytes_copy(data, bytes);
    return 0;
}

__attribute__((format(printf, 2, 3))) static int host_fail(struct prong_ctx *ctx,
                                                           const char *format, ...)
{
    struct mock *m = mock_of(ctx);
    va_list args;

    va_start(args, format);
    (void)vsnprintf(m->error, sizeof(m->error), format, args);
    va_end(args);
    m->failed = 1;
    return -1;
}

__attribute__((format(printf, 3, 4))) static void
host_log(struct prong_ctx *ctx, enum prong_log level, const char *format, ...)
{
    (void)ctx;
    (void)level;
    (void)format;
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

static void check_param(const struct prong_param *param)
{
    assert_int_equal(param->size, sizeof(*param));
    assert_non_null(param->name);
    assert_in_range(strlen(param->name), 1, PRONG_NAME_MAX);
    assert_non_null(param->help);
    if (param->type == PRONG_INT)
        assert_true(param->int_min <= param->int_default && param->int_default <= param->int_max);
    if (param->type == PRONG_REAL)
        assert_true(param->real_min <= param->real_default &&
                    param->real_default <= param->real_max);
}

void mock_init(struct mock *m)
{
    *m = (struct mock) {.ctx.host = &host, .cut = MOCK_NO_CUT, .out_max = SIZE_MAX / 4};
    m->kernel = prong_kernel_entry(PRONG_ABI_MAJOR, PRONG_ABI_MINOR);
    assert_non_null(m->kernel);
    assert_int_equal(m->kernel->size, sizeof(*m->kernel));
    assert_null(prong_kernel_entry(PRONG_ABI_MAJOR + 1, PRONG_ABI_MINOR));
    if (m->kernel->init != NULL)
        assert_int_equal(m->kernel->init(&host, &m->ctx.state), 0);
    const char *trouble = m->kernel->selftest == NULL ? NULL : m->kernel->selftest(m->ctx.state);

    if (trouble != NULL)
        fail_msg("selftest: %s", trouble);
    for (uint32_t i = 0; i < m->kernel->param_count; i++) {
        const struct prong_param *param = &m->kernel->params[i];

        check_param(param);
        m->ints[i] = param->int_default;
        m->reals[i] = param->real_default;
        if (param->type == PRONG_TEXT || param->type == PRONG_CHOICE)
            mock_text(m, param->name, param->text_default);
    }
}

static void forget_emitted(struct mock *m)
{
    for (size_t i = 0; i < m->emitted_count; i++)
        free(m->emitted[i].data);
    free(m->emitted);
    m->emitted = NULL;
    m->emitted_count = 0;
}

void mock_release(struct mock *m)
{
    forget_emitted(m);
    free(m->out.data);
    free((void *)(uintptr_t)m->input.data);
}

static unsigned param_index(const struct mock *m, const char *name)
{
    for (uint32_t i = 0; i < m->kernel->param_count; i++)
        if (strcmp(m->kernel->params[i].name, name) == 0)
            return i;
    fail_msg("no parameter is called %s", name);
    return 0;
}

void mock_int(struct mock *m, const char *name, int64_t value)
{
    unsigned index = param_index(m, name);

    assert_true(value >= m->kernel->params[index].int_min);
    assert_true(value <= m->kernel->params[index].int_max);
    m->ints[index] = value;
}

void mock_real(struct mock *m, const char *name, double value)
{
    unsigned index = param_index(m, name);

    assert_true(value >= m->kernel->params[index].real_min);
    assert_true(value <= m->kernel->params[index].real_max);
    m->reals[index] = value;
}

void mock_text(struct mock *m, const char *name, const char *value)
{
    unsigned index = param_index(m, name);
    const char *const *choices = m->kernel->params[index].choices;

    m->texts[index] = value;
    if (choices == NULL)
        return;
    for (int64_t i = 0; choices[i] != NULL; i++) {
        if (strcmp(choices[i], value) == 0) {
            m->ints[index] = i;
            return;
        }
    }
    fail_msg("%s cannot be %s", name, value);
}

void mock_input(struct mock *m, enum prong_input kind, const void *data, size_t bytes)
{
    void *copy = NULL;

    free((void *)(uintptr_t)m->input.data);
    assert_int_equal(posix_memalign(&copy, 64, bytes > 0 ? bytes : 1), 0);
    if (bytes > 0)
        memcpy(copy, data, bytes);
    m->input_kind = kind;
    m->input = (struct prong_buf) {.data = copy, .size = bytes};
}

static void fresh_call(struct mock *m, uint64_t cut, uint64_t total)
{
    m->out = (struct mock_bytes) {0};
    m->out_room = 0;
    m->media = m->kernel->media_type;
    m->cut = cut;
    m->done = 0;
    m->total = total;
    m->stopped = 0;
}

static struct mock_bytes taken_out(struct mock *m)
{
    struct mock_bytes out = bytes_copy(m->out.data, m->out.size);

    free(m->out.data);
    m->out = (struct mock_bytes) {0};
    m->out_room = 0;
    return out;
}

struct prong_work mock_plan(struct mock *m)
{
    struct prong_work work = {.units = 1, .unit_cost = 0};

    fresh_call(m, MOCK_NO_CUT, 0);
    if (m->kernel->plan != NULL && m->kernel->plan(&m->ctx, &work) != 0)
        fail_msg("plan: %s", m->error);
    assert_true(work.units <= PRONG_UNITS_MAX && work.unit_cost >= 0);
    return work;
}

const char *mock_complaint(struct mock *m)
{
    struct prong_work work = {.units = 1, .unit_cost = 0};
    int err = 0;

    m->failed = 0;
    fresh_call(m, MOCK_NO_CUT, 0);
    if (m->kernel->plan != NULL)
        err = m->kernel->plan(&m->ctx, &work);
    if (err == 0)
        err = m->kernel->map(&m->ctx, 0, work.units);
    free(m->out.data);
    m->out = (struct mock_bytes) {0};
    m->out_room = 0;
    assert_int_equal(err != 0, m->failed);
    return m->failed ? m->error : NULL;
}

uint64_t mock_map(struct mock *m, uint64_t lo, uint64_t hi, uint64_t cut,
                  struct mock_bytes *ret_part)
{
    fresh_call(m, cut, m->kernel->plan != NULL ? hi - lo : 0);
    if (m->kernel->map(&m->ctx, lo, hi) != 0)
        fail_msg("map: %s", m->error);
    *ret_part = taken_out(m);
    return m->stopped ? lo + m->done : hi;
}

static struct mock_bytes joined(struct mock *m, struct mock_bytes left, struct mock_bytes right)
{
    struct prong_buf a = {.data = left.data, .size = left.size};
    struct prong_buf b = {.data = right.data, .size = right.size};

    fresh_call(m, MOCK_NO_CUT, 0);
    if (m->kernel->combine != NULL) {
        assert_int_equal(m->kernel->combine(&m->ctx, a, b), 0);
    } else {
        assert_int_equal(host_write(&m->ctx, a.data, a.size), 0);
        assert_int_equal(host_write(&m->ctx, b.data, b.size), 0);
    }
    free(left.data);
    free(right.data);
    return taken_out(m);
}

static struct mock_bytes fold(struct mock *m, struct parts *parts)
{
    int tree = m->kernel->combine == NULL || (m->kernel->flags & PRONG_ASSOCIATIVE) != 0;

    while (parts->count > 1) {
        size_t at = tree ? (size_t)rand() % (parts->count - 1) : 0;

        parts->at[at] = joined(m, parts->at[at], parts->at[at + 1]);
        memmove(&parts->at[at + 1], &parts->at[at + 2],
                (parts->count - at - 2) * sizeof(parts->at[0]));
        parts->count--;
    }
    return parts->count == 1 ? parts->at[0] : bytes_copy("", 0);
}

static struct mock_bytes finished(struct mock *m, struct mock_bytes whole)
{
    const char *media = m->media;

    if (m->kernel->finish == NULL)
        return whole;
    fresh_call(m, MOCK_NO_CUT, 0);
    m->media = media;
    struct prong_buf part = {.data = whole.data, .size = whole.size};

    if (m->kernel->finish(&m->ctx, part) != 0)
        fail_msg("finish: %s", m->error);
    free(whole.data);
    return taken_out(m);
}

struct mock_bytes mock_run(struct mock *m)
{
    struct prong_work work = mock_plan(m);
    struct mock_bytes whole;

    if (work.units == 0)
        return finished(m, bytes_copy("", 0));
    assert_true(mock_map(m, 0, work.units, MOCK_NO_CUT, &whole) == work.units);
    return finished(m, whole);
}

static uint64_t random_step(uint64_t most)
{
    uint64_t r = (uint64_t)rand();

    return 1 + (r & 3 ? r / 4 % (most / 3 + 1) : r / 4 % most);
}

struct mock_bytes mock_run_split(struct mock *m, unsigned seed)
{
    static struct parts parts;
    struct prong_work work = mock_plan(m);
    uint64_t at = 0;

    srand(seed);
    parts.count = 0;
    while (at < work.units) {
        assert_true(parts.count < PARTS_MAX);
        uint64_t span = random_step(work.units - at);
        uint64_t cut = rand() % 2 ? MOCK_NO_CUT : random_step(span);

        at = mock_map(m, at, at + span, cut, &parts.at[parts.count++]);
    }
    return finished(m, fold(m, &parts));
}

void mock_check_splits(struct mock *m, unsigned rounds)
{
    struct mock_bytes whole = mock_run(m);

    for (unsigned seed = 1; seed <= rounds; seed++) {
        struct mock_bytes split = mock_run_split(m, seed);

        assert_int_equal(split.size, whole.size);
        assert_memory_equal(split.data, whole.data, whole.size);
        free(split.data);
        forget_emitted(m);
    }
    free(whole.data);
}

void mock_check_answer(struct mock *m, const char *expected)
{
    struct mock_bytes whole = mock_run(m);

    assert_string_equal(whole.data, expected);
    free(whole.data);
    mock_check_splits(m, 10);
}
