#include "worker/params.h"

#include <errno.h>

#include "ipc/description.h"
#include "ipc/proto.h"
#include "ipc/wire.h"

static void read_choice(struct wire_reader *r, const struct prong_param *p, struct params_value *v)
{
    uint32_t index = wire_u32(r);

    /* Step by step: how long the list is, only its NULL says. */
    for (uint32_t i = 0; i < index && !r->failed; i++)
        r->failed = p->choices[i] == NULL;
    if (r->failed)
        return;
    r->failed = p->choices[index] == NULL;
    v->integer = index;
    v->text = p->choices[index];
}

static void read_value(struct wire_reader *r, const struct prong_param *p, struct params_value *v)
{
    switch (p->type) {
    case PRONG_INT:
        v->integer = wire_i64(r);
        r->failed = r->failed || v->integer < p->int_min || v->integer > p->int_max;
        break;
    case PRONG_REAL:
        v->real = wire_f64(r);
        r->failed = r->failed || !(v->real >= p->real_min && v->real <= p->real_max);
        break;
    case PRONG_TEXT:
    case PRONG_JSON:
        v->text = wire_text(r, (size_t)MIN(p->count_max, (uint64_t)PROTO_PARAMS_MAX));
        break;
    case PRONG_CHOICE:
        read_choice(r, p, v);
        break;
    case PRONG_VALUES:
        break;
    }
}

int params_read(const struct prong_kernel *k, struct prong_buf encoded, struct params *ret)
{
    struct wire_reader r;

    wire_read_init(&r, encoded.data, encoded.size);
    ret->count = k->param_count;
    for (uint32_t i = 0; i < k->param_count; i++) {
        ret->values[i] = (struct params_value) {.text = ""};
        read_value(&r, description_param_at(k, i), &ret->values[i]);
    }
    return wire_ended(&r) ? 0 : -EPROTO;
}
