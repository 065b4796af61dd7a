/*
 * F3, behind the wall. The private memory that a kernel writes its answer into: grows up to a
 * limit, stays where it is between tasks. Uses base only; knows nothing of tasks or kernels. One
 * worker.
 */
#ifndef WORKER_OUTPUT_H
#define WORKER_OUTPUT_H

#include <stddef.h>

enum {
    OUTPUT_KEEP_BYTES = 256 << 10,
    OUTPUT_KEEP_BYTES_SMALL = 16 << 10
}; /* what an idle output holds at most */

struct output {
    char *data; /* mapped, so that growing moves page tables and not bytes; owned */
    size_t size;
    size_t capacity;
    size_t max;  /* `size` never passes it */
    size_t keep; /* what it holds at most when it is trimmed */
};

/* -ENOMEM when there is none. */
int output_init(struct output *o, size_t max);
int output_init_small(struct output *o, size_t max); /* … and keeps little, for there are many */
void output_release(struct output *o);

/* `bytes` more at the end, counted in size, not set; one byte behind them may be written too, for a
 * NUL. NULL when that passes max, or without memory. */
void *output_reserve(struct output *o, size_t bytes);

/* Whether `bytes` more would pass max; tells the two failures of output_reserve apart. */
int output_is_full(const struct output *o, size_t bytes);

/* Forgets the content. */
void output_clear(struct output *o);

/* Forgets the content and gives all above what it may keep back to the system. */
void output_trim(struct output *o);

#endif
