#include "lab/background.h"

#include <stdio.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/fd.h"

uint64_t background_busy_ns(const char *text)
{
    unsigned long long user, nice, system, idle, wait, irq, soft, steal;
    long per_s = sysconf(_SC_CLK_TCK);

    if (per_s <= 0 || sscanf(text, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &user, &nice,
                             &system, &idle, &wait, &irq, &soft, &steal) != 8)
        return 0;
    return (user + nice + system + irq + soft + steal) * (CLOCK_NS_PER_S / (uint64_t)per_s);
}

struct background_sample background_sample(void)
{
    struct background_sample s = {.at_ns = clock_now_ns()};
    char text[256];

    if (fd_read_file("/proc/stat", text, sizeof(text)) > 0)
        s.busy_ns = background_busy_ns(text);
    return s;
}

void background_add(struct background *b, struct background_sample from,
                    struct background_sample to, uint64_t own_cpu_ns)
{
    if (from.busy_ns == 0 || to.busy_ns < from.busy_ns)
        return;
    b->others_ns += to.busy_ns - from.busy_ns - MIN(own_cpu_ns, to.busy_ns - from.busy_ns);
    b->elapsed_ns += to.at_ns - from.at_ns;
}

double background_cores(const struct background *b)
{
    return b->elapsed_ns == 0 ? 0 : (double)b->others_ns / (double)b->elapsed_ns;
}
