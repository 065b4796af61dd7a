/*
 * F2. The kernels that the workers offer, as the server knows them.
 *
 * A name may come to mean another kernel while the server runs: with the next zygote that is put in force. Each such
 * edition is a struct kernel of its own, which whoever uses it holds: nothing of it changes but what is atomic, and it is
 * freed when it is not served any more and the last hold has gone. Their number is bounded by CATALOG_EDITIONS_MAX, and
 * each has a place, for tables beside the catalog; a place is given again once its edition is freed.
 *
 * Beside them there are the files that the zygote has left out, with the reason.
 *
 * The catalog has a lock of its own, of rank LOCK_CATALOG. Any thread finds, holds and drops; who puts a draft in force
 * is the pool.
 */
#ifndef JOBS_CATALOG_H
#define JOBS_CATALOG_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/err.h"
#include "ipc/description.h"
#include "ipc/proto.h"
#include "thread/lock.h"

enum {
    /* What is served, what another zygote still runs, and what requests hold that came before both. */
    CATALOG_EDITIONS_MAX = 3 * PROTO_KERNELS_MAX,
};

struct catalog;

struct kernel {
    struct description *about; /* owned */
    struct catalog *catalog;
    unsigned place;           /* in the catalog, for tables beside it */
    uint64_t serial;          /* of this object, never reused: tells whom a place was given to */
    _Atomic uint64_t edition; /* kernel_edition */
    _Alignas(64) _Atomic unsigned holds; /* apart from what is only read */
};

/* A file that offers no kernel, and why. */
struct catalog_refusal {
    char *file, *reason; /* owned */
};

struct catalog_refusals {
    struct catalog_refusal all[PROTO_REFUSALS_MAX];
    unsigned count;
};

/* What a zygote has told of while it came up, by its index. Its owner's alone. */
struct catalog_draft {
    struct description *kernels[PROTO_KERNELS_MAX]; /* owned; NULL: none */
    struct catalog_refusals refused;
};

/* What the workers of a zygote run, by its index: each is held. Under the lock of its owner. */
struct catalog_set {
    const struct kernel *kernels[PROTO_KERNELS_MAX];
    int16_t index[CATALOG_EDITIONS_MAX]; /* by place; only right when `kernels` says so too */
};

enum catalog_fate { CATALOG_SAME, CATALOG_CHANGED, CATALOG_ADDED, CATALOG_REMOVED };

/* What became of each kernel when a draft was put in force. */
struct catalog_change {
    struct {
        char name[PRONG_NAME_MAX + 1];
        enum catalog_fate fate;
        char broken[128]; /* why it cannot be used, cut; "" when it can */
    } kernels[2 * PROTO_KERNELS_MAX];
    size_t count;
};

struct catalog {
    struct lock lock;
    struct kernel *served[PROTO_KERNELS_MAX]; /* in the order of the zygote; each is held */
    unsigned count;
    struct kernel *places[CATALOG_EDITIONS_MAX]; /* all that live; NULL: free */
    struct catalog_refusals refused;
    uint64_t last_serial, last_edition;
};

void catalog_init(struct catalog *c);
void catalog_release(struct catalog *c); /* nobody may hold any */

/* Held for the caller, who drops it; NULL when none of this name is served. */
const struct kernel *catalog_find(struct catalog *c, const char *name);

/* All that are served, each held; how many. */
unsigned catalog_list(struct catalog *c, const struct kernel *ret[PROTO_KERNELS_MAX]);

/* Another number whenever a draft is put in force: what was made of the list is made anew then. Read before the list. */
uint64_t catalog_edition(struct catalog *c);

/* Tells each file that was left out, in the order in which they came, under the catalog's lock. */
void catalog_tell_refusals(struct catalog *c,
                           void (*tell)(void *arg, const char *file, const char *reason),
                           void *arg);

/* From any thread; NULL is fine. kernel_drop returns NULL. */
const struct kernel *kernel_hold(const struct kernel *k);
const struct kernel *kernel_drop(const struct kernel *k);

/* Names what the workers run under this kernel, for caches of results: never reused, and another number whenever a zygote is
 * put in force, even if the kernel describes itself as before, since its code may not be. Read it once, before the job is
 * submitted: what is submitted after a change of it runs what came with the change. */
static inline uint64_t kernel_edition(const struct kernel *k)
{
    return atomic_load(&k->edition);
}

/* `about` is taken. -EEXIST: this index or this name was told of already. */
int catalog_draft_add(struct catalog_draft *d, struct description *about, unsigned index);

/* A file was left out; both texts are copied. -ENOSPC when there are PROTO_REFUSALS_MAX, -ENOMEM. */
int catalog_draft_refuse(struct catalog_draft *d, const char *file, const char *reason);

void catalog_draft_clear(struct catalog_draft *d);

/* Whether a draft may take the place of what is served: -EINVAL with a sentence when it has no kernel at all, or one that
 * works now is broken, or is missing while a file is refused that was not. That a file has gone is fine. */
int catalog_judge(struct catalog *c, const struct catalog_draft *d, struct err *err);

/* Puts the draft in force, in one step: new requests find its kernels and no others. What describes itself as before
 * stays the same object. The draft is empty then, and `set` has what it had. -ENOSPC when too many editions are alive, -ENOMEM:
 * with a sentence, and nothing is changed. */
int catalog_install(struct catalog *c, struct catalog_draft *d, struct catalog_set *set,
                    struct catalog_change *ret, struct err *err);

void catalog_set_clear(struct catalog_set *set);

/* The index of a kernel in a set, or -ENOENT. */
int catalog_set_find(const struct catalog_set *set, const struct kernel *k);

/* Whether anybody but the set itself holds a kernel of it that is served no longer. */
bool catalog_set_is_wanted(const struct catalog_set *set);

#endif
