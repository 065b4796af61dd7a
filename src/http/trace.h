/*
 * F3, http's own, pure. W3C Trace Context: the client's traceparent goes on in our answers and log lines, under a
 * span of ours. What is malformed is ignored, as that standard says.
 */
#ifndef HTTP_TRACE_H
#define HTTP_TRACE_H

#include <stdbool.h>

enum {
    TRACE_BYTES = 56,
    TRACE_ID_AT = 3, /* where in it the trace id begins: 32 digits */
};

/* "00-<trace id>-<span id>-<flags>" with a new span id, from what the client sent. False when that is none. */
bool trace_continue(const char *traceparent, char out[TRACE_BYTES]);

#endif
