/*
 * F4b, pure. What the figures of a lab say, in words: every sentence comes from a figure that was measured, and none is
 * said about a mode that did not run.
 */
#ifndef LAB_ADVICE_H
#define LAB_ADVICE_H

#include "lab/figures.h"

struct lab_facts {
    double cores;            /* that may be used: by affinity and quota */
    double background_cores; /* that others used meanwhile */
    bool python_has_lock;
};

struct lab_advice {
    char headline[120];
    char text[1200];
};

/* `all` is indexed by mode; where `count` is 0 the mode did not run. */
void lab_advise(const struct lab_spec *spec, const struct lab_figures *all,
                const struct lab_facts *facts, struct lab_advice *ret);

#endif
