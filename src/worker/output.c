#include "worker/output.h"

#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>

#include "base/check.h"

static int init(struct output *o, size_t max, size_t keep)
{
    void *map = mmap(NULL, keep, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (map == MAP_FAILED)
        return -ENOMEM;
    *o = (struct output) {.data = map, .capacity = keep, .max = max, .keep = keep};
    return 0;
}

int output_init(struct output *o, size_t max)
{
    return init(o, max, OUTPUT_KEEP_BYTES);
}

int output_init_small(struct output *o, size_t max)
{
    return init(o, max, OUTPUT_KEEP_BYTES_SMALL);
}

void output_release(struct output *o)
{
    if (o->data != NULL)
        (void)munmap(o->data, o->capacity);
    *o = (struct output) {0};
}

static int resize(struct output *o, size_t capacity)
{
    void *map = mremap(o->data, o->capacity, capacity, MREMAP_MAYMOVE);

    if (map == MAP_FAILED)
        return -ENOMEM;
    o->data = map;
    o->capacity = capacity;
    return 0;
}

static int grow(struct output *o, size_t needed)
{
    size_t capacity = o->capacity;

    /* Doubling a power of two stays one, so capacity is always whole pages. */
    while (capacity < needed) {
        if (capacity > SIZE_MAX / 2)
            return -ENOMEM;
        capacity *= 2;
    }
    return resize(o, capacity);
}

int output_is_full(const struct output *o, size_t bytes)
{
    return bytes > o->max || o->size > o->max - bytes;
}

void *output_reserve(struct output *o, size_t bytes)
{
    void *at;

    if (output_is_full(o, bytes))
        return NULL;
    if (o->size + bytes + 1 > o->capacity && grow(o, o->size + bytes + 1) < 0)
        return NULL;
    at = o->data + o->size;
    o->size += bytes;
    return at;
}

void output_clear(struct output *o)
{
    o->size = 0;
}

void output_trim(struct output *o)
{
    o->size = 0;
    if (o->capacity > o->keep)
        (void)resize(o, o->keep);
}
