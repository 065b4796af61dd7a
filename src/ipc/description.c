#include "ipc/description.h"

#include <errno.h>
#include <math.h>
#include <stdalign.h>

#include "base/err.h"
#include "base/parse.h"
#include "ipc/wire.h"

static const char *or_empty(const char *text)
{
    return text == NULL ? "" : text;
}

const struct prong_param *description_param_at(const struct prong_kernel *k, uint32_t i)
{
    return (const struct prong_param *)(const void *)((const char *)k->params +
                                                      (size_t)i * k->params[0].size);
}

bool description_param_required(const struct prong_param *p)
{
    if (p->type == PRONG_VALUES)
        return true;
    return p->size >= offsetof(struct prong_param, required) + sizeof(p->required) &&
           p->required != 0;
}

static uint32_t choice_count(const struct prong_param *p)
{
    uint32_t n = 0;

    if (p->choices == NULL)
        return 0;
    while (n <= PRONG_CHOICES_MAX && p->choices[n] != NULL)
        n++;
    return n;
}

static bool choice_has(const struct prong_param *p, const char *word)
{
    for (uint32_t i = 0; i < choice_count(p); i++) {
        if (strcmp(p->choices[i], word) == 0)
            return true;
    }
    return false;
}

static bool bounds_hold(const struct prong_param *p)
{
    switch (p->type) {
    case PRONG_INT:
        return p->int_min <= p->int_max;
    case PRONG_REAL:
        return isfinite(p->real_min) && isfinite(p->real_max) && p->real_min <= p->real_max;
    case PRONG_TEXT:
        return true;
    case PRONG_CHOICE:
        return choice_count(p) > 0 && choice_count(p) <= PRONG_CHOICES_MAX;
    case PRONG_VALUES:
    case PRONG_JSON:
        return p->count_max > 0;
    }
    return false;
}

static bool text_fits(const struct prong_param *p)
{
    return strlen(or_empty(p->text_default)) <= MIN(p->count_max, DESCRIPTION_TEXT_MAX);
}

/* Of a parameter that need not be given. */
static bool default_holds(const struct prong_param *p)
{
    switch (p->type) {
    case PRONG_INT:
        return p->int_min <= p->int_default && p->int_default <= p->int_max;
    case PRONG_REAL:
        return p->real_min <= p->real_default && p->real_default <= p->real_max;
    case PRONG_TEXT:
        return text_fits(p);
    case PRONG_CHOICE:
        return choice_has(p, or_empty(p->text_default));
    case PRONG_VALUES:
        return true;
    case PRONG_JSON:
        return text_fits(p) && *or_empty(p->text_default) != '\0';
    }
    return false;
}

static int check_param(const struct prong_kernel *k, const struct prong_param *p, struct err *err)
{
    if (p->name == NULL || parse_name(p->name, PRONG_NAME_MAX) < 0)
        return err_set(err, -EINVAL, "A parameter of kernel %s has no proper name.", k->name);
    if (!bounds_hold(p))
        return err_set(err, -EINVAL, "Parameter %s of kernel %s: its type or bounds make no sense.",
                       p->name, k->name);
    if (!description_param_required(p) && !default_holds(p))
        return err_set(err, -EINVAL,
                       "Parameter %s of kernel %s: its default is not within its bounds.", p->name,
                       k->name);
    return 0;
}

/* Before any but the first is looked at. */
static bool sizes_hold(const struct prong_kernel *k)
{
    uint32_t size = k->param_count == 0 ? 0 : k->params[0].size;

    if (k->param_count > 0 &&
        (size < offsetof(struct prong_param, required) || size % alignof(struct prong_param) != 0))
        return false;
    for (uint32_t i = 1; i < k->param_count; i++) {
        if (description_param_at(k, i)->size != size)
            return false;
    }
    return true;
}

int description_check(const struct prong_kernel *k, struct err *err)
{
    int rc = 0;

    if (k->size < offsetof(struct prong_kernel, selftest) || k->abi_major != PRONG_ABI_MAJOR ||
        k->abi_minor > PRONG_ABI_MINOR)
        return err_set(err, -EINVAL, "It was built for kernel ABI %u.%u; this is %u.%u.",
                       k->abi_major, k->abi_minor, PRONG_ABI_MAJOR, PRONG_ABI_MINOR);
    if (k->name == NULL || parse_name(k->name, PRONG_NAME_MAX) < 0)
        return err_set(err, -EINVAL, "Its name is not 1 to %u of a-z, 0-9, _ and -.",
                       PRONG_NAME_MAX);
    if (k->version == NULL || k->map == NULL || k->param_count > PRONG_PARAMS_MAX ||
        (k->param_count > 0 && k->params == NULL))
        return err_set(err, -EINVAL, "Kernel %s has no version, no map, or over %u parameters.",
                       k->name, PRONG_PARAMS_MAX);
    if (!sizes_hold(k))
        return err_set(err, -EINVAL,
                       "The parameters of kernel %s are not of the size of a struct prong_param; "
                       "declare them with the macros.",
                       k->name);
    for (uint32_t i = 0; i < k->param_count && rc == 0; i++)
        rc = check_param(k, description_param_at(k, i), err);
    return rc;
}

