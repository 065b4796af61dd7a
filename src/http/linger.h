/*
 * F3, http's own. The end of a connection whose client still sends.
 *
 * A socket that is closed with bytes of the client unread is reset by the system, and what the client has not taken of its
 * answer by then is lost. So such a socket is kept by a copy for a while after libmicrohttpd has closed it: nothing more is
 * sent, what comes is thrown away, and it ends when the client has taken all, or after LINGER_MS.
 *
 * One thread looks at those that linger every LINGER_LOOK_MS, since the system tells nobody when the last byte has been
 * taken; it sleeps while there are none.
 */
#ifndef HTTP_LINGER_H
#define HTTP_LINGER_H

#include <stdbool.h>

#include "base/err.h"

enum {
    LINGER_MAX = 64, /* at once; others are closed as the system does it */
    LINGER_MS = 2000,
    LINGER_LOOK_MS = 5,
};

struct linger_room;

int linger_new(struct linger_room **ret, struct err *err);

/* Waits for those that linger. NULL is fine. */
struct linger_room *linger_free(struct linger_room *l);

/* The socket, which stays the caller's, is about to be closed. It lingers if the client has not taken all and has sent
 * more than was read; or, with `may_send_more`, if it has not taken all. Not if it is to be reset (SO_LINGER). Any thread. */
void linger_take(struct linger_room *l, int fd, bool may_send_more);

#endif
