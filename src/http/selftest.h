/*
 * F3, http's own. At start: does this libmicrohttpd, with this gate, take what it must and refuse what it must? The gate
 * goes by where libmicrohttpd leaves the bytes of a head; should a build or a patch leave them elsewhere, it must not serve.
 */
#ifndef HTTP_SELFTEST_H
#define HTTP_SELFTEST_H

#include "base/err.h"

/* Sends a few requests to a daemon of its own, over socket pairs, on this thread. -EPROTO with a sentence when one is judged
 * wrong; others when the machine does not let it. Takes less than a millisecond. */
int selftest_run(struct err *err);

#endif
