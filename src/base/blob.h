/*
 * Ground floor. Bytes that do not change any more, shared by whoever holds them: the answers of equal requests, what is
 * kept of them for later ones.
 *
 * Any thread: the holds are counted with atomics, and the last one frees the bytes.
 */
#ifndef BASE_BLOB_H
#define BASE_BLOB_H

#include <stdatomic.h>
#include <stddef.h>

struct blob {
    const void *data;
    size_t bytes;
    /* what follows is its own */
    _Atomic unsigned holds;
    void *owned;
};

/* A blob of malloc'd bytes, held once by the caller. `take_data` is taken, also when this fails: NULL when out of
 * memory. */
struct blob *blob_new(void *take_data, size_t bytes);

/* One of a copy of the bytes, with a NUL behind the end. NULL when out of memory. */
struct blob *blob_copy(const void *data, size_t bytes);

/* One more hold, for whoever gets what is returned. NULL is fine. */
struct blob *blob_hold(struct blob *blob);

/* NULL is fine; returns NULL. */
struct blob *blob_drop(struct blob *blob);

#endif
