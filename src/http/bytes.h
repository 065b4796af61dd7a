/*
 * F3, http's own. What each byte may be in the head of a request (RFC 9110, 5.6.2; RFC 3986, 2).
 */
#ifndef HTTP_BYTES_H
#define HTTP_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    BYTE_TOKEN = 1 << 0,  /* of a method or the name of a field */
    BYTE_VALUE = 1 << 1,  /* of the value of a field: no control byte but TAB */
    BYTE_TARGET = 1 << 2, /* of a target: a visible byte that no URL must escape, or '%' */
    BYTE_HOST = 1 << 3,   /* of a host's name */
    BYTE_HEX = 1 << 4,
};
extern const uint8_t byte_kinds[256];

static inline bool byte_is(char c, unsigned kind)
{
    return (byte_kinds[(unsigned char)c] & kind) != 0;
}

/* How many of the first bytes are of that kind. */
static inline size_t bytes_span(const char *text, size_t bytes, unsigned kind)
{
    size_t n = 0;

    while (n < bytes && byte_is(text[n], kind))
        n++;
    return n;
}

/* Zeroes what every request needs anew. Of a few hundred bytes that it knows the number of, the compiler makes an
 * instruction that takes as long to begin as this takes in all. */
void bytes_clear(void *to, size_t bytes);

/* Whether all are of the kind, looked at many at once. */
bool bytes_are_token(const char *text, size_t bytes);
bool bytes_are_value(const char *text, size_t bytes);

/* Whether there are only letters, figures and - . / _, as in nearly all paths. False may mean that there are too few to
 * tell so fast. */
bool bytes_are_plain(const char *text, size_t bytes);

#endif
