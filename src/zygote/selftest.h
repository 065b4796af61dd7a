/*
 * F4, behind the wall. Lets every kernel prove, before it is offered, that it computes rightly on
 * this machine. Uses kernel, sandbox and base.
 */
#ifndef ZYGOTE_SELFTEST_H
#define ZYGOTE_SELFTEST_H

#include <stdint.h>

#include "kernel/registry.h"

/* Runs the self-tests of all kernels that have one, each in a child of its own, all at once, and
 * marks as broken every kernel whose test answers with a sentence, dies, or is not through after
 * `timeout_ns`. None of the children is left afterwards. `reap_fd` is of reap_open; no other child
 * may be running. */
void selftest_run(struct registry *r, int reap_fd, uint64_t timeout_ns);

#endif
