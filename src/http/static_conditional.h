/*
 * F3, pure. Validators of files, and of what else is read like one (RFC 9110, 8.8), and the requests that depend on them
 * (13).
 */
#ifndef HTTP_STATIC_CONDITIONAL_H
#define HTTP_STATIC_CONDITIONAL_H

#include <stdbool.h>
#include <time.h>

enum {
    STATIC_ETAG_BYTES = 64,
    STATIC_DATE_BYTES = 32,
};

/* A date alone says little of a file that is there in several encodings: whoever sends it may hold another one, and an
 * encoding may come and go while the date goes back. */
enum static_date_use {
    STATIC_DATE_ORDERS, /* the only form: what is not older is the same */
    STATIC_DATE_NAMES, /* one of several forms, and no other has this date: what is equal is the same */
    STATIC_DATE_VAGUE, /* another form has this date: says nothing */
};

struct static_validators {
    char etag[STATIC_ETAG_BYTES]; /* strong */
    time_t modified;              /* what Last-Modified says */
    enum static_date_use date_use;
};

/* Header values, NULL when absent. */
struct static_conditions {
    const char *if_match, *if_unmodified_since, *if_none_match, *if_modified_since;
};

enum static_verdict {
    STATIC_PROCEED,
    STATIC_NOT_MODIFIED, /* 304 */
    STATIC_FAILED,       /* 412 */
};

/* Of a GET or HEAD, in the order of RFC 9110, 13.2.2. */
enum static_verdict static_judge(const struct static_conditions *conditions,
                                 const struct static_validators *v);

/* Whether Range is to be looked at: the client's part is of what we have now. NULL: it does not ask. */
bool static_if_range(const char *if_range, const struct static_validators *v);

/* "Sun, 06 Nov 1994 08:49:37 GMT". False when the year has not four digits. */
bool static_date_write(char out[STATIC_DATE_BYTES], time_t t);

/* Any of the three forms that a recipient must know. False, *ret untouched, when it is none. */
bool static_date_read(const char *text, time_t *ret);

#endif
