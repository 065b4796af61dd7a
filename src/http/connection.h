/*
 * F3, http's own. Connections, as far as libmicrohttpd tells of them: who may come in, and who it is.
 */
#ifndef HTTP_CONNECTION_H
#define HTTP_CONNECTION_H

#include <microhttpd.h>

struct request;

/* The policy of accepting: nobody is let in while the server drains. */
enum MHD_Result connection_admit(void *server, const struct sockaddr *address, socklen_t bytes);

/* MHD_OPTION_NOTIFY_CONNECTION. */
void connection_changed(void *server, struct MHD_Connection *connection, void **context,
                        enum MHD_ConnectionNotificationCode what);

/* Gives the request its id and its client; not done for static files, which need neither. */
void connection_identify(struct request *r);

#endif
