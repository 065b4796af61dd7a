#include "jobs/key.h"

#include "base/check.h"
#include "jobs/job.h"

/* What comes first in a key; the texts and bytes whose lengths it tells follow. */
struct opening {
    uint64_t edition, chunks_wanted;
    uint64_t name_bytes, version_bytes, params_bytes, input_bytes;
    uint64_t input_kind;
};

static char *put(char *to, const void *data, size_t bytes)
{
    if (bytes > 0)
        memcpy(to, data, bytes);
    return to + bytes;
}

static void write_key(char *to, const struct opening *opening, const struct job *job)
{
    const struct description *about = job->kernel->about;

    to = put(to, opening, sizeof(*opening));
    to = put(to, about->name, opening->name_bytes);
    to = put(to, about->version, opening->version_bytes);
    to = put(to, job->params, opening->params_bytes);
    (void)put(to, job->input, opening->input_bytes);
}

struct key *key_new(struct hash_key secret, const struct job *job)
{
    const struct description *about = job->kernel->about;
    struct opening opening = {
        .edition = kernel_edition(job->kernel),
        .chunks_wanted = job->chunks_wanted,
        .name_bytes = strlen(about->name),
        .version_bytes = strlen(about->version),
        .params_bytes = job->params_bytes,
        .input_bytes = job->input_bytes,
        .input_kind = (uint64_t)job->input_kind,
    };
    size_t bytes = sizeof(opening) + opening.name_bytes + opening.version_bytes +
                   opening.params_bytes + opening.input_bytes;
    struct key *key;

    if ((about->flags & PRONG_PURE) == 0 ||
        job->params_bytes + job->input_bytes > KEY_INPUT_BYTES_MAX)
        return NULL;
    key = malloc(sizeof(*key) + bytes);
    if (key == NULL)
        return NULL;
    key->bytes = bytes;
    write_key(key->data, &opening, job);
    key->hash = hash_bytes(secret, key->data, bytes);
    return key;
}

bool key_equals(const struct key *a, const struct key *b)
{
    return a->hash == b->hash && a->bytes == b->bytes && memcmp(a->data, b->data, a->bytes) == 0;
}
