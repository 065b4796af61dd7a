#include <errno.h>

#include "api/jobs.h"
#include "base/parse.h"
#include "jobs/json.h"

/* The cursor is the place of the last job of a page; a letter in front says that it is no number to count with. */
enum { CURSOR_BYTES = 24, CURSOR_LETTER = 'j' };

static bool bad_parameter(struct request *r, const char *name, const char *expected)
{
    respond_problem(r, PROBLEM_BAD_PARAMETER, json_pack("{s:s}", "parameter", name),
                    "Parameter %s must be %s.", name, expected);
    return false;
}

static int check_name(void *arg, const char *name, const char *value)
{
    static const char *const known[] = {"state", "kernel", "limit", "after"};
    struct request *r = arg;

    (void)value;
    for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
        if (strcmp(name, known[i]) == 0)
            return 0;
    }
    respond_problem(r, PROBLEM_BAD_PARAMETER, json_pack("{s:s}", "parameter", name),
                    "There is no parameter of this name: use state, kernel, limit or after.");
    return -EINVAL;
}

static bool read_state(struct request *r, struct store_filter *filter)
{
    const char *text = request_query(r, "state");

    filter->state = -1;
    for (int i = 0; text != NULL && i < RECORD_STATE_COUNT; i++) {
        if (strcmp(text, record_state_names[i]) == 0)
            filter->state = i;
    }
    return text == NULL || filter->state >= 0 ||
           bad_parameter(r, "state", "queued, running, succeeded, failed, dead or cancelled");
}

/* It need not be there any more. */
static bool read_kernel(struct request *r, struct store_filter *filter)
{
    filter->kernel = request_query(r, "kernel");
    return filter->kernel == NULL || parse_name(filter->kernel, PRONG_NAME_MAX) == 0 ||
           bad_parameter(r, "kernel", "the name of a kernel");
}

static bool read_limit(struct request *r, size_t *ret)
{
    const char *text = request_query(r, "limit");
    uint64_t limit = JOBS_PAGE_DEFAULT;
    char expected[64];

    (void)snprintf(expected, sizeof(expected), "an integer from 1 to %d", STORE_LIST_MAX);
    if (text != NULL && (parse_u64(text, &limit) < 0 || limit == 0 || limit > STORE_LIST_MAX))
        return bad_parameter(r, "limit", expected);
    *ret = (size_t)limit;
    return true;
}

static bool read_after(struct request *r, struct store_filter *filter)
{
    const char *text = request_query(r, "after");

    if (text == NULL || (text[0] == CURSOR_LETTER && parse_u64(text + 1, &filter->before) == 0 &&
                         filter->before > 0))
        return true;
    return bad_parameter(r, "after", "the \"next\" of an earlier page");
}

static json_t *next_json(const struct record *last)
{
    char cursor[CURSOR_BYTES];

    (void)snprintf(cursor, sizeof(cursor), "%c%llu", CURSOR_LETTER, (unsigned long long)last->seq);
    return json_string(cursor);
}

static json_t *page_json(struct api *api, const struct record *records, size_t n)
{
    json_t *jobs = json_array();
    struct jobs_view view;

    for (size_t i = 0; i < n; i++) {
        jobs_view(api, &records[i], false, &view);
        (void)json_array_append_new(jobs, jobs_json(&view));
    }
    return jobs;
}

void api_jobs_list(struct request *r)
{
    CLEANUP_FREE struct record *records = NULL;
    struct store_filter filter = {.before = 0};
    struct api *api = api_of(r);
    json_t *page;
    size_t limit = 0, bytes;
    char *text;
    int n;

    if (request_each_query(r, check_name, r) < 0 || !read_state(r, &filter) ||
        !read_kernel(r, &filter) || !read_limit(r, &limit) || !read_after(r, &filter))
        return;
    records = malloc(limit * sizeof(*records));
    n = records == NULL ? -ENOMEM : store_list(api->store, &filter, limit, records);
    if (n < 0) {
        jobs_refuse(r, n);
        return;
    }
    page = json_pack("{s:o, s:o}", "jobs", page_json(api, records, (size_t)n), "next",
                     (size_t)n == limit ? next_json(&records[n - 1]) : json_null());
    text = page == NULL ? NULL : json_write(page, &bytes);
    json_decref(page);
    if (text == NULL)
        jobs_refuse(r, -ENOMEM);
    else
        respond_bytes(r, 200, "application/json", text, bytes);
}
