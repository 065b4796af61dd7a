/*
 * F4, behind the wall. The only fork of the whole tree. Uses base; knows nothing of what the child
 * will do.
 */
#ifndef ZYGOTE_SPAWN_H
#define ZYGOTE_SPAWN_H

#include <sys/types.h>

/* Forks a child that runs `run(arg)`, which must end the process. The child begins with every
 * signal blocked and the zygote's handlers, descriptors and process group: leaving them is its
 * first business. The pid, which stays this child's until it is waited for, or negative errno. */
pid_t spawn_child(void (*run)(void *arg), void *arg);

#endif