static void encode_param(struct buf *b, const struct prong_param *p)
{
    uint32_t choices = choice_count(p);

    wire_put_u32(b, p->type);
    wire_put_text(b, p->name);
    wire_put_text(b, or_empty(p->help));
    wire_put_i64(b, p->int_min);
    wire_put_i64(b, p->int_max);
    wire_put_i64(b, p->int_default);
    wire_put_f64(b, p->real_min);
    wire_put_f64(b, p->real_max);
    wire_put_f64(b, p->real_default);
    wire_put_u64(b, p->count_max);
    wire_put_text(b, or_empty(p->text_default));
    wire_put_u32(b, choices);
    for (uint32_t i = 0; i < choices; i++)
        wire_put_text(b, p->choices[i]);
    wire_put_u32(b, description_param_required(p));
}

int description_encode(struct buf *b, const struct prong_kernel *k, const char *broken)
{
    wire_put_text(b, k->name);
    wire_put_text(b, k->version);
    wire_put_text(b, or_empty(k->summary));
    wire_put_text(b, or_empty(k->example));
    wire_put_text(b, k->media_type == NULL ? "application/octet-stream" : k->media_type);
    wire_put_text(b, or_empty(broken));
    wire_put_u32(b, k->flags);
    wire_put_u32(b, k->takes_raw != 0);
    wire_put_u32(b, k->plan != NULL);
    wire_put_u32(b, k->combine != NULL);
    wire_put_u32(b, k->finish != NULL);
    wire_put_u32(b, k->batch != NULL);
    wire_put_u32(b, k->param_count);
    for (uint32_t i = 0; i < k->param_count; i++)
        encode_param(b, description_param_at(k, i));
    return buf_failed(b);
}

static void decode_param(struct wire_reader *r, struct description_param *p)
{
    p->type = (enum prong_type)wire_u32(r);
    p->name = wire_text(r, PRONG_NAME_MAX);
    p->help = wire_text(r, DESCRIPTION_TEXT_MAX);
    p->int_min = wire_i64(r);
    p->int_max = wire_i64(r);
    p->int_default = wire_i64(r);
    p->real_min = wire_f64(r);
    p->real_max = wire_f64(r);
    p->real_default = wire_f64(r);
    p->count_max = wire_u64(r);
    p->text_default = wire_text(r, DESCRIPTION_TEXT_MAX);
    p->choice_count = wire_u32(r);
    if (p->choice_count > PRONG_CHOICES_MAX || p->type < PRONG_INT || p->type > PRONG_JSON)
        r->failed = true;
    for (uint32_t i = 0; i < p->choice_count && !r->failed; i++)
        p->choices[i] = wire_text(r, DESCRIPTION_TEXT_MAX);
    p->required = wire_u32(r) != 0;
    if (r->failed || parse_name(p->name, PRONG_NAME_MAX) < 0 ||
        (p->type == PRONG_CHOICE && p->choice_count == 0))
        r->failed = true;
}

static void decode_into(struct wire_reader *r, struct description *d)
{
    d->name = wire_text(r, PRONG_NAME_MAX);
    d->version = wire_text(r, DESCRIPTION_TEXT_MAX);
    d->summary = wire_text(r, DESCRIPTION_TEXT_MAX);
    d->example = wire_text(r, DESCRIPTION_TEXT_MAX);
    d->media_type = wire_text(r, DESCRIPTION_TEXT_MAX);
    d->broken = wire_text(r, DESCRIPTION_TEXT_MAX);
    d->flags = wire_u32(r);
    d->takes_raw = wire_u32(r) != 0;
    d->has_plan = wire_u32(r) != 0;
    d->has_combine = wire_u32(r) != 0;
    d->has_finish = wire_u32(r) != 0;
    d->has_batch = wire_u32(r) != 0;
    d->param_count = wire_u32(r);
    if (d->param_count > PRONG_PARAMS_MAX)
        r->failed = true;
    for (uint32_t i = 0; i < d->param_count && !r->failed; i++)
        decode_param(r, &d->params[i]);
}

int description_decode(const void *data, size_t bytes, struct description **ret)
{
    struct description *d;
    struct wire_reader r;

    if (bytes > DESCRIPTION_BYTES_MAX)
        return -EPROTO;
    d = calloc(1, sizeof(*d) + bytes);
    if (d == NULL)
        return -ENOMEM;
    d->storage_bytes = bytes;
    if (bytes > 0)
        memcpy(d->storage, data, bytes);
    wire_read_init(&r, d->storage, bytes);
    decode_into(&r, d);
    if (!wire_ended(&r) || parse_name(d->name, PRONG_NAME_MAX) < 0) {
        free(d);
        return -EPROTO;
    }
    *ret = d;
    return 0;
}

bool description_is_same(const struct description *a, const struct description *b)
{
    return a->storage_bytes == b->storage_bytes &&
           memcmp(a->storage, b->storage, a->storage_bytes) == 0;
}

int description_check_fits(const struct prong_kernel *k, struct err *err)
{
    struct description *copy = NULL;
    struct buf b;
    int rc;

    buf_init(&b, DESCRIPTION_BYTES_MAX - DESCRIPTION_TEXT_MAX);
    rc = description_encode(&b, k, NULL);
    if (rc == 0)
        rc = description_decode(b.data, b.size, &copy);
    buf_release(&b);
    free(copy);
    if (rc < 0)
        return err_set(err, -EMSGSIZE,
                       "Kernel %s describes itself with a text over %d bytes, or %d in all.",
                       k->name, DESCRIPTION_TEXT_MAX, DESCRIPTION_BYTES_MAX - DESCRIPTION_TEXT_MAX);
    return 0;
}
