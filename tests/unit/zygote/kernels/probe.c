/* Does what it is told: the ways in which a kernel can behave and misbehave in one call. */
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "prong/kernel.h"

enum { MODE, COUNT, TEXT };
enum { ECHO, BLOB, SPIN, CRASH, EXIT, FAIL, SILENT, EMIT, GRANDCHILD, LEAK };

static const char *const modes[] = {"echo",   "blob", "spin",       "crash", "exit", "fail",
                                    "silent", "emit", "grandchild", "leak",  NULL};
static const struct prong_param params[] = {
    PRONG_PARAM_CHOICE("mode", modes, "echo", "What to do"),
    PRONG_PARAM_INT("count", 0, 1 << 30, 0, "Bytes, parts, or a code, as the mode wants"),
    PRONG_PARAM_TEXT("text", 64, "", "What to say"),
};

static int echo(struct prong_ctx *c)
{
    struct prong_buf in;

    if (prong_input(c, &in) == PRONG_INPUT_NONE)
        return prong_write(c, prong_text(c, TEXT), strlen(prong_text(c, TEXT)));
    return prong_media(c, "text/probe") != 0 || prong_write(c, in.data, in.size) != 0 ? -1 : 0;
}

static int blob(struct prong_ctx *c, size_t bytes)
{
    char *at = prong_reserve(c, bytes);

    if (at == NULL)
        return -1;
    for (size_t i = 0; i < bytes; i++)
        at[i] = (char)(i % 251);
    return 0;
}

static int emit(struct prong_ctx *c, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        char digit = (char)('0' + i % 10);
        if (prong_emit(c, &digit, 1) != 0)
            return -1;
    }
    return 0;
}

/* Leaves a process behind that would live for ever, and says which; then stays, too. */
static int grandchild(struct prong_ctx *c)
{
    int32_t pid = fork();

    if (pid == 0) {
        for (;;)
            (void)pause();
    }
    (void)prong_emit(c, &pid, sizeof(pid));
    while (prong_progress(c, 0, 0) == 0)
        (void)poll(NULL, 0, 1);
    return 0;
}

static int leak(size_t bytes)
{
    static volatile char *lost;

    lost = malloc(bytes);
    if (lost == NULL)
        return -1;
    for (size_t i = 0; i < bytes; i += 4096)
        lost[i] = 1;
    return 0;
}

static int spin(struct prong_ctx *c)
{
    uint64_t n = 0;

    while (prong_progress(c, n, 0) == 0)
        n++;
    return 0;
}

static int map(struct prong_ctx *c, uint64_t lo, uint64_t hi)
{
    int64_t count = prong_int(c, COUNT);

    (void)lo, (void)hi;
    switch (prong_int(c, MODE)) {
    case ECHO:
        return echo(c);
    case BLOB:
        return blob(c, (size_t)count);
    case SPIN:
        return spin(c);
    case CRASH:
        (void)raise(SIGSEGV);
        return 0;
    case EXIT:
        _exit((int)count);
    case FAIL:
        return prong_fail(c, "It is told to fail: %s.", prong_text(c, TEXT));
    case SILENT:
        return 1;
    case EMIT:
        return emit(c, count);
    case GRANDCHILD:
        return grandchild(c);
    default:
        return leak((size_t)count);
    }
}

static const struct prong_kernel kernel = {
    .size = sizeof(kernel),
    .abi_major = PRONG_ABI_MAJOR,
    .flags = PRONG_PURE | PRONG_IDEMPOTENT,
    .name = "probe",
    .version = "1",
    .summary = "Does what it is told",
    .media_type = "text/plain",
    .takes_raw = 1,
    .params = params,
    .param_count = sizeof(params) / sizeof(params[0]),
    .map = map,
};

PRONG_EXPORT const struct prong_kernel *prong_kernel_entry(uint32_t major, uint32_t minor)
{
    (void)major, (void)minor;
    return &kernel;
}
