/*
 * F1, the wall. A bounded cursor over bytes that came from the other side, and its writer.
 *
 * A read past the end fails the cursor and answers 0 or NULL from then on; the caller asks once, at the
 * end, with wire_ended, which is true only if nothing failed and nothing is left.
 */
#ifndef IPC_WIRE_H
#define IPC_WIRE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

struct wire_reader {
    const uint8_t *at, *end;
    bool failed;
};

void wire_read_init(struct wire_reader *r, const void *data, size_t bytes);
uint32_t wire_u32(struct wire_reader *r);
uint64_t wire_u64(struct wire_reader *r);
int64_t wire_i64(struct wire_reader *r);
double wire_f64(struct wire_reader *r);

/* Text of at most `bytes_max`, which lies in the reader's bytes and is NUL-terminated there. */
const char *wire_text(struct wire_reader *r, size_t bytes_max);

bool wire_ended(const struct wire_reader *r);

/* Writers append to a buffer, whose buf_failed tells. */
void wire_put_u32(struct buf *b, uint32_t value);
void wire_put_u64(struct buf *b, uint64_t value);
void wire_put_i64(struct buf *b, int64_t value);
void wire_put_f64(struct buf *b, double value);
void wire_put_text(struct buf *b, const char *text);
void wire_put_text_n(struct buf *b, const char *text, size_t bytes);

#endif
