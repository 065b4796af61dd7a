/*
 * The kernel ABI: all that a plug-in sees of Prong.
 *
 * A kernel is a shared object that exports one function, prong_kernel_entry, and computes one kind of
 * thing. It is loaded into prong-zygote, which has one thread, and runs in forked workers, each of
 * which calls it for one task at a time. It never runs in the process that holds the sockets.
 *
 * The work of one request is a row of `units`, numbered from 0, whose meaning is the kernel's own:
 * rows of a picture, blocks of samples. The host cuts [0, units) into ranges as it sees fit, runs
 * `map` on each in some worker, and puts the parts together again:
 *
 *     plan    how many units, and what one of them costs        (absent: the work is not split)
 *     map     the part for [lo, hi)                             (the only function that is required)
 *     combine the part for [a, c) from those for [a, b), [b, c) (absent: parts are concatenated)
 *     finish  the answer from the part for [0, units)           (absent: that part is the answer)
 *     batch   `map` for many small requests at once             (absent: one after the other)
 *
 * The answer must not depend, to the last bit, on where the cuts were: addition of floating-point
 * numbers is not associative, so give every fixed block of units a partial result of its own,
 * concatenate these, and fold them in one order in `finish`.
 *
 * Every struct opens with its size. Members are only ever appended, so a host reads no further than
 * the kernel's `size` says, and a kernel asks with PRONG_HOST_HAS before it uses what came after 1.0.
 * A member that is absent is NULL or 0. Sizes are in bytes; names say other units.
 *
 * 1.1 appended prong_param.required, PRONG_JSON and prong_kernel.batch.
 */
#ifndef PRONG_KERNEL_H
#define PRONG_KERNEL_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PRONG_ABI_MAJOR 1u /* differs: the kernel is refused */
#define PRONG_ABI_MINOR 1u /* kernel's above the host's: refused; below: fine */

#define PRONG_PARAMS_MAX  32u          /* parameters of one kernel */
#define PRONG_CHOICES_MAX 32u          /* words of one PRONG_CHOICE */
#define PRONG_NAME_MAX    63u          /* bytes of a kernel's or a parameter's name: [a-z0-9_-] */
#define PRONG_UNITS_MAX   (1ULL << 53) /* units of one request */
#define PRONG_EMIT_MAX    49152u       /* bytes of one emitted part */
#define PRONG_BATCH_MAX   64u          /* calls given to one batch */

enum prong_flag {
    PRONG_PURE = 1u << 0, /* same input, same answer, no effect: GET may run it */
    PRONG_IDEMPOTENT =
        1u << 1, /* running it twice does no harm: a part whose worker died is retried */
    PRONG_ASSOCIATIVE = 1u << 2, /* combine may join any two neighbouring parts, as a tree;
                                    without it parts are folded one by one from the left */
    /* An answer without some parts is worth having: a range whose worker died again and again is left
     * out, and the request does not fail unless all of it is. Then combine joins parts on both sides
     * of a hole, and finish gets what there is: a part must say itself where it belongs, if that
     * matters. Which units are missing is told beside the answer, which is not kept. */
    PRONG_PARTIAL_OK = 1u << 3,
};

enum prong_type {
    PRONG_INT = 1, /* int64_t */
    PRONG_REAL,    /* double, always finite */
    PRONG_TEXT,    /* UTF-8, without NUL */
    PRONG_CHOICE,  /* one of a list of words; delivered as text, and as its index by prong_int */
    PRONG_VALUES, /* JSON array of numbers; delivered as the input, native doubles (PRONG_INPUT_VALUES) */
    PRONG_JSON, /* any JSON value; delivered by prong_text, as compact text with sorted keys */
};

/* One declared parameter. From these come validation, the catalogue's JSON Schema, the form and the
 * types of the query string. Declare them with the macros below, in the order of their index. All of
 * one kernel have the same size. */
struct prong_param {
    uint32_t size; /* sizeof(struct prong_param) */
    enum prong_type type;
    const char *name;
    const char *help; /* one sentence, no full stop */
    int64_t int_min, int_max, int_default;
    double real_min, real_max, real_default;
    uint64_t count_max;         /* PRONG_TEXT, PRONG_JSON: bytes; PRONG_VALUES: numbers */
    const char *text_default;   /* PRONG_TEXT, PRONG_CHOICE; PRONG_JSON: JSON text */
    const char *const *choices; /* PRONG_CHOICE: words, NULL at the end */
    uint32_t required; /* must be given, so its default is not looked at; PRONG_VALUES always is */
};

#define PRONG_PARAM_INT(name_, min_, max_, default_, help_)                                        \
    {                                                                                              \
        .size = sizeof(struct prong_param), .type = PRONG_INT, .name = (name_), .help = (help_),   \
        .int_min = (min_), .int_max = (max_), .int_default = (default_)                            \
    }
#define PRONG_PARAM_REAL(name_, min_, max_, default_, help_)                                       \
    {                                                                                              \
        .size = sizeof(struct prong_param), .type = PRONG_REAL, .name = (name_), .help = (help_),  \
        .real_min = (min_), .real_max = (max_), .real_default = (default_)                         \
    }
