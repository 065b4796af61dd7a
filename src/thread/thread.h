/*
 * F1. Threads with a name that top and gdb show, and all signals blocked: signals are main's.
 */
#ifndef THREAD_THREAD_H
#define THREAD_THREAD_H

#include <pthread.h>

struct thread {
    pthread_t handle;
};

/* Starts `run(arg)`; the name is at most 15 bytes. 0 or negative errno. */
int thread_start(struct thread *t, const char *name, void *(*run)(void *), void *arg);

/* Waits for its end. */
void thread_join(struct thread *t);

/* Names the calling thread, for threads that a library started. */
void thread_set_name(const char *name);

/* For a calling thread that works for microseconds at a time: when it wakes it runs before those that compute,
 * where the system can be told (Linux 6.12). Does nothing elsewhere. */
void thread_be_prompt(void);

/* Spares the calling thread what the C library does around each call that may wait, so that it could be cancelled there.
 * Afterwards pthread_cancel does nothing to it. */
void thread_forgo_cancellation(void);

#endif
