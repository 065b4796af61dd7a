/*
 * F4, behind the wall. The copies of programs: processes that the zygote starts, lends to workers over
 * their spawn sockets (program/lend.h), and ends. A fixed table; nothing is allocated. Uses program,
 * kernel, ipc and base. Believes nothing that a worker says; what a program says, it never reads.
 *
 * A copy is started when a worker wishes for one, there is none free, and the program's `copies` allow it.
 * A worker that ends takes its copies along: those of one that retired are told by the end of their
 * socket, and killed when they have not ended PROGRAMS_QUIET_NS later; those of one that died, at once.
 */
#ifndef ZYGOTE_PROGRAMS_H
#define ZYGOTE_PROGRAMS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/clock.h"
#include "kernel/registry.h"
#include "program/lend.h"
#include "zygote/reap.h"

enum { PROGRAMS_COPIES_MAX = 1024, PROGRAMS_COPIES_PER_WORKER = 32 };

#define PROGRAMS_QUIET_NS (2 * CLOCK_NS_PER_S)

/* Starts a process of program `place`; ret_fds are ours. Its pid, or negative errno. */
typedef pid_t programs_start(void *arg, uint32_t place, int ret_fds[LEND_FD_COUNT]);

struct programs_copy {
    uint64_t id; /* 0: the place is free */
    pid_t pid;
    uint32_t program;
    int32_t holder; /* the slot of the worker that has it; -1: none */
    bool is_greeted, is_ready, is_ending;
    uint64_t started_ns;
    uint64_t kill_ns;       /* when ENDING */
    int fds[LEND_FD_COUNT]; /* ours, while it can be lent again */
};

struct programs_worker {
    int fd; /* our end of its spawn socket; -1 without one */
    bool has_wish;
    uint32_t program; /* that it wishes for */
    uint64_t wish;    /* the lower, the older */
};

struct programs {
    const struct registry *registry;
    programs_start *start;
    void *start_arg;
    struct programs_copy copies[PROGRAMS_COPIES_MAX];
    struct programs_worker workers[PROTO_WORKERS_MAX];
    uint32_t count; /* of copies */
    uint64_t next_id, next_wish;
    bool is_over; /* nothing is started any more */
};

void programs_init(struct programs *p, const struct registry *registry, programs_start *start,
                   void *arg);

/* A worker has come into the slot; its end of the spawn socket is ours to close from now on. */
void programs_add_worker(struct programs *p, uint32_t slot, int fd);

/* It has been waited for. */
void programs_worker_gone(struct programs *p, uint32_t slot, int status);

/* Answers what the worker in the slot has asked, without waiting. 0; -EPIPE when it has closed its end;
 * -EPROTO when it broke a rule, or does not read its answers: kill it. Its socket is closed then. */
int programs_receive(struct programs *p, uint32_t slot);

/* Tells whoever had it that a copy has been waited for, and serves who waits for one. False when the pid is
 * no copy's. */
bool programs_reaped(struct programs *p, const struct reaped *child);

/* When programs_tick is due; CLOCK_NEVER when nothing is. */
uint64_t programs_wake_ns(const struct programs *p);
void programs_tick(struct programs *p, uint64_t now_ns);

/* At the end: kills all. They are still to be reaped. */
void programs_kill_all(struct programs *p);

#endif
