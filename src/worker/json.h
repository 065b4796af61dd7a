/*
 * F3, behind the wall. Numbers and texts as JSON, for kernels that write it. Pure; uses base only.
 */
#ifndef WORKER_JSON_H
#define WORKER_JSON_H

#include <stddef.h>

enum {
    JSON_NUMBER_MAX = 32, /* bytes of the longest number, with NUL */
    JSON_ESCAPE_MAX = 6,  /* bytes that one byte of a text can become */
};

/* The shortest decimal that reads back as the same double, NUL-terminated; whole numbers below 2^53
 * without point or exponent; "null" when it is not finite. The bytes written, without the NUL. */
size_t json_number(double value, char out[JSON_NUMBER_MAX]);

/* The text as a JSON string with its quotes, into `out`, which has room for
 * JSON_ESCAPE_MAX * bytes + 2. What is not UTF-8 becomes U+FFFD. The bytes written; no NUL. */
size_t json_quote(const char *text, size_t bytes, char *out);

/* The bytes that json_quote would write. */
size_t json_quote_bytes(const char *text, size_t bytes);

/* The bytes of the well-formed UTF-8 character at the start of `text`; 0 when there is none. */
size_t json_utf8_length(const char *text, size_t bytes);

#endif
