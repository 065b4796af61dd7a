#include "api/machine.h"

static const char *known(const char *text)
{
    return *text == '\0' ? NULL : text;
}

json_t *machine_json_of(const struct machine_facts *facts)
{
    json_t *json =
        json_pack("{s:i, s:i, s:s?, s:s?, s:I}", "cores", (int)facts->cores, "affinity",
                  (int)facts->affinity, "kernel", known(facts->kernel), "cpu_model",
                  known(facts->cpu_model), "memory_bytes", (json_int_t)facts->memory_bytes);

    if (json != NULL)
        (void)json_object_set_new(json, "quota",
                                  facts->quota > 0 ? json_real(facts->quota) : json_null());
    return json;
}

json_t *machine_json(void)
{
    struct machine_facts facts;

    machine_facts(&facts);
    return machine_json_of(&facts);
}
