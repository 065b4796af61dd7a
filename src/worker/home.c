#include "worker/home.h"

#include <sched.h>

void home_settle(int cpu)
{
    cpu_set_t only;

    if (cpu < 0 || cpu >= CPU_SETSIZE)
        return;
    CPU_ZERO(&only);
    CPU_SET((size_t)cpu, &only);
    (void)sched_setaffinity(0, sizeof(only), &only);
}
