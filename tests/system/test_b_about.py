"""What the server says of itself."""
import os
import re
from collections import Counter

import pytest
from conftest import assert_problem, is_alive, wait_until


@pytest.fixture
def s(shared_server):
    return shared_server.made[0] if shared_server.made else shared_server(workers=2)


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_probes(s, path):
    answer = s.get(path)
    assert (answer.status, answer.text) == (200, "ok\n")
    assert answer.headers["Content-Type"].startswith("text/plain")


@pytest.mark.parametrize("path", ["/livez?verbose", "/readyz?verbose"])
def test_verbose_probes_say_what_was_looked_at(s, path):
    lines = s.get(path).text.splitlines()
    assert lines[-1] == "ok" and len(lines) > 1
    assert all(line.startswith("[+] ") for line in lines[:-1])


def test_head_is_get_without_the_body(s):
    head, get = s.ask("HEAD", "/livez"), s.get("/livez")
    assert head.status == 200 and head.body == b""
    assert head.headers["Content-Length"] == get.headers["Content-Length"]


def test_status(s):
    st = s.status()
    assert re.fullmatch(r"\d+\.\d+\.\d+", st["version"])
    assert st["uptime"] > 0 and st["state"] == "ready"
    assert st["pid"] == s.pid and is_alive(st["zygote_pid"])
    assert Counter(w["kind"] for w in st["workers"]) == {"ordinary": 2, "express": 1}
    for w in st["workers"]:
        assert is_alive(w["pid"]) and w["state"] in ("idle", "busy")
        assert w["age"] >= 0 and w["tasks"] >= 0
    assert st["queue"] == {"high": 0, "normal": 0, "low": 0, "capacity": 1024}
    for which in ("http", "queue", "run"):
        assert 0 <= st["latency"][which]["p50_ms"] <= st["latency"][which]["p99_ms"]


def test_status_tells_the_memory_of_workers(s):
    wait_until(lambda: all(w["rss_bytes"] > 100000 for w in s.workers()), lambda: f"sizes: {s.workers()}")


def test_status_tells_who_does_what(s):
    running = s.later("GET", "/compute/sleep?seconds=1")
    s.wait_busy(1)
    (worker,) = s.busy()
    assert worker["kernel"] == "sleep" and worker["busy_ms"] >= 0
    assert s.status()["compute"]["running"] == 1
    assert worker["job"] == running.result().headers["Prong-Job"]


