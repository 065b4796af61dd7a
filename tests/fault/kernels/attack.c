#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <unistd.h>

#include "prong/kernel.h"

/*
 * Tries on purpose what a hostile kernel would, one thing a request, and tells how far it came: a mode that got what
 * it wanted answers {"got":…}, one that was refused fails with the system's own words.
 */

enum { PARAM_MODE, PARAM_PORT, PARAM_PATH };

#define PAGE_BYTES 4096u
#define BOMB_MAX   100000

static const char *const modes[] = {
    "segv",       "abort",  "exit",    "loop",  "output", "alloc",         "forkbomb",
    "threadbomb", "passwd", "connect", "trace", "kill",   "www",           "garbage",
    "fds",        "memfd",  "close3",  "exec",  "setuid", "writable_code", NULL,
};

static const struct prong_param params[] = {
    [PARAM_MODE] = PRONG_PARAM_CHOICE("mode", modes, "segv", "What is tried"),
    [PARAM_PORT] = PRONG_PARAM_INT("port", 0, 65535, 0,
                                   "Where a listener of the test's own waits on loopback"),
    [PARAM_PATH] = PRONG_PARAM_TEXT("path", 4096, "", "What is opened or written"),
};

static int refused(struct prong_ctx *c, const char *what)
{
    return prong_fail(c, "%s: %s.", what, strerror(errno));
}

static int got(struct prong_ctx *c, const char *what)
{
    return prong_print(c, "{\"got\":\"%s\"}", what);
}

static int run_segv(struct prong_ctx *c)
{
    volatile char *volatile nowhere = (volatile char *)16;

    *nowhere = 1;
    return got(c, "segv");
}

static int run_abort(struct prong_ctx *c)
{
    (void)c;
    abort();
}

static int run_exit(struct prong_ctx *c)
{
    (void)c;
    _exit(0);
}

static int run_loop(struct prong_ctx *c)
{
    for (volatile unsigned turns = 0;; turns++)
        ;
    return got(c, "loop");
}

static int run_output(struct prong_ctx *c)
{
    static const char line[65536] = "no end";

    while (prong_write(c, line, sizeof(line)) == 0)
        ;
    return 1;
}

static int run_alloc(struct prong_ctx *c)
{
    for (size_t mib = 0; mib < 10240; mib += 16) {
        volatile char *chunk = malloc(16u << 20);
        if (chunk == NULL)
            return prong_fail(c, "After %zu MiB there was no more memory.", mib);
        for (size_t at = 0; at < 16u << 20; at += PAGE_BYTES)
            chunk[at] = 1;
    }
    return got(c, "10 GiB");
}

static int run_forkbomb(struct prong_ctx *c)
{
    for (int i = 0; i < BOMB_MAX; i++) {
        if (fork() < 0)
            return refused(c, "fork");
    }
    return got(c, "forks");
}

static void *sleep_for_ever(void *arg)
{
    for (;;)
        (void)pause();
    return arg;
}

static int run_threadbomb(struct prong_ctx *c)
{
    for (int i = 0; i < BOMB_MAX; i++) {
        pthread_t thread;
        errno = pthread_create(&thread, NULL, sleep_for_ever, NULL);
        if (errno != 0)
            return refused(c, "pthread_create");
    }
    return got(c, "threads");
}

static int run_passwd(struct prong_ctx *c)
{
    return open("/etc/passwd", O_RDONLY) < 0 ? refused(c, "open") : got(c, "passwd");
}

static int run_connect(struct prong_ctx *c)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)prong_int(c, PARAM_PORT)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (fd < 0)
        return refused(c, "socket");
    return connect(fd, (const struct sockaddr *)&to, sizeof(to)) < 0 ? refused(c, "connect")
                                                                     : got(c, "connection");
}

static int run_trace(struct prong_ctx *c)
{
    return ptrace(PTRACE_ATTACH, getppid(), NULL, NULL) < 0 ? refused(c, "ptrace")
                                                            : got(c, "parent");
}

static int run_kill(struct prong_ctx *c)
{
    return kill(-1, SIGKILL) < 0 ? refused(c, "kill") : got(c, "kill");
}

static int run_www(struct prong_ctx *c)
{
    return open(prong_text(c, PARAM_PATH), O_WRONLY | O_CREAT, 0644) < 0 ? refused(c, "open")
                                                                         : got(c, "file");
}

/* Into every descriptor that there may be, as a frame or into the middle of one. */
static int run_garbage(struct prong_ctx *c)
{
    static const char garbage[100] = "nonsense";

    for (int fd = 3; fd < 64; fd++)
        (void)!write(fd, garbage, sizeof(garbage));
    return got(c, "nothing");
}

static int run_fds(struct prong_ctx *c)
{
    for (int i = 0; i < 1000; i++) {
        if (dup(STDERR_FILENO) < 0)
            return refused(c, "dup");
    }
    return got(c, "1000 descriptors");
}

/* Shrinks whatever memory it shares with the server. */
static int run_memfd(struct prong_ctx *c)
{
    for (int fd = 3; fd < 64; fd++) {
        if (ftruncate(fd, 0) == 0)
            return got(c, "a truncated descriptor");
    }
    return refused(c, "ftruncate");
}

static int run_close3(struct prong_ctx *c)
{
    (void)close(3);
    return got(c, "nothing");
}

static int run_exec(struct prong_ctx *c)
{
    char *const argv[] = {(char *)(uintptr_t) "sh", NULL};

    (void)execv("/bin/sh", argv);
    return refused(c, "execv");
}

static int run_setuid(struct prong_ctx *c)
{
    return setuid(0) < 0 ? refused(c, "setuid") : got(c, "root");
}

static int run_writable_code(struct prong_ctx *c)
{
    void *at = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE | PROT_EXEC,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return at == MAP_FAILED ? refused(c, "mmap") : got(c, "writable code");
}

static int (*const runs[])(struct prong_ctx *) = {
    run_segv,       run_abort,  run_exit,    run_loop,  run_output, run_alloc,         run_forkbomb,
    run_threadbomb, run_passwd, run_connect, run_trace, run_kill,   run_www,           run_garbage,
    run_fds,        run_memfd,  run_close3,  run_exec,  run_setuid, run_writable_code,
};

static int map(struct prong_ctx *c, uint64_t lo, uint64_t hi)
{
    (void)lo;
    (void)hi;
    return runs[prong_int(c, PARAM_MODE)](c);
}

static const struct prong_kernel kernel = {
    .size = sizeof(kernel),
    .abi_major = PRONG_ABI_MAJOR,
    .abi_minor = PRONG_ABI_MINOR,
    .name = "attack",
    .version = "1",
    .summary = "Tries what a hostile kernel would.",
    .media_type = "application/json",
    .params = params,
    .param_count = sizeof(params) / sizeof(params[0]),
    .map = map,
};

PRONG_EXPORT const struct prong_kernel *prong_kernel_entry(uint32_t host_abi_major,
                                                           uint32_t host_abi_minor)
{
    (void)host_abi_minor;
    return host_abi_major == PRONG_ABI_MAJOR ? &kernel : NULL;
}
