#include "ipc/wire.h"

void wire_read_init(struct wire_reader *r, const void *data, size_t bytes)
{
    *r = (struct wire_reader) {.at = data, .end = (const uint8_t *)data + bytes};
}

static void take(struct wire_reader *r, void *out, size_t bytes)
{
    if (r->failed || (size_t)(r->end - r->at) < bytes) {
        r->failed = true;
        memset(out, 0, bytes);
        return;
    }
    memcpy(out, r->at, bytes);
    r->at += bytes;
}

uint32_t wire_u32(struct wire_reader *r)
{
    uint32_t value;
    take(r, &value, sizeof(value));
    return value;
}

uint64_t wire_u64(struct wire_reader *r)
{
    uint64_t value;
    take(r, &value, sizeof(value));
    return value;
}

int64_t wire_i64(struct wire_reader *r)
{
    int64_t value;
    take(r, &value, sizeof(value));
    return value;
}

double wire_f64(struct wire_reader *r)
{
    double value;
    take(r, &value, sizeof(value));
    return value;
}

const char *wire_text(struct wire_reader *r, size_t bytes_max)
{
    uint32_t bytes = wire_u32(r);
    const char *text;

    if (r->failed || bytes > bytes_max || (size_t)(r->end - r->at) <= bytes ||
        memchr(r->at, '\0', (size_t)bytes + 1) != r->at + bytes) {
        r->failed = true;
        return NULL;
    }
    text = (const char *)r->at;
    r->at += (size_t)bytes + 1;
    return text;
}

bool wire_ended(const struct wire_reader *r)
{
    return !r->failed && r->at == r->end;
}

void wire_put_u32(struct buf *b, uint32_t value)
{
    (void)buf_add(b, &value, sizeof(value));
}

void wire_put_u64(struct buf *b, uint64_t value)
{
    (void)buf_add(b, &value, sizeof(value));
}

void wire_put_i64(struct buf *b, int64_t value)
{
    (void)buf_add(b, &value, sizeof(value));
}

void wire_put_f64(struct buf *b, double value)
{
    (void)buf_add(b, &value, sizeof(value));
}

void wire_put_text_n(struct buf *b, const char *text, size_t bytes)
{
    wire_put_u32(b, (uint32_t)bytes);
    (void)buf_add(b, text, bytes);
    (void)buf_add(b, "", 1);
}

void wire_put_text(struct buf *b, const char *text)
{
    wire_put_text_n(b, text, strlen(text));
}
