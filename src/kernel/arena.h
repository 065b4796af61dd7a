/*
 * F2, behind the wall. Memory for things that are made piece by piece and go all at once: what a
 * manifest or a program says of its kernels. Uses base.
 */
#ifndef KERNEL_ARENA_H
#define KERNEL_ARENA_H

#include <stddef.h>

struct arena {
    struct arena_block *blocks; /* NULL: empty, and all that an arena needs to begin */
};

/* Zeros, aligned for anything, until arena_release. NULL when there is no memory. */
void *arena_alloc(struct arena *a, size_t bytes);

/* A copy of these bytes with a NUL behind them, likewise. */
char *arena_text(struct arena *a, const char *text, size_t bytes);

void arena_release(struct arena *a);

#endif
