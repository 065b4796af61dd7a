/*
 * F4, behind the wall. What the programs of a folder offer: each is started once, as for real, to say what
 * its kernels are and that it can be. Beside it runs a judge, a throwaway child that listens to it, so that
 * the zygote reads nothing that a program has written; what the judge found is believed only as far as it
 * is bounded. Uses program, kernel, worker and base.
 */
#ifndef ZYGOTE_OFFERS_H
#define ZYGOTE_OFFERS_H

#include <stdint.h>

#include "kernel/folder.h"
#include "kernel/registry.h"

struct offers_config {
    const struct folder *folder; /* outlives the registry */
    const struct registry_remote *remote;
    const char *sdk;           /* a folder for PYTHONPATH; NULL: none */
    const char *host;          /* prong-host; NULL: libraries cannot be hosted */
    uint64_t memory_bytes_max; /* of programs that do not say; 0: no limit */
    int reap_fd;               /* of reap_open; no other child may be running */
    folder_refuse *refuse;
    void *refuse_arg;
};

/* How long offers_run may take at most. */
uint64_t offers_patience_ns(const struct folder *folder);

/* Adds the programs of the folder and their kernels, in the folder's order; all are tried at once. Those
 * that fail are refused, with what they wrote last; those that others kill, or their judges, are tried
 * again as long as there is time. No child is left afterwards. */
void offers_run(struct registry *r, const struct offers_config *config);

#endif
