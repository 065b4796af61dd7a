#include "base/buf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>

void buf_init(struct buf *b, size_t max)
{
    *b = (struct buf) {.max = max};
}

void buf_release(struct buf *b)
{
    free(b->data);
    *b = (struct buf) {.max = b->max};
}

void buf_clear(struct buf *b)
{
    b->size = 0;
    b->failed = false;
}

static bool grow(struct buf *b, size_t needed)
{
    size_t capacity = MAX(b->capacity, (size_t)64);
    char *data;

    while (capacity < needed)
        capacity = capacity > SIZE_MAX / 2 ? needed : capacity * 2;
    data = realloc(b->data, capacity);
    if (data == NULL)
        return false;
    b->data = data;
    b->capacity = capacity;
    return true;
}

char *buf_reserve(struct buf *b, size_t bytes)
{
    /* One byte more than the content, so that buf_take can end it with NUL. */
    if (b->failed || bytes > b->max || b->size > b->max - bytes || b->size + bytes == SIZE_MAX ||
        (b->size + bytes + 1 > b->capacity && !grow(b, b->size + bytes + 1))) {
        b->failed = true;
        return NULL;
    }
    return b->data + b->size;
}

int buf_add(struct buf *b, const void *data, size_t bytes)
{
    char *room = buf_reserve(b, bytes);

    if (room == NULL)
        return -ENOMEM;
    if (bytes > 0)
        memcpy(room, data, bytes);
    b->size += bytes;
    return 0;
}

int buf_add_text(struct buf *b, const char *text)
{
    return buf_add(b, text, strlen(text));
}

int buf_printf(struct buf *b, const char *format, ...)
{
    va_list args, again;
    int n;

    va_start(args, format);
    va_copy(again, args);
    n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n < 0 || buf_reserve(b, (size_t)n) == NULL) {
        va_end(again);
        b->failed = true;
        return -ENOMEM;
    }
    (void)vsnprintf(b->data + b->size, (size_t)n + 1, format, again);
    va_end(again);
    b->size += (size_t)n;
    return 0;
}

int buf_failed(const struct buf *b)
{
    return b->failed ? -ENOMEM : 0;
}

char *buf_take(struct buf *b)
{
    char *data;

    if (buf_reserve(b, 0) == NULL)
        return NULL;
    b->data[b->size] = '\0';
    data = take_ptr(b->data);
    buf_release(b);
    return data;
}
