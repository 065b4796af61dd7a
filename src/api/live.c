#include <math.h>

#include "api/api.h"
#include "base/buf.h"
#include "http/stream.h"

enum { NUMBER_BYTES_MAX = 24, RETRY_MS = 1000 };

void api_events(struct request *r)
{
    struct live *live = api_of(r)->live;
    struct stream *s;

    if (!live_enter(live)) {
        respond_problem(r, PROBLEM_EVENTS_FULL, NULL,
                        "As many pages listen as may (--event-streams). Close one of them, or ask "
                        "GET /status now and then.");
        respond_header(r, "Retry-After", "5");
        return;
    }
    s = stream_open(r);
    if (s == NULL) {
        live_leave(live);
        return;
    }
    stream_retry(s, RETRY_MS);
    respond_header(r, "Cache-Control", "no-store");
    live_join(live, s);
}

static bool find_span(const char *text, enum history_span *ret)
{
    for (int s = 0; s < HISTORY_SPAN_COUNT; s++) {
        if (strcmp(history_span_names[s], text) == 0) {
            *ret = (enum history_span)s;
            return true;
        }
    }
    return false;
}

static void put_times(struct buf *b, const struct history_point *points, size_t count)
{
    (void)buf_add_text(b, "\"t\":[");
    for (size_t i = 0; i < count; i++)
        (void)buf_printf(b, "%s%llu", i == 0 ? "" : ",", (unsigned long long)points[i].t);
    (void)buf_add_text(b, "]");
}

static void put_column(struct buf *b, int column, const struct history_point *points, size_t count)
{
    (void)buf_printf(b, ",\"%s\":[", history_column_names[column]);
    for (size_t i = 0; i < count; i++) {
        double value = points[i].values[column];
        if (isnan(value))
            (void)buf_printf(b, "%snull", i == 0 ? "" : ",");
        else
            (void)buf_printf(b, "%s%.10g", i == 0 ? "" : ",", round(value * 1000) / 1000);
    }
    (void)buf_add_text(b, "]");
}

void api_history(struct request *r)
{
    const char *asked = request_query(r, "span");
    struct history_point points[HISTORY_POINTS_MAX];
    enum history_span span = HISTORY_5M;
    struct buf b;
    size_t count, bytes;

    if (asked != NULL && !find_span(asked, &span)) {
        respond_problem(r, PROBLEM_BAD_PARAMETER, json_pack("{s:s}", "parameter", "span"),
                        "span must be 5m, 1h or 24h.");
        return;
    }
    count = live_history(api_of(r)->live, span, points);
    buf_init(&b, (HISTORY_COLUMN_COUNT + 2) * (HISTORY_POINTS_MAX + 1) * NUMBER_BYTES_MAX);
    (void)buf_printf(&b, "{\"span\":\"%s\",\"step_s\":%u,\"columns\":{", history_span_names[span],
                     history_step_s[span]);
    put_times(&b, points, count);
    for (int c = 0; c < HISTORY_COLUMN_COUNT; c++)
        put_column(&b, c, points, count);
    (void)buf_add_text(&b, "}}\n");
    if (buf_failed(&b) < 0) {
        buf_release(&b);
        respond_problem(r, PROBLEM_NO_ROOM, NULL, "There is no memory for this. Ask again later.");
        return;
    }
    bytes = b.size;
    respond_bytes(r, 200, "application/json", buf_take(&b), bytes);
}
