/*
 * The rules of the filters, as libseccomp takes them. Only seccomp.c uses this.
 */
#ifndef SANDBOX_SECCOMP_RULES_H
#define SANDBOX_SECCOMP_RULES_H

#include <seccomp.h>
#include <stdbool.h>

/* Stands for the pid of the child; above what the system's pids can be (2^22). */
#define SECCOMP_NO_PID 0x50524f4eu

/* Into a filter that kills by default: what a kernel in its worker needs, and what it may try in good
 * faith and is refused. 0 or negative errno. */
int seccomp_add_kernel(scmp_filter_ctx ctx);

/* Into a filter that allows by default: what no program may do. */
int seccomp_add_program(scmp_filter_ctx ctx, bool network, bool threads);

#endif
