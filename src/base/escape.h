/*
 * Ground floor, pure. Text that somebody else has written, made fit for a line of a log: no control byte, nothing that
 * a terminal obeys, no end of the line or of the quotes around it. Nothing is NUL-terminated here; what does not fit
 * is left out, from a whole character on.
 */
#ifndef BASE_ESCAPE_H
#define BASE_ESCAPE_H

#include <stddef.h>

/* As the inside of a JSON string, in valid UTF-8: what is none becomes U+FFFD. The bytes written. */
size_t escape_json(const char *text, char *out, size_t capacity);

/* As access logs have it: all but visible ASCII, and the quote and the backslash, as \xHH. The bytes written. */
size_t escape_bytes(const char *text, char *out, size_t capacity);

#endif
