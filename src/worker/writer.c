#include "worker/writer.h"

#include <errno.h>

#include "worker/json.h"

static int fail_full(const struct output *o, size_t bytes, struct err *err)
{
    if (output_is_full(o, bytes))
        return err_set(err, -EMSGSIZE,
                       "The result is larger than %zu bytes; the server's limit is --result-max.",
                       o->max);
    return err_set(err, -ENOMEM, "There is no memory for a result of %zu bytes.", o->size + bytes);
}

void *writer_reserve(struct output *o, size_t bytes, struct err *err)
{
    void *at = output_reserve(o, bytes);

    if (at == NULL)
        (void)fail_full(o, bytes, err);
    return at;
}

int writer_bytes(struct output *o, const void *data, size_t bytes, struct err *err)
{
    void *at = output_reserve(o, bytes);

    if (at == NULL)
        return fail_full(o, bytes, err);
    if (bytes > 0)
        memcpy(at, data, bytes);
    return 0;
}

int writer_print(struct output *o, struct err *err, const char *format, va_list args)
{
    char small[256], *at;
    va_list again;
    int n;

    va_copy(again, args);
    n = vsnprintf(small, sizeof(small), format, args);
    at = n < 0 ? NULL : output_reserve(o, (size_t)n);
    /* The NUL goes into the byte that an output keeps behind its end. */
    if (at != NULL && (size_t)n < sizeof(small))
        memcpy(at, small, (size_t)n);
    else if (at != NULL)
        (void)vsnprintf(at, (size_t)n + 1, format, again);
    va_end(again);
    if (n < 0)
        return err_set(err, -EINVAL, "The kernel printed what cannot be formatted.");
    return at == NULL ? fail_full(o, (size_t)n, err) : 0;
}

int writer_number(struct output *o, double value, struct err *err)
{
    char text[JSON_NUMBER_MAX];

    return writer_bytes(o, text, json_number(value, text), err);
}

int writer_string(struct output *o, const char *text, size_t bytes, struct err *err)
{
    size_t before = o->size, room = JSON_ESCAPE_MAX * bytes + 2;
    char *at;

    if (bytes > o->max)
        return fail_full(o, bytes, err);
    /* Near the limit it is measured first, so that a text that just fits does. */
    if (output_is_full(o, room))
        room = json_quote_bytes(text, bytes);
    at = output_reserve(o, room);
    if (at == NULL)
        return fail_full(o, room, err);
    o->size = before + json_quote(text, bytes, at);
    return 0;
}

int writer_media(char ret[PROTO_MEDIA_MAX + 1], const char *media_type, struct err *err)
{
    size_t n = strlen(media_type);

    if (n == 0 || n > PROTO_MEDIA_MAX)
        return err_set(err, -EINVAL, "The kernel's media type is not 1 to %d bytes long.",
                       PROTO_MEDIA_MAX);
    for (size_t i = 0; i < n; i++) {
        if (media_type[i] < 0x20 || media_type[i] > 0x7e)
            return err_set(err, -EINVAL, "The kernel's media type is not plain ASCII.");
    }
    memcpy(ret, media_type, n + 1);
    return 0;
}
