/*
 * F2. What two requests have in common when one answer serves both: the kernel, as it is loaded now, the parameters in
 * the form that goes to workers, the input, and how it is to be split.
 *
 * Keys are compared byte by byte; the hash, under a secret, only finds them. They never change. Any thread.
 */
#ifndef JOBS_KEY_H
#define JOBS_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/hash.h"

struct job;

enum {
    KEY_INPUT_BYTES_MAX = 1 << 20
}; /* of parameters and input; what is larger is equal to nothing */

struct key {
    uint64_t hash;
    size_t bytes;
    char data[];
};

/* The key of a job that has been filled in: malloc'd, the caller's. NULL when it is equal to nothing: its kernel is not
 * pure, it is large, or there is no memory. */
struct key *key_new(struct hash_key secret, const struct job *job);

bool key_equals(const struct key *a, const struct key *b);

#endif
