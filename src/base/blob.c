#include "base/blob.h"

#include "base/check.h"

struct blob *blob_new(void *take_data, size_t bytes)
{
    struct blob *blob = malloc(sizeof(*blob));

    if (blob == NULL) {
        free(take_data);
        return NULL;
    }
    blob->data = blob->owned = take_data;
    blob->bytes = bytes;
    atomic_init(&blob->holds, 1);
    return blob;
}

struct blob *blob_copy(const void *data, size_t bytes)
{
    char *copy = bytes == SIZE_MAX ? NULL : malloc(bytes + 1);

    if (copy == NULL)
        return NULL;
    if (bytes > 0)
        memcpy(copy, data, bytes);
    copy[bytes] = '\0';
    return blob_new(copy, bytes);
}

struct blob *blob_hold(struct blob *blob)
{
    /* Who gets it has it from somebody who holds it, so nothing need be seen in any order. */
    if (blob != NULL)
        CHECK(atomic_fetch_add_explicit(&blob->holds, 1, memory_order_relaxed) > 0);
    return blob;
}

struct blob *blob_drop(struct blob *blob)
{
    if (blob == NULL || atomic_fetch_sub_explicit(&blob->holds, 1, memory_order_acq_rel) > 1)
        return NULL;
    free(blob->owned);
    free(blob);
    return NULL;
}
