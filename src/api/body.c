#include "api/api.h"
#include "jobs/json.h"

json_t *api_json_body(struct request *r, const char *absent)
{
    char media_type[64];
    struct json_problem problem;
    json_t *json;

    if (r->body_bytes == 0 && absent != NULL)
        return json_read(absent, strlen(absent), &problem);
    request_media_type(r, media_type, sizeof(media_type));
    if (strcmp(media_type, "application/json") != 0) {
        respond_problem(r, PROBLEM_UNSUPPORTED_MEDIA_TYPE, NULL,
                        "Send JSON with the header Content-Type: application/json (curl --json).");
        return NULL;
    }
    json = json_read(r->body.size == 0 ? "" : r->body.data, r->body.size, &problem);
    if (json == NULL)
        respond_problem(r, PROBLEM_BAD_JSON,
                        json_pack("{s:i, s:i}", "line", problem.line, "column", problem.column),
                        "%s", problem.text);
    return json;
}
