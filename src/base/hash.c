#include "base/hash.h"

#include "base/check.h"
#include "base/id.h"

struct hash_key hash_key_new(void)
{
    return (struct hash_key) {.k0 = id_random(), .k1 = id_random()};
}

static inline uint64_t rotate(uint64_t x, int by)
{
    return (x << by) | (x >> (64 - by));
}

struct sip {
    uint64_t a, b, c, d;
};

static inline void round_of(struct sip *s)
{
    s->a += s->b;
    s->b = rotate(s->b, 13) ^ s->a;
    s->a = rotate(s->a, 32);
    s->c += s->d;
    s->d = rotate(s->d, 16) ^ s->c;
    s->a += s->d;
    s->d = rotate(s->d, 21) ^ s->a;
    s->c += s->b;
    s->b = rotate(s->b, 17) ^ s->c;
    s->c = rotate(s->c, 32);
}

static inline void absorb(struct sip *s, uint64_t word)
{
    s->d ^= word;
    round_of(s);
    round_of(s);
    s->a ^= word;
}

uint64_t hash_bytes(struct hash_key key, const void *data, size_t bytes)
{
    struct sip s = {key.k0 ^ 0x736f6d6570736575ULL, key.k1 ^ 0x646f72616e646f6dULL,
                    key.k0 ^ 0x6c7967656e657261ULL, key.k1 ^ 0x7465646279746573ULL};
    const unsigned char *p = data;
    uint64_t last = (uint64_t)bytes << 56;
    uint64_t word;

    for (size_t i = 0; i + 8 <= bytes; i += 8) {
        memcpy(&word, p + i, 8);
        absorb(&s, word);
    }
    word = 0;
    if (bytes % 8 != 0)
        memcpy(&word, p + bytes - bytes % 8, bytes % 8);
    absorb(&s, last | word);
    s.c ^= 0xff;
    for (int i = 0; i < 4; i++)
        round_of(&s);
    return s.a ^ s.b ^ s.c ^ s.d;
}
