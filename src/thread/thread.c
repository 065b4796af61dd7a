#include "thread/thread.h"

#include <signal.h>

#include "base/check.h"

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

void thread_join(struct thread *t)
{
    CHECK(pthread_join(t->handle, NULL) == 0);
}

void thread_set_name(const char *name)
{
    (void)pthread_setname_np(pthread_self(), name);
}
