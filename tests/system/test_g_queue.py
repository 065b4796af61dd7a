"""What waits is bounded, and waits in a fair order."""
import pytest
from conftest import assert_problem


def queue_up(s, requests):
    """Sends them so that they wait in this order."""
    waiting = []
    for before, more in enumerate(requests):
        waiting.append(s.later("GET", "/compute/sleep?seconds=0.05", **more))
        s.wait_queued(before + 1)
    return waiting


def started_ms(answer):
    """By the server's clock: a job's id tells when it was accepted, its receipt how long it waited."""
    return int(answer.headers["Prong-Job"].replace("-", "")[:12], 16) + answer.receipt["wait_ms"]


def order(waiting):
    """Their places in the order of their starts."""
    answers = [w.result() for w in waiting]
    assert {a.status for a in answers} == {200}
    by_start = sorted(range(len(answers)), key=lambda i: started_ms(answers[i]))
    return [by_start.index(i) for i in range(len(answers))]


def test_full(server):
    s = server(workers=1, express=0, queue=3)
    with s.held(source="127.0.0.9") as holding:
        waiting = queue_up(s, [{}] * 3)
        answers = [s.get("/compute/sleep?seconds=0.05") for _ in range(10)]  # at once: nothing moves before they are answered
    for answer in answers:
        problem = assert_problem(answer, 503, "queue-full")
        assert int(answer.headers["Retry-After"]) == problem["retry_after"] >= 1
    assert holding.result().status == 200
    assert [w.result().status for w in waiting] == [200] * 3
    s.wait_tasks(4)
    assert s.get("/compute/echo").status == 200


def test_full_does_not_concern_what_does_not_compute(server):
    s = server(workers=1, express=0, queue=1)
    with s.held(source="127.0.0.9") as holding:
        waiting = queue_up(s, [{}])
        for path in ("/livez", "/status", "/metrics", "/compute", "/state"):
            assert s.get(path).status == 200, path
    holding.result()
    waiting[0].result()


def test_full_is_not_ready(server):
    s = server(workers=1, express=0, queue=1)
    with s.held(source="127.0.0.9") as holding:
        waiting = queue_up(s, [{}])
        answer = s.get("/readyz")
    assert answer.status == 503 and int(answer.headers["Retry-After"]) >= 1
    holding.result()
    waiting[0].result()
    assert s.get("/readyz").status == 200


def test_first_come_first_served(server):
    s = server(workers=1, express=0)
    with s.held(source="127.0.0.9"):
        waiting = queue_up(s, [{}] * 6)
    places = order(waiting)
    assert places == sorted(places)


def test_high_passes_low(server):
    s = server(workers=1, express=0)
    with s.held(source="127.0.0.9"):
        waiting = queue_up(s, [{"prong_priority": p} for p in ["low"] * 4 + ["high"] * 4])
    places = order(waiting)
    # 8 : 1 of the time, so at most one low may come before the last high
    assert sum(low < max(places[4:]) for low in places[:4]) <= 1, places


@pytest.mark.parametrize("fast,slow,third", [("high", "normal", "low"), ("high", "low", "normal"), ("normal", "low", "high")])
def test_three_classes(server, fast, slow, third):
    """What holds the worker is of the third class, because its time is charged to its class."""
    s = server(workers=1, express=0)
    with s.held(source="127.0.0.9", prong_priority=third):
        waiting = queue_up(s, [{"prong_priority": p} for p in [slow] * 4 + [fast] * 4])
    places = order(waiting)
    assert sum(places[4:]) < sum(places[:4]), places


def test_low_does_not_starve(server):
    s = server(workers=1, express=0)
    with s.held(source="127.0.0.9"):
        waiting = queue_up(s, [{"prong_priority": "low"}] + [{"prong_priority": "high"}] * 20)
    assert order(waiting)[0] < 20


def test_clients_take_turns(server):
    s = server(workers=1, express=0)
    with s.held(source="127.0.0.9"):
        waiting = queue_up(s, [{"source": "127.0.0.2"}] * 16 + [{"source": "127.0.0.3"}] * 4)
    places = order(waiting)
    assert max(places[16:]) < 14, f"the second client had to wait for the first: {places}"


def test_status_counts_by_priority(server):
    s = server(workers=1, express=0)
    with s.held(source="127.0.0.9"):
        waiting = queue_up(s, [{"prong_priority": p} for p in ["low", "high", "low", "normal"]])
        queue = s.status()["queue"]
        depth = {p: s.metric("prong_queue_depth", priority=p) for p in ("high", "normal", "low")}
    assert {p: queue[p] for p in depth} == depth == {"high": 1, "normal": 1, "low": 2}
    order(waiting)


@pytest.mark.parametrize("count", [300])
def test_more_than_are_ever_in_flight(server, count):
    """Above PROTO_INFLIGHT_MAX."""
    s = server(workers=2)
    requests = [s.later("GET", f"/compute/primes?limit={i}") for i in range(count)]
    answers = [r.result() for r in requests]
    assert {a.status for a in answers} == {200}
    assert [a.json["limit"] for a in answers] == list(range(count))


def test_a_first_chunk_of_unknown_cost_keeps_nobody_waiting(server):
    """A quarter of this work would take minutes: the worker is asked to hand the rest of it back."""
    s = server(workers=1, express=0)
    long = s.later("GET", "/compute/sum?end=10000000000000", prong_timeout=6)
    s.wait_busy(1)
    assert s.get("/compute/echo?message=hi").json == {"message": "hi"}
    assert not long.is_done, "the long one was over before: proves nothing"
    assert long.result().status == 504
