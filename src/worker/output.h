/*
 * F3, behind the wall. The private memory that a kernel writes its answer into: grows up to a
 * limit, stays where it is between tasks. Uses base only; knows nothing of tasks or kernels. One
 * worker.
 */
#ifndef WORKER_OUTPUT_H
#define WORKER_OUTPUT_H

#include <stddef.h>

enum { OUTPUT_KEEP_BYTES = 256 << 10 }; /* what an idle output holds at most */

struct output {
    char *data; /* mapped, so that growing moves page tables and not bytes; owned */
    size_t size;
    size_t capacity;
    size_t max; /* `size` never passes it */
};

/* -ENOMEM when there is none. */
int output_init(struct output *o, size_t max);
void output_release(struct output *o);

/* `bytes` more at the end, counted in size, not set; one byte behind them may be written too, for a
 * NUL. NULL when that passes max, or without memory. */
void *output_reserve(struct output *o, size_t bytes);

/* Whether `bytes` more would pass max; tells the two failures of output_reserve apart. */
int output_is_full(const struct output *o, size_t bytes);

/* Forgets the content. */
void output_clear(struct output *o);

/* Forgets the content and gives all above OUTPUT_KEEP_BYTES back to the system. */
void output_trim(struct output *o);

#endif
