/*
 * F3, fetch's own. libcurl, loaded when the first page is to be fetched and not before: it takes milliseconds and megabytes
 * that a server which only computes need not spend. Its functions are called through this table and in no other way.
 */
#ifndef FETCH_LIBCURL_H
#define FETCH_LIBCURL_H

#include <curl/curl.h>

#include "base/err.h"

struct libcurl {
#define FUNCTION(name) __typeof__(curl_##name) *name;
#include "fetch/libcurl.def"
#undef FUNCTION
};

/* Fills the table; it stays loaded to the end of the process. -ELIBACC with a sentence. The fetch thread. */
int libcurl_load(struct libcurl *ret, struct err *err);

#endif
