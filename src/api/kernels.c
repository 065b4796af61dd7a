#include <errno.h>

#include "api/api.h"

/* A reload that a request waits for, parked. */
struct waiting {
    struct sched_reload reload;
    struct request *r;
};

static void release(struct request *r)
{
    free(r->context);
}

/* What goes on to be served. */
static json_t *names_json(struct api *api)
{
    const struct kernel *served[PROTO_KERNELS_MAX];
    unsigned count = catalog_list(sched_catalog(api->sched), served);
    json_t *names = json_array();

    for (unsigned i = 0; i < count; i++) {
        (void)json_array_append_new(names, json_string(served[i]->about->name));
        (void)kernel_drop(served[i]);
    }
    return names;
}

static void refuse(struct request *r, const struct sched_reload *reload)
{
    json_t *extra;

    if (reload->rc == -ECANCELED) {
        respond_problem(r, PROBLEM_DRAINING, NULL, "%s", reload->text);
        return;
    }
    extra = json_pack("{s:I, s:o}", "generation", (json_int_t)reload->generation, "kernels",
                      names_json(api_of(r)));
    if (reload->rc == -EBUSY) {
        respond_problem(r, PROBLEM_RELOADING, extra,
                        "%s Ask again when GET /status shows no reload.", reload->text);
        respond_header(r, "Retry-After", "1");
        return;
    }
    respond_problem(r, PROBLEM_RELOAD_FAILED, extra, "%s What was served before is served on.",
                    reload->text);
}

static json_t *changed_json(const struct catalog_change *change, enum catalog_fate fate)
{
    json_t *names = json_array();

    for (size_t i = 0; i < change->count; i++) {
        if (change->kernels[i].fate == fate)
            (void)json_array_append_new(names, json_string(change->kernels[i].name));
    }
    return names;
}

static void add_refusal(void *array, const char *file, const char *reason)
{
    (void)json_array_append_new(array, json_pack("{s:s, s:s}", "file", file, "reason", reason));
}

/* What cannot be used, though it takes no other's place. */
static json_t *refused_json(struct api *api, const struct catalog_change *change)
{
    json_t *refused = json_array();

    for (size_t i = 0; i < change->count; i++) {
        if (change->kernels[i].fate != CATALOG_REMOVED && *change->kernels[i].broken != '\0')
            (void)json_array_append_new(refused,
                                        json_pack("{s:s, s:s}", "kernel", change->kernels[i].name,
                                                  "reason", change->kernels[i].broken));
    }
    catalog_tell_refusals(sched_catalog(api->sched), add_refusal, refused);
    return refused;
}

static void answer(struct request *r)
{
    const struct waiting *w = r->context;
    const struct catalog_change *change = &w->reload.change;

    if (w->reload.rc < 0) {
        refuse(r, &w->reload);
        return;
    }
    respond_json(r, 200,
                 json_pack("{s:I, s:o, s:o, s:o, s:o, s:o}", "generation",
                           (json_int_t)w->reload.generation, "kernels", names_json(api_of(r)),
                           "changed", changed_json(change, CATALOG_CHANGED), "added",
                           changed_json(change, CATALOG_ADDED), "removed",
                           changed_json(change, CATALOG_REMOVED), "refused",
                           refused_json(api_of(r), change)));
}

static void decided(struct sched_reload *reload)
{
    const struct waiting *w = reload->owner;

    request_unpark(w->r);
}

void api_kernels_reload(struct request *r)
{
    struct waiting *w = calloc(1, sizeof(*w));

    if (w == NULL) {
        respond_problem(r, PROBLEM_NO_ROOM, NULL, "There is no memory for this. Ask again later.");
        return;
    }
    r->context = w;
    r->release = release;
    w->r = r;
    w->reload.done = decided;
    w->reload.owner = w;
    /* Parked before it is asked for: it may be decided before this returns. */
    if (!request_park(r, answer)) {
        w->reload.rc = -ECANCELED;
        (void)snprintf(w->reload.text, sizeof(w->reload.text), "The server is shutting down.");
        refuse(r, &w->reload);
        return;
    }
    if (sched_reload(api_of(r)->sched, &w->reload) < 0)
        request_unpark(r);
}
