-- BENCH_BODY is JSON to post.
local body = os.getenv("BENCH_BODY")
if body then
    wrk.method, wrk.body, wrk.headers["Content-Type"] = "POST", body, "application/json"
end

-- wrk prints for people and rounds; this prints what it knows, in microseconds, as one line of JSON.
function done(summary, latency, requests)
    local e = summary.errors
    io.write(string.format(
        'bench {"requests": %d, "bytes": %d, "us": %d, "p50_us": %d, "p99_us": %d, "errors": %d, "refused": %d}\n',
        summary.requests, summary.bytes, summary.duration, latency:percentile(50), latency:percentile(99),
        e.connect + e.read + e.write + e.timeout, e.status))
end
