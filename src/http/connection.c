#include "http/connection.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/hash.h"
#include "http/clients.h"
#include "http/doors.h"
#include "http/linger.h"
#include "http/request.h"
#include "http/seat.h"
#include "http/serve.h"
#include "state/metrics.h"

enum MHD_Result connection_admit(void *server, const struct sockaddr *address, socklen_t bytes)
{
    struct server *s = server;

    (void)address;
    (void)bytes;
    if (!atomic_load(&s->leaving))
        return atomic_load(&s->draining) ? MHD_NO : MHD_YES;
    /* Whoever was taken from a socket that somebody else goes on with must be served; but see
     * doors_shut, which this waits for. */
    LOCKED(&s->idle_lock);
    return MHD_YES;
}

/* Once for each connection, since the text of an address takes longer than an answer may. */
static void write_address(struct connection *c, const struct sockaddr *address)
{
    const struct sockaddr_in *v4 = (const void *)address;
    const struct sockaddr_in6 *v6 = (const void *)address;

    if (address->sa_family == AF_INET)
        (void)inet_ntop(AF_INET, &v4->sin_addr, c->address, sizeof(c->address));
    else if (address->sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
        (void)inet_ntop(AF_INET, &v6->sin6_addr.s6_addr[12], c->address, sizeof(c->address));
    else if (address->sa_family == AF_INET6)
        (void)inet_ntop(AF_INET6, &v6->sin6_addr, c->address, sizeof(c->address));
}

/* NULL when libmicrohttpd does not know it. What it returns may be gone with the next question (1.0). */
static const struct sockaddr *address_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);

    return info == NULL ? NULL : info->client_addr;
}

static int fd_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);

    return info == NULL ? -1 : info->connect_fd;
}

static struct connection *connection_new(struct server *s, struct MHD_Connection *connection)
{
    const struct sockaddr *address = address_of(connection);
    int fd = fd_of(connection);
    struct connection *c = calloc(1, sizeof(*c));
    bool is_full = false;

    if (c == NULL || address == NULL || fd < 0) {
        free(c);
        return NULL;
    }
    c->fd = fd;
    write_address(c, address);
    c->key = hash_bytes(s->client_key, c->address, strlen(c->address));
    c->client = clients_enter(s->clients, address, &is_full);
    deadline_begin(s->deadlines, &c->deadline, fd, s->config.tls_cert == NULL, clock_now_ns());
    if (is_full) {
        metrics_add(METRIC_HTTP_REFUSED, s->refused_labels[REFUSED_CONNECTIONS], 1);
        (void)shutdown(fd, SHUT_RDWR); /* libmicrohttpd sees that as the client's leaving */
    }
    return c;
}

void connection_served(struct connection *c, struct server *s)
{
    if (c->is_served)
        return;
    c->is_served = true;
    if (atomic_fetch_sub(&s->unserved, 1) == 1 && atomic_load(&s->leaving))
        server_wake(s);
}

void connection_make_room(struct connection *c, struct server *s)
{
    if (!c->has_room && !tls_is_on(&s->tls))
        c->has_room = room_take(&s->room, c->fd);
}

static void connection_free(struct connection *c, struct server *s)
{
    if (c == NULL)
        return;
    deadline_end(&c->deadline);
    if (c->client != NULL)
        client_leave(c->client);
    if (c->has_room)
        room_leave(&s->room);
    linger_take(s->linger, c->fd, atomic_load(&s->draining));
    free(c);
}

static void count_connection(struct server *s, int change)
{
    if (!seat_count_connection(s, change))
        atomic_fetch_add(&s->seatless, (size_t)change);
}

void connection_changed(void *server, struct MHD_Connection *connection, void **context,
                        enum MHD_ConnectionNotificationCode what)
{
    struct server *s = server;

    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        *context = connection_new(s, connection);
        if (*context != NULL)
            atomic_fetch_add(&s->unserved, 1);
        count_connection(s, 1);
        metrics_add(METRIC_HTTP_CONNECTIONS, 0, 1);
        return;
    }
    if (*context != NULL)
        connection_served(*context, s);
    connection_free(*context, s);
    *context = NULL;
    count_connection(s, -1);
    metrics_add(METRIC_HTTP_CONNECTIONS, 0, (uint64_t)-1);
    if (atomic_load(&s->starved) > 0)
        server_wake(s);
    if (atomic_load(&s->draining) || atomic_load(&s->leaving))
        doors_shut(s);
}

void connection_identify(struct request *r)
{
    const char *traceparent = request_header(r, HEADER_TRACEPARENT);

    if (r->id.text[0] == '\0')
        r->id = id_new();
    if (r->trace[0] == '\0' && traceparent != NULL)
        (void)trace_continue(traceparent, r->trace);
}

struct connection *connection_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

    return info == NULL ? NULL : info->socket_context;
}
