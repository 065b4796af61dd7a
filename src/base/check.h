/*
 * Ground floor. Failures that are our own bug, and the ownership idiom.
 *
 * CHECK stays on in release: a server that goes on after its own invariant broke gives wrong answers.
 * Never CHECK what a client, a worker or the machine can cause; return an error there.
 */
#ifndef BASE_CHECK_H
#define BASE_CHECK_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/banned.h"

#define CHECK(expr) ((expr) ? (void)0 : check_failed(#expr, __FILE__, __LINE__))

/* Says what broke on standard error and aborts. */
_Noreturn void check_failed(const char *expr, const char *file, int line);

#define ARRAY_SIZE(a)     (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b)         ((a) < (b) ? (a) : (b))
#define MAX(a, b)         ((a) > (b) ? (a) : (b))
#define UNUSED            __attribute__((unused))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))

/* A pointer to the struct that holds this member. */
#define CONTAINER_OF(ptr, type, member) ((type *)((uintptr_t)(ptr)-offsetof(type, member)))

static inline void check_close_fd(const int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
}

static inline void check_free_ptr(void *ptr)
{
    free(*(void **)ptr);
}

/* Locals that clean up after themselves; hand over with take_fd and take_ptr. */
#define CLEANUP_FD   __attribute__((cleanup(check_close_fd)))
#define CLEANUP_FREE __attribute__((cleanup(check_free_ptr)))

static inline int take_fd(int *fd)
{
    int taken = *fd;
    *fd = -1;
    return taken;
}

#define take_ptr(ptr)                                                                              \
    ({                                                                                             \
        __typeof__(ptr) taken_ = (ptr);                                                            \
        (ptr) = NULL;                                                                              \
        taken_;                                                                                    \
    })

#endif
