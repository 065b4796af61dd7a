#include <string.h>

#include "api/docs/internal.h"

/* The files beside this one are part of the program, as they are. Paths begin where make is called. */
#define EMBED(name, file)                                                                          \
    __asm__(".section .rodata\n"                                                                   \
            ".type " #name ", @object\n" #name ":\n"                                               \
            ".incbin \"src/api/docs/" file "\"\n" #name "_end:\n"                                  \
            ".size " #name ", . - " #name "\n"                                                     \
            ".previous\n");                                                                        \
    extern const char name[] __attribute__((visibility("hidden")));                                \
    extern const char name##_end[] __attribute__((visibility("hidden")))

EMBED(docs_parameters, "parameters.json");
EMBED(docs_bodies, "bodies.json");
EMBED(docs_responses, "responses.json");
EMBED(docs_headers, "headers.json");
EMBED(docs_schemas, "schemas.json");

static const struct {
    const char *kind, *text, *end;
} written[] = {
    {"schemas", docs_schemas, docs_schemas_end},
    {"parameters", docs_parameters, docs_parameters_end},
    {"requestBodies", docs_bodies, docs_bodies_end},
    {"responses", docs_responses, docs_responses_end},
    {"headers", docs_headers, docs_headers_end},
};

json_t *docs_written(const char *kind)
{
    size_t i = 0;
    json_error_t error;
    json_t *json;

    while (strcmp(written[i].kind, kind) != 0) {
        i++;
        CHECK(i < ARRAY_SIZE(written));
    }
    json = json_loadb(written[i].text, (size_t)(written[i].end - written[i].text),
                      JSON_REJECT_DUPLICATES, &error);
    CHECK(json != NULL || json_error_code(&error) == json_error_out_of_memory);
    return json;
}
