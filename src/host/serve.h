/*
 * F4, behind the wall. A kernel that was loaded into this process, behind the frames of a program: HELLO,
 * READY, then one JOB after the other. Uses host, program's frames, kernel and jansson. One thread.
 */
#ifndef HOST_SERVE_H
#define HOST_SERVE_H

#include "prong/kernel.h"

struct err;

/* Serves `k`, whose init has left `state`, on the socket until prong says QUIET or closes: 0. -EPROTO, with a
 * sentence, when prong says what it should not; -ENOMEM, too with one. */
int serve_kernel(int fd, const struct prong_kernel *k, void *state, struct err *err);

#endif
