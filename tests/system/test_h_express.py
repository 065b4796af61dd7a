"""What is short does not wait behind what is long."""
from conftest import fewer, wait_until


def test_echo_while_all_workers_are_busy(server):
    s = server(workers=2)
    for _ in range(20):  # so that it is known to be short
        assert s.get("/compute/echo").status == 200
    long = [s.later("GET", "/compute/sleep?seconds=4") for _ in range(4)]
    s.wait_busy(2)
    for i in range(fewer(200)):
        assert s.get(f"/compute/echo?message={i}").json == {"message": str(i)}
    assert not any(r.is_done for r in long), "the long ones were over before: proves nothing"
    assert {r.result().status for r in long} == {200}


def test_echo_while_all_workers_compute(server):
    s = server(workers=2)
    for _ in range(20):
        assert s.get("/compute/echo").status == 200
    long = s.later("GET", "/compute/primes?limit=100000000000", prong_timeout=5)
    s.wait_busy(2)
    for i in range(fewer(100)):
        assert s.get(f"/compute/echo?message={i}").json == {"message": str(i)}
    assert not long.is_done, "the long one was over before: proves nothing"
    assert long.result().status == 504


def test_the_express_worker_is_soon_rid_of_what_is_long(server):
    s = server(workers=1)
    long = [s.later("GET", "/compute/sleep?seconds=1.5") for _ in range(3)]
    s.wait_busy(1)
    wait_until(lambda: [w["kind"] for w in s.busy()] == ["ordinary"], lambda: f"only the ordinary worker busy: {s.busy()}")
    assert {r.result().status for r in long} == {200}


def test_a_burst_of_what_has_never_run_costs_no_row_of_workers(server):
    """One try on the express worker tells that a kernel is long; those that wait need not try too."""
    s = server(workers=1)
    long = [s.later("GET", "/compute/sleep?seconds=0.3") for _ in range(12)]
    assert {r.result().status for r in long} == {200}
    assert s.metric("prong_worker_deaths_total") <= 2


def test_without_express_all_wait(server):
    s = server(workers=1, express=0)
    for _ in range(20):
        s.get("/compute/echo")
    long = s.later("GET", "/compute/sleep?seconds=1")
    s.wait_busy(1)
    short = s.get("/compute/echo")
    assert short.status == 200 and short.receipt["wait_ms"] > 100
    assert long.result().status == 200
