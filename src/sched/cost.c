#include "sched/cost.h"

#include <math.h>

#include "base/clock.h"

/* Shorter runs are mostly the cost of handing out. */
static const uint64_t units_run_ns_min = 50 * CLOCK_NS_PER_US;

static double mean_with(double mean, double sample)
{
    return mean + 0.2 * (sample - mean);
}

static uint64_t whole_ns(double ns)
{
    return ns >= (double)INT64_MAX ? INT64_MAX : (uint64_t)ns;
}

void cost_add_start(struct cost *c, uint64_t run_ns)
{
    double sample = (double)run_ns;

    if (sample >= c->start_ns)
        c->start_ns = sample;
    else
        c->start_ns -= 0.02 * (c->start_ns - sample);
    c->starts++;
}

void cost_add_units(struct cost *c, uint64_t units, double unit_cost, uint64_t run_ns)
{
    double sample = (double)run_ns / ((double)units * (unit_cost == 0 ? 1.0 : unit_cost));
    bool is_rough = run_ns < units_run_ns_min;

    /* unit_cost is what a worker said. */
    if (!isfinite(sample) || sample <= 0)
        return;
    if (c->ns_per_cost == 0 || (c->is_rough && !is_rough)) {
        c->ns_per_cost = sample;
        c->is_rough = is_rough;
    } else if (!is_rough) {
        c->ns_per_cost = mean_with(c->ns_per_cost, sample);
    }
}

void cost_add_job(struct cost *c, uint64_t cpu_ns)
{
    c->job_cpu_ns = c->jobs == 0 ? (double)cpu_ns : mean_with(c->job_cpu_ns, (double)cpu_ns);
    c->jobs++;
}

uint64_t cost_start_ns(const struct cost *c)
{
    return c->starts == 0 ? COST_UNKNOWN_NS : whole_ns(c->start_ns);
}

uint64_t cost_job_ns(const struct cost *c)
{
    return c->jobs == 0 ? COST_UNKNOWN_NS : whole_ns(c->job_cpu_ns);
}

bool cost_is_short(const struct cost *c)
{
    return c->starts >= COST_EXPRESS_RUNS_MIN && cost_start_ns(c) <= COST_EXPRESS_NS_MAX;
}
