/*
 * F3, http's own. Between libmicrohttpd and the gate: what libmicrohttpd is told about reading heads, and how what it
 * has read gets to the gate. The server and the self-test share this, so that what is tested is what runs.
 *
 * libmicrohttpd makes a record in its memory for every header line, for every argument of a query and for every
 * cookie, and answers in HTML when that memory is full. Arguments and cookies are hidden from it, so that
 * what a head may need is known: see head_memory_bytes. Nobody here reads cookies; queries are read from the
 * target.
 */
#ifndef HTTP_HEAD_H
#define HTTP_HEAD_H

#include <microhttpd.h>

#include "http/gate.h"

enum { HEAD_OPTIONS_MAX = 4 };

/* The memory that libmicrohttpd needs for a connection, so that every head within the limits fits, whatever was sent
 * before and after it. */
size_t head_memory_bytes(const struct gate_rules *rules);

/* MHD_OPTION_* for a daemon that is to read as the gate expects. Their number. */
size_t head_options(const struct gate_rules *rules, struct MHD_OptionItem *out);

/* In MHD_OPTION_URI_LOG_CALLBACK, when the target has been copied. */
void head_hide(const char *uri, struct MHD_Connection *connection);

/* In the first call of the handler. `line` has all but head_bytes, which this fills in. Afterwards g->fault tells. */
void head_judge(struct gate *g, const struct gate_rules *rules, struct gate_line *line,
                struct request_headers *headers, struct MHD_Connection *connection);

#endif
