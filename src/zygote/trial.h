/*
 * F4, behind the wall. Shared objects are tried before they are believed: a throwaway child does all
 * that loading one means (its constructors, its entry, its declaration, init and self-test), and only
 * what has come through is loaded into the zygote. Uses kernel, sandbox and base.
 */
#ifndef ZYGOTE_TRIAL_H
#define ZYGOTE_TRIAL_H

#include <stdint.h>

#include "kernel/folder.h"
#include "kernel/registry.h"

/* Of one that is killed again and again, perhaps by itself. */
enum { TRIAL_TRIES_MAX = 10 };

struct trial_config {
    const struct folder *folder;
    const struct prong_host *host; /* for init */
    bool with_fault;     /* else the kernel called "fault", which crashes on demand, is left out */
    int reap_fd;         /* of reap_open; no other child may be running */
    uint64_t timeout_ns; /* for all of them */
    folder_refuse *refuse;
    void *refuse_arg;
};

/* Tries all shared objects of the folder, each in a child of its own, all at once, and adds them to the
 * registry in the folder's order. A kernel whose self-test answers with a sentence, dies or is late is
 * added as broken, from its description alone. What fails earlier is refused, and never loaded here.
 * Whose child is killed by others is tried again, but not for ever.
 * None of the children is left afterwards. */
void trial_run(struct registry *r, const struct trial_config *config);

#endif