#define PRONG_PARAM_TEXT(name_, bytes_max_, default_, help_)                                       \
    {                                                                                              \
        .size = sizeof(struct prong_param), .type = PRONG_TEXT, .name = (name_), .help = (help_),  \
        .count_max = (bytes_max_), .text_default = (default_)                                      \
    }
#define PRONG_PARAM_CHOICE(name_, choices_, default_, help_)                                       \
    {                                                                                              \
        .size = sizeof(struct prong_param), .type = PRONG_CHOICE, .name = (name_),                 \
        .help = (help_), .choices = (choices_), .text_default = (default_)                         \
    }
#define PRONG_PARAM_VALUES(name_, count_max_, help_)                                               \
    {                                                                                              \
        .size = sizeof(struct prong_param), .type = PRONG_VALUES, .name = (name_),                 \
        .help = (help_), .count_max = (count_max_)                                                 \
    }
#define PRONG_PARAM_JSON(name_, bytes_max_, help_)                                                 \
    {                                                                                              \
        .size = sizeof(struct prong_param), .type = PRONG_JSON, .name = (name_), .help = (help_),  \
        .count_max = (bytes_max_), .required = 1                                                   \
    }

enum prong_input {
    PRONG_INPUT_NONE = 0,
    PRONG_INPUT_RAW,    /* the request's body, byte for byte */
    PRONG_INPUT_VALUES, /* native doubles, from a PRONG_VALUES parameter */
};

struct prong_buf {
    const void *data;
    size_t size;
};

/* What plan answers. unit_cost is the cost of one unit on a scale that is the kernel's own but the
 * same for all its requests (say, multiplications): the host measures what 1.0 takes. 0 means 1.0. */
struct prong_work {
    uint64_t units; /* 0 is allowed: the part is then empty and finish gets nothing */
    double unit_cost;
};

enum prong_log { PRONG_LOG_DEBUG = 0, PRONG_LOG_INFO, PRONG_LOG_WARNING, PRONG_LOG_ERROR };

struct prong_ctx;

