#include "live/streams.h"

#include "http/response.h"
#include "jobs/json.h"
#include "live/live.h"

void streams_post(struct listeners *all, const char *event, const char *text)
{
    struct listener *l;

    STAILQ_FOREACH (l, all, link) {
        if (stream_waiting(l->stream) <= LIVE_BEHIND_BYTES_MAX)
            (void)stream_post(l->stream, event, 0, text, strlen(text));
    }
}

unsigned streams_sweep(struct listeners *all)
{
    struct listeners stay = STAILQ_HEAD_INITIALIZER(stay);
    struct listener *l;
    unsigned gone = 0;

    while ((l = STAILQ_FIRST(all)) != NULL) {
        STAILQ_REMOVE_HEAD(all, link);
        if (!stream_is_gone(l->stream)) {
            STAILQ_INSERT_TAIL(&stay, l, link);
            continue;
        }
        stream_end(l->stream, NULL, 0, NULL, 0);
        free(l);
        gone++;
    }
    STAILQ_CONCAT(all, &stay);
    return gone;
}

unsigned streams_end(struct listeners *all)
{
    json_t *json = problem_object(PROBLEM_DRAINING, NULL,
                                  "The server is shutting down. Come back in a second.");
    CLEANUP_FREE char *text = json == NULL ? NULL : json_write(json, NULL);
    const char *said = text == NULL ? "{}" : text;
    struct listener *l;
    unsigned ended = 0;

    json_decref(json);
    while ((l = STAILQ_FIRST(all)) != NULL) {
        STAILQ_REMOVE_HEAD(all, link);
        stream_end(l->stream, "draining", 0, said, strlen(said));
        free(l);
        ended++;
    }
    return ended;
}
