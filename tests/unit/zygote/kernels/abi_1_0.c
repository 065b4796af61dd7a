/* As it would have been built for ABI 1.0: its structs end where that ended. */
#include <stdint.h>

#include "prong/kernel.h"

struct param_1_0 {
    uint32_t size;
    enum prong_type type;
    const char *name;
    const char *help;
    int64_t int_min, int_max, int_default;
    double real_min, real_max, real_default;
    uint64_t count_max;
    const char *text_default;
    const char *const *choices;
};

enum { A, B };

static const struct param_1_0 params[] = {
    {.size = sizeof(struct param_1_0),
     .type = PRONG_INT,
     .name = "a",
     .help = "one number",
     .int_max = 9,
     .int_default = 4},
    {.size = sizeof(struct param_1_0),
     .type = PRONG_INT,
     .name = "b",
     .help = "another",
     .int_max = 9,
     .int_default = 2},
};

static int map(struct prong_ctx *c, uint64_t lo, uint64_t hi)
{
    (void)lo, (void)hi;
    return prong_print(c, "[%lld,%lld]", (long long)prong_int(c, A), (long long)prong_int(c, B));
}

/* What lies behind the old struct must not be taken for its members. */
static const struct {
    struct prong_kernel kernel;
} old = {{
    .size = offsetof(struct prong_kernel, batch),
    .abi_major = 1,
    .abi_minor = 0,
    .flags = PRONG_PURE | PRONG_IDEMPOTENT,
    .name = "abi-1-0",
    .version = "1",
    .summary = "Answers two numbers.",
    .media_type = "application/json",
    .params = (const struct prong_param *)(const void *)params,
    .param_count = sizeof(params) / sizeof(params[0]),
    .map = map,
    .batch = (int (*)(struct prong_ctx *const *, uint32_t))(void (*)(void))map,
}};

PRONG_EXPORT const struct prong_kernel *prong_kernel_entry(uint32_t major, uint32_t minor)
{
    (void)minor;
    return major == 1 ? &old.kernel : NULL;
}
