#include <string.h>

#include "prong/kernel.h"

enum { PARAM_MESSAGE };

#define MESSAGE_BYTES_MAX (8u << 20)

static const struct prong_param params[] = {
    [PARAM_MESSAGE] = PRONG_PARAM_TEXT("message", MESSAGE_BYTES_MAX, "hello", "What to say back"),
};

static int return_body(struct prong_ctx *ctx, struct prong_buf body)
{
    int err = prong_media(ctx, "application/octet-stream");

    return err != 0 ? err : prong_write(ctx, body.data, body.size);
}

static int map(struct prong_ctx *ctx, uint64_t lo, uint64_t hi)
{
    static const char opening[] = "{\"message\":";
    struct prong_buf input;
    int err;

    (void)lo;
    (void)hi;
    if (prong_input(ctx, &input) == PRONG_INPUT_RAW)
        return return_body(ctx, input);

    const char *message = prong_text(ctx, PARAM_MESSAGE);

    if ((err = prong_write(ctx, opening, sizeof(opening) - 1)) != 0 ||
        (err = prong_string(ctx, message, strlen(message))) != 0)
        return err;
    return prong_write(ctx, "}", 1);
}

/* The least host that map can be run on: it keeps what is written in a small buffer. */
struct trial {
    struct prong_ctx ctx;
    char text[64];
    size_t size;
};

static const char *trial_text(struct prong_ctx *ctx, unsigned index)
{
    (void)ctx;
    return params[index].text_default;
}

static enum prong_input trial_input(struct prong_ctx *ctx, struct prong_buf *ret_input)
{
    (void)ctx;
    *ret_input = (struct prong_buf) {.data = NULL, .size = 0};
    return PRONG_INPUT_NONE;
}

static int trial_write(struct prong_ctx *ctx, const void *data, size_t bytes)
{
    struct trial *trial = (struct trial *)(void *)ctx;

    if (bytes > sizeof(trial->text) - trial->size)
        return -1;
    memcpy(trial->text + trial->size, data, bytes);
    trial->size += bytes;
    return 0;
}

static int trial_string(struct prong_ctx *ctx, const char *text, size_t bytes)
{
    return trial_write(ctx, text, bytes);
}

static const char *selftest(void *state)
{
    static const struct prong_host host = {
        .size = sizeof(host),
        .text_param = trial_text,
        .input = trial_input,
        .write = trial_write,
        .string = trial_string,
    };
    static const char expected[] = "{\"message\":hello}";
    struct trial trial = {.ctx = {.host = &host, .state = state}};

    if (map(&trial.ctx, 0, 1) == 0 && trial.size == sizeof(expected) - 1 &&
        memcmp(trial.text, expected, trial.size) == 0)
        return NULL;
    return "The default message did not come back.";
}

static const struct prong_kernel kernel = {
    .size = sizeof(kernel),
    .abi_major = PRONG_ABI_MAJOR,
    .abi_minor = PRONG_ABI_MINOR,
    .flags = PRONG_PURE | PRONG_IDEMPOTENT,
    .name = "echo",
    .version = "1",
    .summary = "Returns the message, or the request's body byte for byte.",
    .example = "message=hello",
    .media_type = "application/json",
    .takes_raw = 1,
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
