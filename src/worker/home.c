#include "worker/home.h"

void home_init(struct home *h, int cpu)
{
    h->cpu = -1;
    if (cpu >= 0 && cpu < CPU_SETSIZE &&
        sched_getaffinity(0, sizeof(h->allowed), &h->allowed) == 0 &&
        CPU_ISSET((size_t)cpu, &h->allowed) && CPU_COUNT(&h->allowed) > 1)
        h->cpu = cpu;
}

void home_return(const struct home *h)
{
    cpu_set_t only;

    if (h->cpu < 0 || sched_getcpu() == h->cpu)
        return;
    CPU_ZERO(&only);
    CPU_SET((size_t)h->cpu, &only);
    if (sched_setaffinity(0, sizeof(only), &only) == 0)
        (void)sched_setaffinity(0, sizeof(h->allowed), &h->allowed);
}
