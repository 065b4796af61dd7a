/*
 * F3, behind the wall. The copies of programs that this worker has from the zygote, and the socket over
 * which it borrows them (program/lend.h). Uses program, kernel, ipc and base; knows nothing of tasks. One
 * worker. When the zygote is gone, or says what it should not, the worker ends; none of these returns then.
 */
#ifndef WORKER_COPIES_H
#define WORKER_COPIES_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel/registry.h"
#include "program/lend.h"
#include "program/talk.h"
#include "program/words.h"

enum { COPIES_HELD_MAX = 8 };

struct copy {
    uint64_t id; /* 0: the place is free */
    uint32_t place;
    const struct program *program;
    uint64_t used;       /* the clock when it was last taken */
    uint64_t started_ns; /* monotonic */
    int pid;
    uint64_t cpu_ns; /* user and system, of its life, as far as tasks have been charged for it */
    uint64_t cpu_at_death_ns;
    bool may_keep;
    bool has_died; /* `status` says how; what it said before is still to be read */
    int status;
    struct talk talk; /* of one that speaks frames; fd -1 else */
    struct words words;
    int in_fd, out_fd; /* of one that runs once: what it reads, and its answer; -1 else */
    bool wants_out;    /* … wait for room in in_fd too */
};

struct copies {
    int spawn_fd; /* -1: there are no programs */
    const struct registry *registry;
    struct frame_reader in; /* for the one that is talked to */
    struct copy held[COPIES_HELD_MAX];
    uint64_t clock; /* counts takings */
    size_t result_bytes_max;
    bool has_wish;
    uint32_t wish;
    int refused; /* errno of the last wish; 0: not refused */
};

/* -ENOMEM. */
int copies_init(struct copies *c, const struct registry *registry, int spawn_fd,
                size_t result_bytes_max);

/* The copy of the program that we have and that is well; NULL when there is none. It is dismissed when it
 * has died, or says something unasked. */
struct copy *copies_held(struct copies *c, uint32_t place);

/* Wishes for a copy. Then copies_wait until copies_granted, or copies_forget. */
void copies_wish(struct copies *c, uint32_t place);

/* What the wish has come to: NULL while it is open, or when `refused` says why not. */
struct copy *copies_granted(struct copies *c);

/* The wish is not wanted any more; whatever comes of it is put to good use. */
void copies_forget(struct copies *c);

/* Waits up to `timeout_ms` for something to happen to `copy` (NULL: only to the wish): it says something,
 * it writes to its streams, which goes to `tell`, it can take more of its job, or it dies. */
void copies_wait(struct copies *c, struct copy *copy, int timeout_ms, words_tell *tell, void *arg);

/* After a task: keeps the copy or gives it back, as it was lent. One in the middle of a sentence is
 * killed. */
void copies_release(struct copies *c, struct copy *copy);

/* What it has used since this was last asked, or since it was lent; of a new one since its start. */
uint64_t copies_take_cpu_ns(struct copy *copy);

/* Has it killed; the place is free. */
void copies_kill(struct copies *c, struct copy *copy);

#endif
