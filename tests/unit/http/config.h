/*
 * For tests: what a server needs besides its routes, patient and without limits that matter.
 */
#ifndef TEST_HTTP_CONFIG_H
#define TEST_HTTP_CONFIG_H

#include "base/clock.h"
#include "http/server.h"

static inline struct server_config config_of(const struct route *routes, size_t count,
                                             unsigned threads, unsigned connections)
{
    const uint64_t patience_ns = 20 * CLOCK_NS_PER_S;

    return (struct server_config) {
        .listen = "127.0.0.1:0",
        .threads = threads,
        .connections = connections,
        .slow = {.header_ns = patience_ns,
                 .body_ns = patience_ns,
                 .answer_ns = patience_ns,
                 .idle_ns = patience_ns,
                 .bytes_per_s = 1},
        .hosts = "*",
        .bodies_max = 1 << 30,
        .target_bytes_max = 8192,
        .header_bytes_max = 16384,
        .headers_max = 100,
        .router = {.routes = routes, .count = count},
    };
}

#endif
