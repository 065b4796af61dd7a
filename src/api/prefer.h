/*
 * F5, pure. The Prefer header (RFC 7240): what the client would like, which it need not get.
 *
 * Unknown preferences and parameters are ignored, as is what is malformed; of one that comes twice the first counts.
 */
#ifndef API_PREFER_H
#define API_PREFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PREFER_WAIT_MAX_S = 60, /* longer waits are cut to this */
    PREFER_APPLIED_BYTES = 64,
};

struct prefer {
    bool respond_async; /* a durable job, and 202 */
    bool wait;          /* an answer within wait_ns, else 202 */
    uint64_t wait_ns;
};

/* The lines of the header joined with commas, or NULL. */
struct prefer prefer_read(const char *value);

/* "respond-async, wait=5": what Preference-Applied says; "" when nothing was preferred. `is_late`: the answer is 202. */
void prefer_write(const struct prefer *p, bool is_late, char out[PREFER_APPLIED_BYTES]);

#endif
