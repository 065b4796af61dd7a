/*
 * F4b, pure. What one run of the kernel lab has answered, and the report made of all of them.
 */
#ifndef LAB_FOUND_H
#define LAB_FOUND_H

#include "lab/advice.h"

/* What is in an answer. */
struct lab_found {
    double wall_s, cpu_s;
    uint64_t result, expected, switches;
    json_t *root; /* held; the two that follow are in it */
    const char *note;
    json_t *lanes;
};

/* -EINVAL when it is no such answer: it comes from a program, so nothing in it is believed. Else json_decref(root). */
int lab_found_read(const void *data, size_t bytes, struct lab_found *ret);

void lab_figures_add(struct lab_figures *f, const struct lab_found *found);

/* What a lab knows when it is through. */
struct lab_findings {
    const struct lab_spec *spec;
    const struct lab_plan *plan;
    const struct lab_figures *all; /* by mode */
    const struct lab_found
        *typical; /* by mode: the run that lab_typical chose; root NULL: not kept */
    const struct lab_facts *facts;
    const char *python,
        *why_no_python; /* its version, or NULL; why its modes are left out, or NULL */
    unsigned left_out;  /* modes, as bits */
};

/* {"experiment","n","workers","repeat","seed","order","left_out"}. The caller's; NULL when out of memory. */
json_t *lab_plan_json(const struct lab_findings *f);

/* The same with "machine" (as far as it is known here), "runs" and "advice". */
json_t *lab_report_json(const struct lab_findings *f);

#endif
