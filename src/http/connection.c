#include "http/connection.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/hash.h"
#include "http/request.h"
#include "http/serve.h"
#include "state/metrics.h"

/* Written once for each connection, since the text of an address takes longer than an answer may. */
struct client {
    uint64_t key;
    char address[REQUEST_ADDRESS_BYTES];
};

enum MHD_Result connection_admit(void *server, const struct sockaddr *address, socklen_t bytes)
{
    struct server *s = server;

    (void)address;
    (void)bytes;
    return atomic_load(&s->draining) ? MHD_NO : MHD_YES;
}

static struct client *client_new(const struct server *s, const struct sockaddr *address)
{
    struct client *client = calloc(1, sizeof(*client));
    const struct sockaddr_in *v4 = (const void *)address;
    const struct sockaddr_in6 *v6 = (const void *)address;

    if (client == NULL || address == NULL)
        return client;
    if (address->sa_family == AF_INET)
        (void)inet_ntop(AF_INET, &v4->sin_addr, client->address, sizeof(client->address));
    else if (address->sa_family == AF_INET6)
        (void)inet_ntop(AF_INET6, &v6->sin6_addr, client->address, sizeof(client->address));
    client->key = hash_bytes(s->client_key, client->address, strlen(client->address));
    return client;
}

void connection_changed(void *server, struct MHD_Connection *connection, void **context,
                        enum MHD_ConnectionNotificationCode what)
{
    struct server *s = server;
    const union MHD_ConnectionInfo *info;

    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
        *context = client_new(s, info == NULL ? NULL : info->client_addr);
        atomic_fetch_add(&s->connections, 1);
        metrics_add(METRIC_HTTP_CONNECTIONS, 0, 1);
        return;
    }
    free(*context);
    *context = NULL;
    atomic_fetch_sub(&s->connections, 1);
    metrics_add(METRIC_HTTP_CONNECTIONS, 0, (uint64_t)-1);
    if (atomic_load(&s->draining))
        server_shut_listener(s);
}

void connection_identify(struct request *r)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    const struct client *client = info == NULL ? NULL : info->socket_context;

    r->id = id_new();
    if (client == NULL)
        return;
    r->client = client->key;
    memcpy(r->address, client->address, sizeof(r->address));
}
