/*
 * F4, behind the wall. What the zygote tells prong before it is asked anything: who it is, and
 * which kernels it has, and has not. Uses kernel, ipc and base. All functions: 0, or what chan_send failed with
 * (-EPIPE: prong is gone).
 */
#ifndef ZYGOTE_ANNOUNCE_H
#define ZYGOTE_ANNOUNCE_H

#include "kernel/refusals.h"
#include "kernel/registry.h"

/* HELLO, before anything that takes time, so that prong knows soon that the builds match. */
int announce_hello(int fd);

/* LOADING: READY comes within `ns`. */
int announce_loading(int fd, uint64_t ns);

/* One KERNEL for each, in the order of their indices, one REFUSED for each, then READY. */
int announce_kernels(int fd, const struct registry *r, const struct refusals *refused);

#endif
