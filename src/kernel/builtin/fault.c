#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "prong/kernel.h"

/*
 * Does on purpose what a broken kernel does by mistake, so that tests and visitors can watch the
 * server survive it. Only loaded with --enable-fault-kernel.
 */

enum { PARAM_MODE, PARAM_TAG };
enum {
    MODE_SEGV,
    MODE_ABORT,
    MODE_EXIT,
    MODE_HANG,
    MODE_SPIN,
    MODE_ALLOC,
    MODE_FORK,
    MODE_STOP,
    MODE_GARBAGE,
    MODE_COUNT
};

#define EXIT_STATUS    3
#define ALLOC_MAX      (1ull << 30)
#define ALLOC_CHUNK    (16u << 20)
#define PAGE_BYTES     4096u
#define CHILDREN       8
#define CHILD_SECONDS  60
#define GARBAGE_BYTES  64
#define GARBAGE_FD_MIN 3
#define GARBAGE_FD_MAX 63

static const char *const modes[MODE_COUNT + 1] = {
    [MODE_SEGV] = "segv", [MODE_ABORT] = "abort", [MODE_EXIT] = "exit",
    [MODE_HANG] = "hang", [MODE_SPIN] = "spin",   [MODE_ALLOC] = "alloc",
    [MODE_FORK] = "fork", [MODE_STOP] = "stop",   [MODE_GARBAGE] = "garbage",
};

static const struct prong_param params[] = {
    [PARAM_MODE] = PRONG_PARAM_CHOICE("mode", modes, "segv", "What goes wrong"),
    [PARAM_TAG] = PRONG_PARAM_INT("tag", INT64_MIN, INT64_MAX, 0,
                                  "Means nothing; tells one request from another"),
};

static int run_segv(struct prong_ctx *ctx)
{
    volatile char *volatile nowhere = (volatile char *)16;

    *nowhere = 1;
    return prong_fail(ctx, "Writing to an address that is not there did no harm.");
}

static int run_abort(struct prong_ctx *ctx)
{
    (void)ctx;
    abort();
}

static int run_exit(struct prong_ctx *ctx)
{
    (void)ctx;
    _exit(EXIT_STATUS);
}

static int run_hang(struct prong_ctx *ctx)
{
    (void)ctx;
    for (;;)
        (void)pause();
    return 0;
}

static int run_spin(struct prong_ctx *ctx)
{
    (void)ctx;
    for (volatile unsigned turns = 0;; turns++)
        ;
    return 0;
}

/* The chunks are linked, so that they can be given back if the machine has that much to spare. */
static int run_alloc(struct prong_ctx *ctx)
{
    void **newest = NULL;
    size_t total = 0;

    while (total < ALLOC_MAX) {
        volatile char *chunk = malloc(ALLOC_CHUNK);

        if (chunk == NULL)
            break;
        for (size_t at = 0; at < ALLOC_CHUNK; at += PAGE_BYTES)
            chunk[at] = 1;
        void **link = (void **)(uintptr_t)chunk;

        *link = newest;
        newest = link;
        total += ALLOC_CHUNK;
    }
    while (newest != NULL) {
        void **next = *newest;

        free(newest);
        newest = next;
    }
    return prong_fail(ctx, "It took %zu MiB of memory and was not killed.", total >> 20);
}

static int run_fork(struct prong_ctx *ctx)
{
    for (int i = 0; i < CHILDREN; i++) {
        pid_t pid = fork();

        if (pid == 0) {
            (void)sleep(CHILD_SECONDS);
            _exit(0);
        }
        if (pid < 0)
            return prong_fail(ctx, "Child %d of %d could not be forked: %s.", i + 1, CHILDREN,
                              strerror(errno));
    }
    return prong_print(ctx, "{\"forked\":%d}", CHILDREN);
}

static int run_stop(struct prong_ctx *ctx)
{
    (void)raise(SIGSTOP);
    return prong_print(ctx, "{\"stopped\":true}");
}

static int is_socket(int fd)
{
    int type;
    socklen_t bytes = sizeof(type);

    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &bytes) == 0;
}

static int run_garbage(struct prong_ctx *ctx)
{
    unsigned char garbage[GARBAGE_BYTES];
    uint64_t state = (uint64_t)getpid();
    int sockets = 0;

    for (int i = 0; i < GARBAGE_BYTES; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        garbage[i] = (unsigned char)(state >> 56);
    }
    for (int fd = GARBAGE_FD_MIN; fd <= GARBAGE_FD_MAX; fd++)
        if (is_socket(fd) && write(fd, garbage, sizeof(garbage)) > 0)
            sockets++;
    return prong_print(ctx, "{\"sockets\":%d}", sockets);
}

static int (*const runs[MODE_COUNT])(struct prong_ctx *) = {
    [MODE_SEGV] = run_segv, [MODE_ABORT] = run_abort, [MODE_EXIT] = run_exit,
    [MODE_HANG] = run_hang, [MODE_SPIN] = run_spin,   [MODE_ALLOC] = run_alloc,
    [MODE_FORK] = run_fork, [MODE_STOP] = run_stop,   [MODE_GARBAGE] = run_garbage,
};

static int map(struct prong_ctx *ctx, uint64_t lo, uint64_t hi)
{
    (void)lo;
    (void)hi;
    return runs[prong_int(ctx, PARAM_MODE)](ctx);
}

static const char *selftest(void *state)
{
    (void)state;
    for (int i = 0; i < MODE_COUNT; i++)
        if (modes[i] == NULL || runs[i] == NULL)
            return "A mode has no name or nothing that it does.";
    if (is_socket(-1))
        return "What is not open passes for a socket.";
    return NULL;
}

/* Not idempotent: a part whose worker died must not be tried again, or it takes the next one along. */
static const struct prong_kernel kernel = {
    .size = sizeof(kernel),
    .abi_major = PRONG_ABI_MAJOR,
    .abi_minor = PRONG_ABI_MINOR,
    .flags = PRONG_PURE,
    .name = "fault",
    .version = "1",
    .summary = "Crashes, hangs and misbehaves in ways to choose from.",
    .example = "mode=segv",
    .media_type = "application/json",
    .params = params,
    .param_count = sizeof(params) / sizeof(params[0]),
    .map = map,
    .selftest = selftest,
};

PRONG_EXPORT const struct prong_kernel *prong_kernel_entry(uint32_t host_abi_major,
                                                           uint32_t host_abi_minor)
{
    (void)host_abi_minor; /* a host with less refuses what the struct says */
    return host_abi_major == PRONG_ABI_MAJOR ? &kernel : NULL;
}
