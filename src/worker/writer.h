/*
 * F3, behind the wall. What a kernel writes: bytes, texts and JSON into an output, and the type of what that becomes. For both
 * that a kernel can have for its host, a worker and prong-host. Pure but for the output's memory. 0, or -EMSGSIZE where the
 * output's limit is passed, -ENOMEM, -EINVAL; *err then has a sentence for whoever asked for the result.
 */
#ifndef WORKER_WRITER_H
#define WORKER_WRITER_H

#include <stdarg.h>

#include "base/err.h"
#include "ipc/proto.h"
#include "worker/output.h"

/* NULL instead of a number. See output_reserve. */
void *writer_reserve(struct output *o, size_t bytes, struct err *err);

int writer_bytes(struct output *o, const void *data, size_t bytes, struct err *err);
int writer_print(struct output *o, struct err *err, const char *format, va_list args)
    PRINTF_LIKE(3, 0);

/* As JSON; see worker/json.h. */
int writer_number(struct output *o, double value, struct err *err);
int writer_string(struct output *o, const char *text, size_t bytes, struct err *err);

/* It becomes a header of the response: visible ASCII and spaces, nothing that could end the line. */
int writer_media(char ret[PROTO_MEDIA_MAX + 1], const char *media_type, struct err *err);

#endif
