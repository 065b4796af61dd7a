#include "api/api.h"
#include "jobs/params.h"

static json_t *describe(const struct kernel *k)
{
    const struct description *about = k->about;
    json_t *json = json_pack("{s:s, s:s, s:s, s:b, s:b, s:b, s:b, s:s, s:o}", "name", about->name,
                             "version", about->version, "summary", about->summary, "pure",
                             (about->flags & PRONG_PURE) != 0, "idempotent",
                             (about->flags & PRONG_IDEMPOTENT) != 0, "splittable", about->has_plan,
                             "takes_raw", about->takes_raw, "media_type", about->media_type,
                             "params", params_schema(about));
    char example[1200];

    (void)snprintf(example, sizeof(example), "/compute/%s%s%s", about->name,
                   *about->example == '\0' ? "" : "?", about->example);
    (void)json_object_set_new(json, "example", json_string(example));
    if (*about->broken != '\0')
        (void)json_object_set_new(json, "broken", json_string(about->broken));
    return json;
}

static void add_refusal(void *array, const char *file, const char *reason)
{
    (void)json_array_append_new(array, json_pack("{s:s, s:s}", "file", file, "reason", reason));
}

void api_catalog(struct request *r)
{
    struct catalog *catalog = sched_catalog(api_of(r)->sched);
    json_t *kernels = json_array(), *refused = json_array(), *answer;

    for (unsigned i = 0; i < atomic_load(&catalog->count); i++)
        (void)json_array_append_new(kernels, describe(catalog->kernels[i]));
    catalog_tell_refusals(catalog, add_refusal, refused);
    answer = json_pack("{s:o}", "kernels", kernels);
    if (json_array_size(refused) > 0)
        (void)json_object_set(answer, "refused", refused);
    json_decref(refused);
    respond_json(r, 200, answer);
}
