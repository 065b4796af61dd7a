/*
 * For fuzzing: a strict reader of answers.
 *
 * One habit of libmicrohttpd 0.9.75 is let pass: when it refuses a head by itself at the very end, it sends the header
 * block twice.
 */
#ifndef FUZZ_ANSWER_H
#define FUZZ_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ANSWER_SHORT = 0, ANSWER_BAD = -1 };

struct answer {
    unsigned status;
    bool closes, is_chunked, has_seen;
    uint64_t content_length; /* UINT64_MAX: absent */
    uint64_t seen;           /* of Prong-Seen */
    size_t head_bytes;
};

/* How many bytes the first answer in `data` has, ANSWER_SHORT or ANSWER_BAD. `to_head`: it answers a HEAD, so there is no
 * body. */
ptrdiff_t answer_read(const char *data, size_t bytes, bool to_head, struct answer *ret);

#endif
