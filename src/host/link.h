/*
 * F4, behind the wall. A program's end of the socket on descriptor 3: frames of prong's in, whole ones, and
 * frames of its own out. Uses program/frame.h and base; knows nothing of what they mean. One thread.
 *
 * Prong is believed as far as its frames' lengths hold: a frame is waited for to its end.
 */
#ifndef HOST_LINK_H
#define HOST_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "program/frame.h"

struct link {
    int fd; /* the caller's */
    char *meta;
    char *raw; /* mapped, so that an input lies as aligned as a kernel may expect */
    size_t meta_room, raw_room;
};

void link_init(struct link *l, int fd);
void link_release(struct link *l);

/* Waits for the next frame: 0, valid until the next is received; NULs follow meta and raw. -EPIPE when
 * prong has closed; -EPROTO, with a sentence, for what is no frame of its; -ENOMEM, too with one. */
int link_receive(struct link *l, struct frame *ret, struct err *err);

/* Whether nobody wants this job any more: takes its CANCEL, if that is the next thing there, or finds the
 * other side gone. Never waits, and leaves every other frame to link_receive. */
bool link_is_cancelled(struct link *l, uint64_t job);

/* Sends a frame, waiting while prong is slow. -EPIPE when it is gone, which the next link_receive says too. */
int link_send(struct link *l, enum frame_type type, uint64_t job, const char *meta, const void *raw,
              size_t raw_bytes);

/* Gives back what a large frame took. */
void link_trim(struct link *l);

#endif
