/*
 * F4, behind the wall. Waiting for children: the zygote's own and those that their deaths left to
 * it. A child's whole process group is killed before the child is waited for, because until then
 * its pid, and so the group's id, cannot belong to anybody else. Uses base.
 */
#ifndef ZYGOTE_REAP_H
#define ZYGOTE_REAP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct reaped {
    pid_t pid;
    int status; /* of wait4 */
    uint64_t cpu_ns;
    uint64_t max_rss_kb;
};

/* Makes this process the one that orphaned grandchildren come to, blocks SIGCHLD, and answers a
 * descriptor that is readable when a child has ended; non-blocking, close-on-exec, the caller's.
 * Negative errno. */
int reap_open(void);

/* Makes the descriptor unreadable until another child ends. Call before reap_next, never after: one
 * that ends in between would be missed. */
void reap_clear(int fd);

/* The next child that has ended; false when none has. */
bool reap_next(struct reaped *ret);

/* By SIGKILL: when that was not we, others did it, the out-of-memory killer above all, and it says nothing about the child. */
bool reap_was_killed(int status);

/* Signals the process group that a living or unreaped child leads; just the child when it has not
 * come to lead one yet. */
void reap_kill(pid_t pid, int signal);

#endif
