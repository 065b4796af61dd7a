#include "lab/found.h"

#include <errno.h>
#include <math.h>

#include "base/check.h"

/* ---- one answer ---- */

static int take_seconds(json_t *root, const char *name, double *ret)
{
    json_t *value = json_object_get(root, name);
    double given = json_number_value(value);

    if (!json_is_number(value) || !isfinite(given) || given < 0)
        return -EINVAL;
    *ret = given;
    return 0;
}

static int take_count(json_t *root, const char *name, uint64_t *ret)
{
    json_t *value = json_object_get(root, name);

    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return -EINVAL;
    *ret = (uint64_t)json_integer_value(value);
    return 0;
}

static int take_all(json_t *root, struct lab_found *found)
{
    int rc = take_seconds(root, "wall_s", &found->wall_s);

    if (rc == 0)
        rc = take_seconds(root, "cpu_s", &found->cpu_s);
    if (rc == 0)
        rc = take_count(root, "result", &found->result);
    if (rc == 0)
        rc = take_count(root, "expected", &found->expected);
    if (rc == 0)
        rc = take_count(root, "switches", &found->switches);
    found->note = json_string_value(json_object_get(root, "note"));
    found->lanes = json_object_get(root, "lanes");
    if (rc == 0 && (found->note == NULL || !json_is_array(found->lanes) ||
                    json_array_size(found->lanes) > LAB_WORKERS_MAX))
        rc = -EINVAL;
    return rc;
}

/* Not by json_read: sums may be larger than a double can tell apart. */
int lab_found_read(const void *data, size_t bytes, struct lab_found *ret)
{
    struct lab_found found = {.root = json_loadb(data, bytes, JSON_REJECT_DUPLICATES, NULL)};
    int rc = found.root == NULL ? -EINVAL : take_all(found.root, &found);

    if (rc < 0)
        json_decref(found.root);
    else
        *ret = found;
    return rc;
}

void lab_figures_add(struct lab_figures *f, const struct lab_found *found)
{
    CHECK(f->count < LAB_REPEAT_MAX);
    f->wall_s[f->count] = found->wall_s;
    f->cpu_s[f->count] = found->cpu_s;
    f->results[f->count] = found->result;
    f->switches[f->count] = found->switches;
    f->expected = found->expected;
    f->count++;
}

/* ---- the report ---- */

static json_t *order_json(const struct lab_plan *plan)
{
    json_t *order = json_array();

    for (unsigned i = 0; i < plan->count; i++)
        (void)json_array_append_new(order, json_pack("[s, i]", lab_mode_names[plan->steps[i].mode],
                                                     (int)plan->steps[i].repeat));
    return order;
}

static json_t *left_out_json(const struct lab_findings *f)
{
    json_t *list = json_array();

    for (int mode = 0; mode < LAB_MODE_COUNT; mode++) {
        if ((f->left_out & LAB_MODE_BIT(mode)) != 0)
            (void)json_array_append_new(list, json_pack("{s:s, s:s}", "mode", lab_mode_names[mode],
                                                        "why", f->why_no_python));
    }
    return list;
}

json_t *lab_plan_json(const struct lab_findings *f)
{
    const struct lab_spec *spec = f->spec;

    return json_pack(
        "{s:s, s:I, s:i, s:i, s:I, s:o, s:o}", "experiment", lab_experiment_names[spec->experiment],
        "n", (json_int_t)spec->n, "workers", (int)spec->workers, "repeat", (int)spec->repeat,
        "seed", (json_int_t)spec->seed, "order", order_json(f->plan), "left_out", left_out_json(f));
}

static json_t *seconds_json(const double *values, unsigned count)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < count; i++)
        (void)json_array_append_new(list, json_real(values[i]));
    return list;
}

static json_t *counts_json(const uint64_t *values, unsigned count)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < count; i++)
        (void)json_array_append_new(list, json_integer((json_int_t)values[i]));
    return list;
}

static json_t *positive_or_null(double value)
{
    return value > 0 ? json_real(value) : json_null();
}

static json_t *run_json(const struct lab_findings *f, enum lab_mode mode)
{
    const struct lab_figures *figures = &f->all[mode];
    const struct lab_found *typical = &f->typical[mode];
    double ideal = lab_ideal(f->spec, mode, f->facts->cores, f->facts->python_has_lock);
    uint64_t result = lab_worst_result(figures);
    json_t *json =
        json_pack("{s:s, s:o, s:o, s:f, s:I, s:I, s:b, s:o, s:s, s:O?}", "mode",
                  lab_mode_names[mode], "wall_s", seconds_json(figures->wall_s, figures->count),
                  "cpu_s", seconds_json(figures->cpu_s, figures->count), "median_s",
                  lab_median(figures->wall_s, figures->count), "result", (json_int_t)result,
                  "expected", (json_int_t)figures->expected, "exact", result == figures->expected,
                  "results", counts_json(figures->results, figures->count), "note",
                  typical->root == NULL ? "" : typical->note, "lanes", typical->lanes);

    if (json == NULL)
        return NULL;
    (void)json_object_set_new(json, "speedup",
                              positive_or_null(lab_speedup(f->spec->experiment, mode, f->all)));
    (void)json_object_set_new(json, "ideal", positive_or_null(ideal));
    (void)json_object_set_new(json, "typical", json_integer(lab_typical(figures)));
    if (mode == LAB_GIL)
        (void)json_object_set_new(json, "switches", counts_json(figures->switches, figures->count));
    return json;
}

static json_t *runs_json(const struct lab_findings *f)
{
    json_t *runs = json_array();

    for (int mode = 0; mode < LAB_MODE_COUNT; mode++) {
        if (f->all[mode].count > 0)
            (void)json_array_append_new(runs, run_json(f, (enum lab_mode)mode));
    }
    return runs;
}

json_t *lab_report_json(const struct lab_findings *f)
{
    json_t *report = lab_plan_json(f);
    struct lab_advice advice;

    if (report == NULL)
        return NULL;
    lab_advise(f->spec, f->all, f->facts, &advice);
    (void)json_object_set_new(report, "machine",
                              json_pack("{s:f, s:s?, s:f}", "ceiling", f->facts->cores, "python",
                                        f->python, "background_cores", f->facts->background_cores));
    (void)json_object_set_new(report, "runs", runs_json(f));
    (void)json_object_set_new(
        report, "advice",
        json_pack("{s:s, s:s}", "headline", advice.headline, "text", advice.text));
    return report;
}
