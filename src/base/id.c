#include "base/id.h"

#include <sys/random.h>

#include "base/check.h"
#include "base/clock.h"

enum { RANDOM_WORDS = 64 };

/* getrandom costs a syscall; a thread draws a page's worth at a time. */
uint64_t id_random(void)
{
    static _Thread_local uint64_t pool[RANDOM_WORDS];
    static _Thread_local size_t left;
    uint64_t word;

    if (left == 0) {
        CHECK(getrandom(pool, sizeof(pool), 0) == (ssize_t)sizeof(pool));
        left = RANDOM_WORDS;
    }
    word = pool[--left];
    pool[left] = 0;
    return word;
}

static void put_hex(char *out, uint64_t value, unsigned digits)
{
    for (unsigned i = 0; i < digits; i++)
        out[digits - 1 - i] = "0123456789abcdef"[(value >> (4 * i)) & 15];
}

struct id id_new(void)
{
    static _Thread_local uint64_t last_ms;
    static _Thread_local uint32_t counter;
    uint64_t now_ms = clock_wall_ns() / CLOCK_NS_PER_MS;
    uint64_t random = id_random();
    struct id id;

    if (now_ms > last_ms) {
        last_ms = now_ms;
        counter = (uint32_t)(random >> 62) << 9; /* room to count up before it must carry */
    } else if (++counter > 0xfff) {
        last_ms++;
        counter = 0;
    }
    put_hex(id.text, last_ms >> 16, 8);
    id.text[8] = '-';
    put_hex(id.text + 9, last_ms & 0xffff, 4);
    id.text[13] = '-';
    put_hex(id.text + 14, 0x7000 | counter, 4);
    id.text[18] = '-';
    put_hex(id.text + 19, 0x8000 | ((random >> 48) & 0x3fff), 4);
    id.text[23] = '-';
    put_hex(id.text + 24, random & 0xffffffffffffULL, 12);
    id.text[36] = '\0';
    return id;
}

bool id_is_valid(const char *text)
{
    if (strnlen(text, ID_TEXT_BYTES) != ID_TEXT_BYTES - 1)
        return false;
    for (int i = 0; i < ID_TEXT_BYTES - 1; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? text[i] != '-' : strchr("0123456789abcdef", text[i]) == NULL)
            return false;
    }
    return true;
}
