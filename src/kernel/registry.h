/*
 * F2, behind the wall. The kernels of one zygote, by the index that TASK frames name them with.
 * Filled before the first fork and only read afterwards, so all workers share it copy-on-write.
 * Uses base, ipc and the ABI; knows nothing of workers. Only prong-zygote and its children call
 * this.
 */
#ifndef KERNEL_REGISTRY_H
#define KERNEL_REGISTRY_H

#include <stdbool.h>
#include <stdint.h>

#include "ipc/proto.h"
#include "kernel/declared.h"
#include "kernel/manifest.h"
#include "kernel/program.h"
#include "prong/kernel.h"

struct err;

struct registry_kernel {
    struct prong_kernel kernel; /* a copy; members that the kernel does not have are 0 */
    void *state;                /* what its init left */
    char *broken;               /* why it cannot be used: one sentence, owned; NULL when it can */
    struct declared *declared;  /* owned; NULL for one that was loaded */
    const struct manifest_limits *limits; /* of each of its tasks; NULL: the worker's own */
    const struct program *program;        /* that computes it; NULL: the worker itself does */
    uint32_t program_place;               /* of it in `programs` */
};

/* What the kernels of programs call in a worker, in the place of functions of their own. */
struct registry_remote {
    int (*run)(struct prong_ctx *, uint64_t lo, uint64_t hi);  /* as map: all of it */
    int (*once)(struct prong_ctx *, uint64_t lo, uint64_t hi); /* … by a program that runs once */
    int (*plan)(struct prong_ctx *, struct prong_work *ret_work);
    int (*map)(struct prong_ctx *, uint64_t lo, uint64_t hi);
    int (*combine)(struct prong_ctx *, struct prong_buf left, struct prong_buf right);
    int (*finish)(struct prong_ctx *, struct prong_buf whole);
};

struct registry {
    struct registry_kernel kernels[PROTO_KERNELS_MAX];
    uint32_t count;
    const struct program *programs[PROTO_PROGRAMS_MAX];
    uint32_t program_count;
};

/* Adds `k`, whose declaration was checked, and runs its init with `host`. What `k` points to must
 * live for ever. -EEXIST for a name that is taken, -ENOSPC when full, -EMSGSIZE when its
 * description does not fit a KERNEL frame, -EINVAL when its init fails; always with a sentence. */
int registry_add(struct registry *r, const struct prong_kernel *k, const struct prong_host *host,
                 struct err *err);

/* Adds a kernel that is declared by data; it is taken, also on failure. As registry_add. */
int registry_add_declared(struct registry *r, struct declared *d, struct err *err);

/* -EEXIST for a name that is taken, -ENOSPC when full; with a sentence. */
int registry_check_free(const struct registry *r, const char *name, struct err *err);

/* The place of a program that lives for ever; -ENOSPC when there are PROTO_PROGRAMS_MAX. */
int registry_add_program(struct registry *r, const struct program *program);

/* Adds a kernel that the program at `place` computes: its functions become those of `remote`. As
 * registry_add. */
int registry_add_remote(struct registry *r, const struct prong_kernel *k, uint32_t place,
                        const struct registry_remote *remote, struct err *err);

/* Marks a kernel as broken; the sentence is copied and cut at DESCRIPTION_TEXT_MAX. The first
 * stays. */
void registry_break(struct registry *r, uint32_t index, const char *sentence);

/* NULL when there is no such kernel. */
const struct registry_kernel *registry_get(const struct registry *r, uint32_t index);

/* Frees the sentences, forgets kernels and programs; they stay loaded. */
void registry_release(struct registry *r);

#endif
