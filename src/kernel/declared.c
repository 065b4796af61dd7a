#include "kernel/declared.h"

#include <errno.h>
#include <float.h>

#include "base/check.h"
#include "ipc/description.h"
#include "ipc/proto.h"

const char declared_type_words[] = "integer, number, string, choice, values or json";
const char declared_flag_words[] = "pure, idempotent, associative or partial_ok";

static const char *const type_names[] = {
    [PRONG_INT] = "integer",   [PRONG_REAL] = "number",   [PRONG_TEXT] = "string",
    [PRONG_CHOICE] = "choice", [PRONG_VALUES] = "values", [PRONG_JSON] = "json",
};
static_assert(ARRAY_SIZE(type_names) == PRONG_JSON + 1, "every type has a word");

static const struct {
    const char *word;
    enum prong_flag flag;
} flags[] = {
    {"pure", PRONG_PURE},
    {"idempotent", PRONG_IDEMPOTENT},
    {"associative", PRONG_ASSOCIATIVE},
    {"partial_ok", PRONG_PARTIAL_OK},
};

static int plan_nothing(struct prong_ctx *c, struct prong_work *ret_work)
{
    (void)ret_work;
    return prong_fail(c, "This kernel runs in a program of its own, not here.");
}

static int map_nothing(struct prong_ctx *c, uint64_t lo, uint64_t hi)
{
    (void)lo, (void)hi;
    return plan_nothing(c, NULL);
}

static int combine_nothing(struct prong_ctx *c, struct prong_buf left, struct prong_buf right)
{
    (void)left, (void)right;
    return plan_nothing(c, NULL);
}

static int finish_nothing(struct prong_ctx *c, struct prong_buf whole)
{
    (void)whole;
    return plan_nothing(c, NULL);
}

void declared_set_ops(struct declared *d, unsigned ops)
{
    d->kernel.plan = (ops & DECLARED_PLAN) != 0 ? plan_nothing : NULL;
    d->kernel.map = (ops & DECLARED_MAP) != 0 ? map_nothing : NULL;
    d->kernel.combine = (ops & DECLARED_COMBINE) != 0 ? combine_nothing : NULL;
    d->kernel.finish = (ops & DECLARED_FINISH) != 0 ? finish_nothing : NULL;
}

struct declared *declared_new(void)
{
    struct declared *d = calloc(1, sizeof(*d));

    if (d == NULL)
        return NULL;
    d->kernel = (struct prong_kernel) {
        .size = sizeof(d->kernel),
        .abi_major = PRONG_ABI_MAJOR,
        .abi_minor = PRONG_ABI_MINOR,
        .version = "1",
        .params = d->params,
    };
    declared_set_ops(d, DECLARED_MAP);
    return d;
}

struct declared *declared_free(struct declared *d)
{
    if (d != NULL)
        arena_release(&d->arena);
    free(d);
    return NULL;
}

struct prong_param *declared_add(struct declared *d, const char *name, enum prong_type type)
{
    char *copy = arena_text(&d->arena, name, strlen(name));
    struct prong_param *p = &d->params[d->kernel.param_count];

    if (copy == NULL || d->kernel.param_count == PRONG_PARAMS_MAX)
        return NULL;
    d->kernel.param_count++;
    *p = (struct prong_param) {
        .size = sizeof(*p),
        .type = type,
        .name = copy,
        .int_min = INT64_MIN,
        .int_max = INT64_MAX,
        .real_min = -DBL_MAX,
        .real_max = DBL_MAX,
        .count_max = type == PRONG_VALUES ? DECLARED_COUNT_MAX : DECLARED_BYTES_MAX,
        .required = 1,
    };
    return p;
}

int declared_type(const char *word, enum prong_type *ret)
{
    for (unsigned i = PRONG_INT; i < ARRAY_SIZE(type_names); i++) {
        if (strcmp(type_names[i], word) == 0) {
            *ret = (enum prong_type)i;
            return 0;
        }
    }
    return -EINVAL;
}

const char *declared_type_name(enum prong_type type)
{
    return type_names[type];
}

int declared_flag(const char *word, uint32_t *ret)
{
    for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
        if (strcmp(flags[i].word, word) == 0) {
            *ret = flags[i].flag;
            return 0;
        }
    }
    return -EINVAL;
}

static const char *copy(struct declared *d, const char *text, bool *failed)
{
    const char *made = arena_text(&d->arena, text, strlen(text));

    *failed = *failed || made == NULL;
    return made;
}

static bool copy_param(struct declared *d, const struct description_param *from)
{
    struct prong_param *p = declared_add(d, from->name, from->type);
    const char **words =
        arena_alloc(&d->arena, (from->choice_count + 1) * sizeof(from->choices[0]));
    bool failed = p == NULL || words == NULL;

    if (failed)
        return false;
    p->help = copy(d, from->help, &failed);
    p->int_min = from->int_min;
    p->int_max = from->int_max;
    p->int_default = from->int_default;
    p->real_min = from->real_min;
    p->real_max = from->real_max;
    p->real_default = from->real_default;
    p->count_max = from->count_max;
    p->text_default = copy(d, from->text_default, &failed);
    p->required = from->required;
    for (uint32_t i = 0; i < from->choice_count; i++)
        words[i] = copy(d, from->choices[i], &failed);
    p->choices = words;
    return !failed;
}

struct declared *declared_of(const struct description *about)
{
    struct declared *d = declared_new();
    bool failed = d == NULL;

    if (failed)
        return NULL;
    d->kernel.name = copy(d, about->name, &failed);
    d->kernel.version = copy(d, about->version, &failed);
    d->kernel.summary = copy(d, about->summary, &failed);
    d->kernel.example = copy(d, about->example, &failed);
    d->kernel.media_type = copy(d, about->media_type, &failed);
    d->kernel.flags = about->flags;
    d->kernel.takes_raw = about->takes_raw;
    declared_set_ops(d, DECLARED_MAP | (about->has_plan ? DECLARED_PLAN : 0u) |
                            (about->has_combine ? DECLARED_COMBINE : 0u) |
                            (about->has_finish ? DECLARED_FINISH : 0u));
    for (uint32_t i = 0; i < about->param_count && !failed; i++)
        failed = !copy_param(d, &about->params[i]);
    return failed ? declared_free(d) : d;
}

bool declared_is_media_type(const char *text)
{
    const char *slash = strchr(text, '/');

    if (slash == NULL || slash == text || slash[1] == '\0' || strlen(text) > PROTO_MEDIA_MAX)
        return false;
    for (; *text != '\0'; text++) {
        if (*text < ' ' || *text > '~')
            return false;
    }
    return true;
}

int declared_check(const struct declared *d, struct err *err)
{
    int rc = description_check(&d->kernel, err);

    return rc < 0 ? rc : description_check_fits(&d->kernel, err);
}
