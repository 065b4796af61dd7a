#include "worker/call.h"

#include "base/clock.h"
#include "ipc/description.h"
#include "worker/json.h"

static void add_string(struct buf *b, const char *text)
{
    size_t bytes = strlen(text);
    size_t before = b->size;
    /* Most texts are short; the rest is measured first. */
    size_t room = bytes < 256 ? JSON_ESCAPE_MAX * bytes + 2 : json_quote_bytes(text, bytes);
    char *at = buf_reserve(b, room);

    if (at != NULL)
        b->size = before + json_quote(text, bytes, at);
}

const char *call_param_text(const struct order *o, uint32_t i, char scratch[40], size_t *ret_bytes)
{
    const struct prong_param *p = description_param_at(&o->kernel->kernel, i);
    const struct params_value *v = &o->params.values[i];

    static_assert(JSON_NUMBER_MAX <= 40, "numbers fit");
    if (p->type == PRONG_INT) {
        *ret_bytes = (size_t)snprintf(scratch, 40, "%lld", (long long)v->integer);
        return scratch;
    }
    if (p->type == PRONG_REAL) {
        *ret_bytes = json_number(v->real, scratch);
        return scratch;
    }
    *ret_bytes = strlen(v->text);
    return v->text;
}

static void add_params(struct buf *b, const struct order *o)
{
    const char *between = "";

    (void)buf_add_text(b, ",\"params\":{");
    for (uint32_t i = 0; i < o->params.count; i++) {
        const struct prong_param *p = description_param_at(&o->kernel->kernel, i);
        char scratch[40];
        size_t bytes;
        const char *text;
        if (p->type == PRONG_VALUES)
            continue;
        (void)buf_add_text(b, between);
        between = ",";
        add_string(b, p->name);
        (void)buf_add_text(b, ":");
        text = call_param_text(o, i, scratch, &bytes);
        if (p->type == PRONG_TEXT || p->type == PRONG_CHOICE)
            add_string(b, text);
        else
            (void)buf_add(b, text, bytes);
    }
    (void)buf_add_text(b, "}");
}

static void add_parts(struct buf *b, const struct call *call)
{
    (void)buf_add_text(b, ",\"parts\":[");
    for (size_t i = 0; i < call->part_count; i++)
        (void)buf_printf(b, "%s%zu", i > 0 ? "," : "", call->parts[i].size);
    (void)buf_add_text(b, "]");
}

int call_write(struct buf *b, const struct order *o, const struct call *call, uint64_t now_ns)
{
    static const char *const inputs[] = {
        [PRONG_INPUT_NONE] = "none", [PRONG_INPUT_RAW] = "raw", [PRONG_INPUT_VALUES] = "values"};
    const struct proto_task *f = o->frame;

    buf_clear(b);
    (void)buf_printf(b, "{\"kernel\":\"%s\",\"op\":\"%s\",\"input\":\"%s\",\"input_bytes\":%zu",
                     o->kernel->kernel.name, call->op, inputs[f->input_kind], o->input.size);
    if (call->has_range)
        (void)buf_printf(b, ",\"lo\":%llu,\"hi\":%llu", (unsigned long long)call->lo,
                         (unsigned long long)call->hi);
    if (call->part_count > 0)
        add_parts(b, call);
    if (f->deadline_ns != CLOCK_NEVER)
        (void)buf_printf(b, ",\"timeout_ms\":%llu",
                         f->deadline_ns <= now_ns
                             ? 0ULL
                             : (unsigned long long)((f->deadline_ns - now_ns) / CLOCK_NS_PER_MS));
    (void)buf_printf(b, ",\"wants_parts\":%s,\"id\":\"%s\",\"trace_id\":\"%.32s\"",
                     f->wants_parts ? "true" : "false", f->job, f->trace_id);
    add_params(b, o);
    (void)buf_add_text(b, "}");
    return buf_failed(b);
}
