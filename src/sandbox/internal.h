/*
 * The inside of the sandbox, shared by its files and nobody else.
 *
 * Each layer is a file with two functions. `…_prepare`, in the zygote: 0 when the system has what the
 * layer needs, else negative errno and a sentence that says what is missing and what to do; it may keep
 * what children need in statics of its file, and may be called again. `…_enter`, in the child: 0, or
 * negative errno and a sentence; only called when the layer is active. The order is enter.c's.
 */
#ifndef SANDBOX_INTERNAL_H
#define SANDBOX_INTERNAL_H

#include "sandbox/sandbox.h"

/* What works differently under a sanitizer or a debugger, all in one place. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANDBOX_SANITIZED 1 /* maps terabytes of shadow, reads /proc when it reports */
#else
#define SANDBOX_SANITIZED 0
#endif
#if defined(PRONG_DEBUG) || SANDBOX_SANITIZED
#define SANDBOX_DUMPABLE 1 /* what cannot be dumped cannot be debugged, nor look at itself */
#else
#define SANDBOX_DUMPABLE 0
#endif

/* process.c: no layers, every child does this. */
int process_begin(const struct sandbox_rules *rules, struct err *err);
int process_keep_fds(const struct sandbox_rules *rules, struct err *err);
/* Dies with the parent; again after a change of uid, which clears that. -ESRCH: it is gone already. */
int process_bind(const struct sandbox_rules *rules, struct err *err);

/* limits.c */
int limits_enter(const struct sandbox_rules *rules, struct err *err);
int limits_enter_processes(const struct sandbox_rules *rules,
                           struct err *err); /* with the last uid */

/* user.c */
int user_prepare(const struct sandbox_config *config, struct err *err);
int user_enter(const struct sandbox_rules *rules, struct err *err);
uid_t user_uid(void); /* that user_enter takes on */
int privileges_enter(const struct sandbox_rules *rules, struct err *err);

/* landlock.c */
int landlock_prepare(const struct sandbox_config *config, struct err *err);
int landlock_enter(const struct sandbox_rules *rules, struct err *err);
int landlock_abi(void); /* of this system; 0: none */

/* seccomp.c */
int seccomp_prepare(const struct sandbox_config *config, struct err *err);
int seccomp_enter(const struct sandbox_rules *rules, struct err *err);
int seccomp_enter_kernel(struct err *err);

/* network.c */
int network_prepare(const struct sandbox_config *config, struct err *err);
int network_enter(const struct sandbox_rules *rules, struct err *err);

/* cgroup.c; its prepare answers -ENOTSUP when the system offers none. */
int cgroup_prepare(const struct sandbox_config *config, struct err *err);
int cgroup_enter(const struct sandbox_rules *rules, struct err *err);
void cgroup_forget(pid_t pid);

/* For the unit test: the directory of our cgroup, from the text of /proc/self/cgroup and of
 * /proc/self/mountinfo; its length, or -ENOTSUP. */
int cgroup_find(const char *own, const char *mounts, char *out, size_t capacity);

#endif
