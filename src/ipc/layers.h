/*
 * F1, both sides of the wall. The layers of the sandbox, by bit and by name, and its modes. May use base
 * only. What a layer does is known behind the wall (sandbox/sandbox.h); prong only shows it.
 */
#ifndef IPC_LAYERS_H
#define IPC_LAYERS_H

#include <stdint.h>

struct err;

enum {
    LAYER_NO_NEW_PRIVS = 1 << 0, /* no privilege is left, and none can be gained */
    LAYER_LIMITS = 1 << 1,       /* of memory, CPU time, files, processes */
    LAYER_USER = 1 << 2,         /* another uid than prong's */
    LAYER_LANDLOCK = 1 << 3,     /* which files can be opened */
    LAYER_SECCOMP = 1 << 4,      /* which system calls can be made */
    LAYER_NETWORK = 1 << 5,      /* a network namespace with nothing in it */
    LAYER_CGROUP = 1 << 6,       /* memory and processes, of all descendants together */
};

enum {
    LAYERS_COUNT = 7,
    LAYERS_ALL = (1 << LAYERS_COUNT) - 1,
};

enum layers_mode {
    LAYERS_AUTO,   /* what the system lets us */
    LAYERS_STRICT, /* all, or no start */
    LAYERS_OFF,
};

/* Of bit 1 << index; "no_new_privs". */
const char *layers_name(unsigned index);

/* Names with commas between; "" is none of them. -EINVAL and a sentence for one that is none. */
int layers_parse(const char *list, uint32_t *ret_mask, struct err *err);

/* auto, strict or off. -EINVAL and a sentence for any other word. */
int layers_mode_parse(const char *word, enum layers_mode *ret_mode, struct err *err);
const char *layers_mode_name(enum layers_mode mode);

#endif