def test_every_answer_has_an_id_of_its_own(s):
    ids = [s.get(path).headers["X-Request-Id"] for path in ("/livez", "/livez", "/status", "/nope", "/compute/echo")]
    assert len(set(ids)) == 5
    assert all(re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", i) for i in ids)


def test_unknown_path(s):
    assert_problem(s.get("/nope"), 404, "not-found", instance="/nope")


@pytest.mark.parametrize("path,allow", [("/livez", {"GET", "HEAD", "OPTIONS"}), ("/workers/1", {"DELETE", "OPTIONS"})])
def test_wrong_method(s, path, allow):
    answer = s.ask("PUT", path)
    assert_problem(answer, 405, "method-not-allowed")
    assert set(answer.headers["Allow"].split(", ")) == allow


def test_metrics_are_well_formed(s):
    s.get("/compute/echo")
    answer = s.get("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert answer.text.endswith("\n")
    told = re.findall(r"^# (HELP|TYPE) (\S+) (.+)$", answer.text, re.M)
    types = {name: what for kind, name, what in told if kind == "TYPE"}
    assert set(Counter((kind, name) for kind, name, _ in told).values()) == {1}
    assert {name for kind, name, _ in told if kind == "HELP"} == set(types)
    seen, last = [], None
    for line in answer.text.splitlines():
        name = line.split(" ")[2] if line.startswith("#") else re.match(r"[a-z_]+", line).group(0)
        base = next(n for n in (name, re.sub(r"_(bucket|sum|count)$", "", name)) if n in types)
        if base != last:
            assert base not in seen, f"{base} is in two places"
            seen.append(base)
        last = base
    for name, labels, value in s.metrics():
        base = name if name in types else re.sub(r"_(bucket|sum|count)$", "", name)
        assert types[base] != "counter" or (name.endswith("_total") and value >= 0), name
        assert "le" not in labels or types[base] == "histogram"


def test_no_sample_twice(s):
    counts = Counter((name, frozenset(labels.items())) for name, labels, _ in s.metrics())
    assert max(counts.values()) == 1, counts.most_common(1)


def test_histograms_are_cumulative(s):
    s.get("/compute/echo")
    rows = {}
    for name, labels, value in s.metrics():
        if name.endswith("_bucket"):
            rest = frozenset((k, v) for k, v in labels.items() if k != "le")
            rows.setdefault((name, rest), []).append((float(labels["le"].replace("+Inf", "inf")), value))
    counts = {(n[:-6], frozenset(l.items())): v for n, l, v in s.metrics() if n.endswith("_count")}
    assert rows
    for (name, rest), buckets in rows.items():
        assert buckets == sorted(buckets) and buckets[-1][0] == float("inf")
        assert [v for _, v in buckets] == sorted(v for _, v in buckets), name
        assert buckets[-1][1] <= counts[(name[:-7], rest)], name


def test_metrics_count(s):
    before = s.metric("prong_jobs_total", kernel="echo")
    tasks = s.metric("prong_tasks_total")
    for _ in range(20):
        assert s.get("/compute/echo").status == 200
    assert s.metric("prong_jobs_total", kernel="echo") == before + 20
    assert s.metric("prong_tasks_total") == tasks + 20


def test_metrics_of_requests(s):
    def count():
        return s.metric("prong_http_requests_total", route="/compute/{kernel}", code="404")

    before = count()
    s.get("/compute/nope")
    wait_until(lambda: count() == before + 1, "the request is counted")


@pytest.mark.parametrize("pid", ["0", "1", "-1", "x", "99999999999999999999", pytest.param(str(os.getpid()), id="own"), "%2e"])
def test_only_workers_can_be_killed(s, pid):
    assert_problem(s.ask("DELETE", f"/workers/{pid}"), 404, "not-found")
    assert is_alive(s.pid)


def test_neither_the_server_nor_the_zygote_is_a_worker(s):
    for pid in (s.pid, s.status()["zygote_pid"]):
        assert_problem(s.ask("DELETE", f"/workers/{pid}"), 404, "not-found")


def test_a_killed_worker_is_replaced(server):
    s = server(workers=2)
    before = s.worker_pids()
    victim = min(before)
    assert s.ask("DELETE", f"/workers/{victim}").status == 204
    wait_until(lambda: len(s.worker_pids()) == 3 and victim not in s.worker_pids(), "another worker")
    assert not is_alive(victim)
    assert s.get("/compute/primes?limit=100").json["count"] == 25
    assert s.metric("prong_worker_deaths_total", reason="killed") == 1


def test_the_task_of_a_killed_worker_is_run_again(server):
    s = server(workers=1, express=0)
    running = s.later("GET", "/compute/sleep?seconds=0.5")
    s.wait_busy(1)
    (worker,) = s.busy()
    assert s.ask("DELETE", f"/workers/{worker['pid']}").status == 204
    answer = running.result()
    assert answer.status == 200 and answer.json == {"slept": 0.5}
    assert answer.receipt["retries"] == 1


def test_probes_do_not_wait_behind_compute(server):
    s = server(workers=1, express=0, queue=10)
    requests = [s.later("GET", "/compute/sleep?seconds=3", prong_timeout=3) for _ in range(8)]
    s.wait_busy(1)
    s.wait_queued(1)
    for path in ("/livez", "/readyz", "/status", "/metrics"):
        assert s.get(path).status == 200
    assert not any(r.is_done for r in requests), "the work was over before the probes were: proves nothing"
    for r in requests:
        r.result()
