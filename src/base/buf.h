/*
 * Ground floor. A byte buffer that grows up to a maximum its owner names.
 *
 * A failed append marks the buffer as failed and later appends do nothing, so a writer may check once,
 * at the end, with buf_failed.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>

#include "base/check.h"

struct buf {
    char *data;      /* owned; NULL until something was appended */
    size_t size;     /* bytes in use */
    size_t capacity; /* bytes allocated */
    size_t max;      /* never more than this many bytes */
    bool failed;     /* an append did not fit or found no memory */
};

void buf_init(struct buf *b, size_t max);
void buf_release(struct buf *b);

/* Forgets the content, keeps the memory. */
void buf_clear(struct buf *b);

/* Room for `bytes` more at the end, not counted in size yet. NULL and failed when it does not fit. */
char *buf_reserve(struct buf *b, size_t bytes);

int buf_add(struct buf *b, const void *data, size_t bytes);
int buf_add_text(struct buf *b, const char *text);
int buf_printf(struct buf *b, const char *format, ...) PRINTF_LIKE(2, 3);

/* -ENOMEM when any append since init or clear failed, else 0. */
int buf_failed(const struct buf *b);

/* The bytes, NUL-terminated behind the end, now the caller's to free; the buffer is empty. NULL when
 * failed. */
char *buf_take(struct buf *b);

#endif
