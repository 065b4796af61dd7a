#include "thread/thread.h"

#include <signal.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/check.h"

enum { SLICE_NS = 100 * 1000 }; /* the shortest there is */

int thread_start(struct thread *t, const char *name, void *(*run)(void *), void *arg)
{
    sigset_t all, before;
    int rc;

    (void)sigfillset(&all);
    CHECK(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
    rc = pthread_create(&t->handle, NULL, run, arg);
    CHECK(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    if (rc != 0)
        return -rc;
    (void)pthread_setname_np(t->handle, name);
    return 0;
}

/* The first version of the system's struct sched_attr, whose header cannot be had together with glibc's. */
struct schedule {
    uint32_t size;
    uint32_t policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime_ns; /* for an ordinary thread: the slice that it asks for */
    uint64_t deadline_ns;
    uint64_t period_ns;
};
static_assert(sizeof(struct schedule) == 48, "as the system knows it");

/* A thread with a short slice preempts one with a longer one. glibc has no call for it. */
void thread_be_prompt(void)
{
    struct schedule attr = {
        .size = sizeof(attr),
        .policy = SCHED_OTHER,
        .nice = getpriority(PRIO_PROCESS, 0),
        .runtime_ns = SLICE_NS,
    };

    (void)syscall(SYS_sched_setattr, 0, &attr, 0);
}

/* Around each call that may wait, the C library lets a thread be cancelled and then forbids it again, by two locked
 * instructions, but not where a thread may be cancelled at any time. */
void thread_forgo_cancellation(void)
{
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    (void)pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
}

void thread_join(struct thread *t)
{
    CHECK(pthread_join(t->handle, NULL) == 0);
}

void thread_set_name(const char *name)
{
    (void)pthread_setname_np(pthread_self(), name);
}
