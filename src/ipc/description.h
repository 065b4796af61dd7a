/*
 * F1, the wall. How a kernel describes itself to prong, once, in a KERNEL frame; and how the parameters
 * of a task are laid out. The zygote encodes from `struct prong_kernel`; prong decodes what it got,
 * bounded, into a `struct description` of its own, because the kernel's memory is on the other side.
 *
 * The parameters of a task: one after the other in the order of declaration, packed:
 *   PRONG_INT     int64_t
 *   PRONG_REAL    double
 *   PRONG_TEXT    uint32_t bytes, the bytes, NUL
 *   PRONG_CHOICE  uint32_t index
 *   PRONG_VALUES  nothing: the numbers are the task's input
 *   PRONG_JSON    like PRONG_TEXT: compact JSON text
 */
#ifndef IPC_DESCRIPTION_H
#define IPC_DESCRIPTION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "prong/kernel.h"

enum {
    DESCRIPTION_TEXT_MAX = 1024, /* bytes of a help, summary, example, default, reason */
    DESCRIPTION_BYTES_MAX = 60000,
};

/* Beside enum prong_flag: a program computes it, of which every worker would need a copy. */
#define DESCRIPTION_PROGRAM (1u << 31)

struct description_param {
    enum prong_type type;
    const char *name, *help;
    int64_t int_min, int_max, int_default;
    double real_min, real_max, real_default;
    uint64_t count_max;
    const char *text_default;
    const char *choices[PRONG_CHOICES_MAX];
    uint32_t choice_count;
    bool required; /* has no default; a PRONG_VALUES never has one, whatever this says */
};

struct description {
    const char *name, *version, *summary, *example, *media_type;
    const char *broken; /* why it cannot be used (say, its self-test failed); "" when it can */
    uint32_t flags;     /* enum prong_flag */
    bool takes_raw;
    bool has_plan;    /* work can be split */
    bool has_combine; /* else parts are concatenated */
    bool has_finish;
    bool has_batch;
    uint32_t param_count;
    struct description_param params[PRONG_PARAMS_MAX];
    char storage[]; /* the texts above point in here */
};

/* The kernel's own parameter `i`; kernels of an older ABI have a shorter struct, so neither index the
 * array nor read `required` by hand. */
const struct prong_param *description_param_at(const struct prong_kernel *k, uint32_t i);
bool description_param_required(const struct prong_param *p);

/* Refuses, with a sentence, a kernel whose declaration is not sound: name, bounds, defaults. */
struct err;
int description_check(const struct prong_kernel *k, struct err *err);

/* Reads the description back as prong will, so that a text too long costs this kernel and not the whole
 * zygote: -EMSGSIZE with a sentence. Room is left for the sentence of a failed self-test. */
int description_check_fits(const struct prong_kernel *k, struct err *err);

/* Appends the description; -ENOMEM when it passes the buffer's maximum. `broken` may be NULL. */
int description_encode(struct buf *b, const struct prong_kernel *k, const char *broken);

/* A new description in one allocation, the caller's to free(). -EPROTO for what is not one. */
int description_decode(const void *data, size_t bytes, struct description **ret);

#endif