/* What the host offers. Call through the inline functions below. */
struct prong_host {
    uint32_t size;
    uint32_t abi_major, abi_minor;
    int64_t (*int_param)(struct prong_ctx *, unsigned index);
    double (*real_param)(struct prong_ctx *, unsigned index);
    const char *(*text_param)(struct prong_ctx *, unsigned index);
    enum prong_input (*input)(struct prong_ctx *, struct prong_buf *ret_input);
    void *(*reserve)(struct prong_ctx *, size_t bytes);
    int (*write)(struct prong_ctx *, const void *data, size_t bytes);
    int (*print)(struct prong_ctx *, const char *format, ...) __attribute__((format(printf, 2, 3)));
    int (*number)(struct prong_ctx *, double);
    int (*string)(struct prong_ctx *, const char *text, size_t bytes);
    int (*media)(struct prong_ctx *, const char *media_type);
    int (*progress)(struct prong_ctx *, uint64_t done, uint64_t total);
    int (*cancelled)(struct prong_ctx *);
    int64_t (*left_us)(struct prong_ctx *);
    int (*wants_parts)(struct prong_ctx *);
    int (*emit)(struct prong_ctx *, const void *data, size_t bytes);
    int (*fail)(struct prong_ctx *, const char *format, ...) __attribute__((format(printf, 2, 3)));
    void (*log)(struct prong_ctx *, enum prong_log, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
};

/* One call of one task; the host's own fields follow. Valid until the function it was given to
 * returns, and only on the thread that it was given to. */
struct prong_ctx {
    const struct prong_host *host;
    void *state; /* what init left */
};

struct prong_kernel {
    uint32_t size; /* sizeof(struct prong_kernel) */
    uint32_t abi_major, abi_minor;
    uint32_t flags; /* enum prong_flag */
    const char *name;
    const char *version; /* of the results: raise it when the same input may give another answer */
    const char *summary; /* one sentence */
    const char *example; /* query string for the catalogue, e.g. "limit=1000" */
    const char *media_type; /* of the answer, unless prong_media says otherwise */
    int takes_raw;          /* the request's body may be raw input */
    const struct prong_param *params;
    uint32_t param_count;
    /* Once, in the zygote, before any fork: tables made here are shared by all workers. */
    int (*init)(const struct prong_host *, void **ret_state);
    int (*plan)(struct prong_ctx *, struct prong_work *ret_work);
    int (*map)(struct prong_ctx *, uint64_t lo, uint64_t hi);
    int (*combine)(struct prong_ctx *, struct prong_buf left, struct prong_buf right);
    int (*finish)(struct prong_ctx *, struct prong_buf whole);
    /* NULL when all is well, else one sentence. Runs once in a throwaway child before any request. */
    const char *(*selftest)(void *state);
    /* Optional: what map(calls[i], 0, 1) does, for each of `count` requests at once, at most
     * PRONG_BATCH_MAX. Only for a kernel with neither plan nor finish, whose requests are one unit
     * each. Small requests that come at the same time are then handed over together; each may still
     * come alone, to map, and must get the same answer there. The calls are distinct, in no certain
     * order, and all on this one thread. Each has parameters, input, deadline and answer of its own:
     * the inline functions below do for calls[i] what they do in map, but nobody listens to parts.
     * One that is cancelled (prong_cancelled, prong_progress) may be left unanswered, the others are
     * wanted still. What one of them may not do is told by prong_fail on its own ctx; nonzero fails
     * all that have not failed. A crash ends all of them: an idempotent kernel's are then tried
     * again, each alone. */
    int (*batch)(struct prong_ctx *const *calls, uint32_t count);
};

/* The one exported symbol. NULL when this host will not do. The struct must live for ever. */
const struct prong_kernel *prong_kernel_entry(uint32_t host_abi_major, uint32_t host_abi_minor);

#define PRONG_EXPORT __attribute__((visibility("default")))
#define PRONG_HOST_HAS(ctx, member)                                                                \
    ((ctx)->host->size >= offsetof(struct prong_host, member) + sizeof((ctx)->host->member))

/*
 * Functions of the kernel return 0, or what prong_fail returned. The writers return 0, or nonzero when
 * the answer would pass the server's limit; the task has then failed already, so just return it.
 */

/* Parameters, by index in `params`, already checked against their bounds. A PRONG_CHOICE is an
 * index by prong_int and a word by prong_text; a PRONG_JSON is its text. The text lives as long as
 * the ctx. */
static inline int64_t prong_int(struct prong_ctx *c, unsigned index)
{
    return c->host->int_param(c, index);
}

static inline double prong_real(struct prong_ctx *c, unsigned index)
{
    return c->host->real_param(c, index);
}

static inline const char *prong_text(struct prong_ctx *c, unsigned index)
{
    return c->host->text_param(c, index);
}

/* The whole input of the request, in plan, map, combine and finish alike; read-only, aligned to 64 bytes, lives
 * as long as the ctx. PRONG_INPUT_NONE sets size 0. */
static inline enum prong_input prong_input(struct prong_ctx *c, struct prong_buf *ret_input)
{
    return c->host->input(c, ret_input);
}

/* Appends `bytes` bytes, not yet set, to what this call answers, and returns where they are; NULL
 * when that would pass the limit. Valid until the next writer is called; aligned to 8 if every write
 * before was a multiple of 8. */
static inline void *prong_reserve(struct prong_ctx *c, size_t bytes)
{
    return c->host->reserve(c, bytes);
}

static inline int prong_write(struct prong_ctx *c, const void *data, size_t bytes)
{
    return c->host->write(c, data, bytes);
}

#define prong_print(c, ...) ((c)->host->print((c), __VA_ARGS__))

/* The shortest decimal that reads back as the same double, as JSON; null when it is not finite. */
static inline int prong_number(struct prong_ctx *c, double value)
{
    return c->host->number(c, value);
}

/* A JSON string with its quotes. Bytes that are not UTF-8 become U+FFFD. */
static inline int prong_string(struct prong_ctx *c, const char *text, size_t bytes)
{
    return c->host->string(c, text, bytes);
}

/* The media type of the answer, instead of the kernel's own; in finish, or in map without one. */
static inline int prong_media(struct prong_ctx *c, const char *media_type)
{
    return c->host->media(c, media_type);
}

/* Call about every millisecond: `done` of `total` is through, in units when the range [lo, hi) is of
 * units: done = next - lo, total = hi - lo. Nonzero means stop here and return 0: the request was
 * cancelled, or the host wants the rest of the range, [lo + done, hi), back for other workers; the
 * part must then be exactly that of [lo, lo + done), which is empty when done is 0. */
static inline int prong_progress(struct prong_ctx *c, uint64_t done, uint64_t total)
{
    return c->host->progress(c, done, total);
}

static inline int prong_cancelled(struct prong_ctx *c)
{
    return c->host->cancelled(c);
}

/* Microseconds to the request's deadline; below zero when it has passed. */
static inline int64_t prong_left_us(struct prong_ctx *c)
{
    return c->host->left_us(c);
}

/* Whether somebody listens to parts as they land; without, prong_emit does nothing. */
static inline int prong_wants_parts(struct prong_ctx *c)
{
    return c->host->wants_parts(c);
}

/* Sends a piece of JSON text to the one who listens, at once; at most PRONG_EMIT_MAX bytes. */
static inline int prong_emit(struct prong_ctx *c, const void *json, size_t bytes)
{
    return c->host->emit(c, json, bytes);
}

/* The request cannot be done, for a reason that its sender should read: one sentence. */
#define prong_fail(c, ...)       ((c)->host->fail((c), __VA_ARGS__))
#define prong_log(c, level, ...) ((c)->host->log((c), (level), __VA_ARGS__))

#ifdef __cplusplus
}
#endif
#endif
