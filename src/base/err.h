/*
 * Ground floor. A failure that a person must be told about: one complete sentence.
 *
 * Functions that take a `struct err *` leave it untouched on success; it may be NULL when nobody will
 * read it.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include "base/check.h"

struct err {
    char text[320];
};

/* Sets the sentence (cut where it does not fit) and returns `code`, so that failing is one line. */
int err_set(struct err *err, int code, const char *format, ...) PRINTF_LIKE(3, 4);

#endif
