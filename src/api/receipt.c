#include "api/receipt.h"

static double to_ms(uint64_t ns)
{
    return (double)(ns / 1000) / 1000.0;
}

json_t *receipt_json(const struct job_receipt *rc)
{
    json_t *json = json_pack("{s:f, s:f, s:f, s:i, s:i, s:i, s:i}", "wait_ms", to_ms(rc->wait_ns),
                             "run_ms", to_ms(rc->run_ns), "cpu_ms", to_ms(rc->cpu_ns), "max_rss_kb",
                             (int)rc->max_rss_kb, "chunks", (int)rc->chunks, "retries",
                             (int)rc->retries, "workers", (int)rc->workers);

    if (json != NULL && rc->missing > 0)
        (void)json_object_set_new(json, "missing", json_integer(rc->missing));
    return json;
}

/* Every answer has two such headers, so they are put together without printf. */
struct line {
    char text[256];
    size_t n;
};

static void put_text(struct line *l, const char *text)
{
    while (*text != '\0' && l->n < sizeof(l->text) - 1)
        l->text[l->n++] = *text++;
    l->text[l->n] = '\0';
}

static void put_number(struct line *l, const char *name, uint64_t value)
{
    char digits[24];
    size_t at = sizeof(digits) - 1;

    digits[at] = '\0';
    do
        digits[--at] = (char)('0' + value % 10);
    while ((value /= 10) > 0);
    put_text(l, name);
    put_text(l, digits + at);
}

/* Milliseconds with three decimals. */
static void put_ms(struct line *l, const char *name, uint64_t ns)
{
    uint64_t us = ns / 1000 % 1000;
    const char decimals[] = {'.', (char)('0' + us / 100), (char)('0' + us / 10 % 10),
                             (char)('0' + us % 10), '\0'};

    put_number(l, name, ns / 1000000);
    put_text(l, decimals);
}

void receipt_add(struct request *r, const char *job, const struct job_receipt *rc)
{
    struct line timing, receipt;

    timing.n = receipt.n = 0;

    put_ms(&timing, "queue;dur=", rc->wait_ns);
    put_ms(&timing, ", run;dur=", rc->run_ns);
    put_ms(&timing, ", cpu;dur=", rc->cpu_ns);
    put_ms(&receipt, "wait_ms=", rc->wait_ns);
    put_ms(&receipt, ", run_ms=", rc->run_ns);
    put_ms(&receipt, ", cpu_ms=", rc->cpu_ns);
    put_number(&receipt, ", max_rss_kb=", rc->max_rss_kb);
    put_number(&receipt, ", chunks=", rc->chunks);
    put_number(&receipt, ", retries=", rc->retries);
    put_number(&receipt, ", workers=", rc->workers);
    if (rc->missing > 0)
        put_number(&receipt, ", missing=", rc->missing);
    respond_header(r, "Prong-Job", job);
    respond_header(r, "Server-Timing", timing.text);
    respond_header(r, "Prong-Receipt", receipt.text);
}
