#include "lab/figures.h"

#include <math.h>
#include <string.h>

#include "base/check.h"

/* ---- the plan ---- */

/* splitmix64, whose constants these are: any seed gives a good sequence. */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

static void shuffle(struct lab_step *steps, unsigned count, uint64_t *state)
{
    for (unsigned i = count; i > 1; i--) {
        unsigned other = (unsigned)(next_random(state) % i);
        struct lab_step moved = steps[i - 1];
        steps[i - 1] = steps[other];
        steps[other] = moved;
    }
}

void lab_plan_make(const struct lab_spec *spec, struct lab_plan *ret)
{
    uint64_t state = spec->seed;

    ret->count = 0;
    for (unsigned repeat = 0; repeat <= spec->repeat; repeat++) {
        unsigned first = ret->count;
        for (int mode = 0; mode < LAB_MODE_COUNT; mode++) {
            if ((spec->modes & LAB_MODE_BIT(mode)) != 0)
                ret->steps[ret->count++] =
                    (struct lab_step) {.mode = (enum lab_mode)mode, .repeat = repeat};
        }
        if (repeat > 0)
            shuffle(ret->steps + first, ret->count - first, &state);
    }
}

uint64_t lab_warm_n(const struct lab_spec *spec)
{
    if (spec->experiment == LAB_IO)
        return MIN((uint64_t)spec->workers, spec->n);
    return MAX(spec->n / LAB_WARM_SHARE, (uint64_t)1);
}

/* ---- the figures ---- */

double lab_median(const double *values, unsigned count)
{
    double sorted[LAB_REPEAT_MAX] = {0};

    CHECK(count >= 1 && count <= LAB_REPEAT_MAX);
    for (unsigned i = 0; i < count; i++) {
        unsigned at = i;
        for (; at > 0 && sorted[at - 1] > values[i]; at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = values[i];
    }
    return (sorted[(count - 1) / 2] + sorted[count / 2]) / 2;
}

unsigned lab_typical(const struct lab_figures *f)
{
    double median = lab_median(f->wall_s, f->count);
    unsigned best = 0;

    for (unsigned i = 1; i < f->count; i++) {
        if (fabs(f->wall_s[i] - median) < fabs(f->wall_s[best] - median))
            best = i;
    }
    return best;
}

static uint64_t distance(uint64_t a, uint64_t b)
{
    return a > b ? a - b : b - a;
}

uint64_t lab_worst_result(const struct lab_figures *f)
{
    uint64_t worst = f->results[0];

    for (unsigned i = 1; i < f->count; i++) {
        if (distance(f->results[i], f->expected) > distance(worst, f->expected))
            worst = f->results[i];
    }
    return worst;
}

enum lab_mode lab_baseline(enum lab_experiment experiment, enum lab_mode mode)
{
    if (experiment != LAB_CPU && experiment != LAB_IO)
        return LAB_MODE_COUNT;
    return (LAB_MODE_BIT(mode) & LAB_PYTHON) != 0 ? LAB_PY_SEQUENTIAL : LAB_SEQUENTIAL;
}

double lab_speedup(enum lab_experiment experiment, enum lab_mode mode,
                   const struct lab_figures *all)
{
    enum lab_mode base = lab_baseline(experiment, mode);
    double own_s;

    if (base == LAB_MODE_COUNT || all[base].count == 0 || all[mode].count == 0)
        return 0;
    own_s = lab_median(all[mode].wall_s, all[mode].count);
    return own_s > 0 ? lab_median(all[base].wall_s, all[base].count) / own_s : 0;
}

double lab_ideal(const struct lab_spec *spec, enum lab_mode mode, double cores, bool has_lock)
{
    double workers = (double)MIN((uint64_t)spec->workers, spec->n);
    bool is_locked = mode == LAB_GIL || (mode == LAB_PY_THREADS && has_lock);

    if (lab_baseline(spec->experiment, mode) == LAB_MODE_COUNT)
        return 0;
    if (mode == LAB_SEQUENTIAL || mode == LAB_PY_SEQUENTIAL)
        return 1;
    if (spec->experiment == LAB_IO) /* the longest share decides */
        return (double)spec->n / ceil((double)spec->n / workers);
    return is_locked ? 1 : fmax(fmin(workers, cores), 1);
}

double lab_predict_s(const struct lab_spec *spec, const struct lab_figures *all)
{
    double share = (double)spec->n / (double)lab_warm_n(spec), total = 0;

    for (int mode = 0; mode < LAB_MODE_COUNT; mode++) {
        if ((spec->modes & LAB_MODE_BIT(mode)) != 0)
            total += all[mode].warm_s * share * spec->repeat;
    }
    return total;
}
