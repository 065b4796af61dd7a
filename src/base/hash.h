/*
 * Ground floor. A 64-bit keyed hash (SipHash-2-4): equal inputs are recognised, and a client who does
 * not know the key cannot make two inputs collide.
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

struct hash_key {
    uint64_t k0, k1;
};

struct hash_key hash_key_new(void);
uint64_t hash_bytes(struct hash_key key, const void *data, size_t bytes);

#endif
