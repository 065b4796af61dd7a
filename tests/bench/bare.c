/*
 * What libmicrohttpd alone can do: one constant answer, an epoll thread pool, and nothing else.
 *
 * bare PORT THREADS FILE [HEADER VALUE]…: serves the bytes of FILE with these headers at every path. Port 0
 * takes a free one. Prints the port, and serves until its standard input ends.
 */
#include <arpa/inet.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* On the second call, since libmicrohttpd closes the connection after an answer that is queued on the first:
 * then this would measure accept and close. */
static enum MHD_Result answer(void *response, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *data,
                              size_t *data_bytes, void **context)
{
    (void)url;
    (void)method;
    (void)version;
    (void)data;
    (void)data_bytes;
    if (*context == NULL) {
        *context = response;
        return MHD_YES;
    }
    return MHD_queue_response(connection, MHD_HTTP_OK, response);
}

static struct MHD_Response *response_of(const char *path)
{
    static char body[1 << 20];
    FILE *file = fopen(path, "rb");
    size_t bytes;

    if (file == NULL)
        return NULL;
    bytes = fread(body, 1, sizeof(body), file);
    (void)fclose(file);
    return MHD_create_response_from_buffer(bytes, body, MHD_RESPMEM_PERSISTENT);
}

static struct MHD_Daemon *serve(unsigned short port, unsigned threads,
                                struct MHD_Response *response)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };

    return MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, port, NULL, NULL, answer, response,
                            MHD_OPTION_SOCK_ADDR, &address, MHD_OPTION_THREAD_POOL_SIZE,
                            threads > 1 ? threads : 0, MHD_OPTION_END);
}

int main(int argc, char **argv)
{
    struct MHD_Response *response = argc < 4 ? NULL : response_of(argv[3]);
    struct MHD_Daemon *daemon;
    char ignored;

    if (response == NULL) {
        fprintf(stderr, "usage: bare PORT THREADS FILE [HEADER VALUE]...\n");
        return 64;
    }
    for (int i = 4; i + 1 < argc; i += 2)
        (void)MHD_add_response_header(response, argv[i], argv[i + 1]);
    daemon = serve((unsigned short)strtoul(argv[1], NULL, 10), (unsigned)strtoul(argv[2], NULL, 10),
                   response);
    if (daemon == NULL) {
        fprintf(stderr, "bare: cannot serve on port %s\n", argv[1]);
        return 69;
    }
    printf("%u %s\n", MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port,
           MHD_get_version());
    (void)fflush(stdout);
    while (read(STDIN_FILENO, &ignored, 1) > 0)
        ;
    MHD_stop_daemon(daemon);
    MHD_destroy_response(response);
    return 0;
}
