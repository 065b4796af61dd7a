/*
 * Ground floor. Ids of requests and jobs: UUIDv7 as text (RFC 9562 §5.7), which sort by creation.
 */
#ifndef BASE_ID_H
#define BASE_ID_H

#include <stdbool.h>
#include <stdint.h>

enum { ID_TEXT_BYTES = 37 }; /* with the NUL */

struct id {
    char text[ID_TEXT_BYTES];
};

/* A new id. Any thread. Within one millisecond and thread, ids still ascend. */
struct id id_new(void);

bool id_is_valid(const char *text);

/* Unpredictable bytes from the kernel, drawn ahead: what a thread has left is copied by fork, so a forked
 * child must not rely on any of this. */
uint64_t id_random(void);

#endif
