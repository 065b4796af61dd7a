#include "program/values.h"

#include <ctype.h>
#include <errno.h>

#include "base/parse.h"
#include "ipc/wire.h"
#include "prong/kernel.h"

void values_put(struct buf *b, const char *name, const char *text, size_t bytes)
{
    wire_put_text(b, name);
    wire_put_text_n(b, text, bytes);
}

int values_read(const void *data, size_t bytes, struct values *ret)
{
    struct wire_reader r;

    wire_read_init(&r, data, bytes);
    ret->count = 0;
    while (!r.failed && r.at < r.end) {
        struct values_pair pair = {.name = wire_text(&r, PRONG_NAME_MAX)};
        pair.text = wire_text(&r, VALUES_BYTES_MAX);
        if (r.failed || parse_name(pair.name, PRONG_NAME_MAX) < 0 || ret->count == VALUES_MAX)
            return -EPROTO;
        ret->pairs[ret->count++] = pair;
    }
    return wire_ended(&r) ? 0 : -EPROTO;
}

const char *values_find(const struct values *v, const char *name)
{
    for (size_t i = 0; i < v->count; i++) {
        if (strcmp(v->pairs[i].name, name) == 0)
            return v->pairs[i].text;
    }
    return NULL;
}

char *values_variable(const struct values_pair *pair)
{
    struct buf b;

    buf_init(&b, VALUES_BYTES_MAX + 2 * PRONG_NAME_MAX);
    (void)buf_add_text(&b, "PRONG_PARAM_");
    for (const char *c = pair->name; *c != '\0'; c++) {
        char upper = *c == '-' ? '_' : (char)toupper((unsigned char)*c);
        (void)buf_add(&b, &upper, 1);
    }
    (void)buf_add_text(&b, "=");
    (void)buf_add_text(&b, pair->text);
    return buf_take(&b);
}
