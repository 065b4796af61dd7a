#include "kernel/arena.h"

#include <stdalign.h>

#include "base/check.h"

struct arena_block {
    struct arena_block *next;
    alignas(max_align_t) char bytes[];
};

void *arena_alloc(struct arena *a, size_t bytes)
{
    struct arena_block *block = calloc(1, sizeof(*block) + bytes);

    if (block == NULL)
        return NULL;
    block->next = a->blocks;
    a->blocks = block;
    return block->bytes;
}

char *arena_text(struct arena *a, const char *text, size_t bytes)
{
    char *copy = arena_alloc(a, bytes + 1);

    if (copy != NULL && bytes > 0)
        memcpy(copy, text, bytes);
    return copy;
}

void arena_release(struct arena *a)
{
    struct arena_block *next;

    for (struct arena_block *block = a->blocks; block != NULL; block = next) {
        next = block->next;
        free(block);
    }
    a->blocks = NULL;
}
