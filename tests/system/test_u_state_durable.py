"""The shared state on disk: what was acknowledged is there after kill -9, in the same versions, and nothing else is."""
import json
import signal
import threading

import pytest
from conftest import assert_problem, fewer, run, PRONG, clean_environment

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def begin(server, tmp_path):
    """begin(…) starts a server whose data outlives it."""
    data = tmp_path / "kept"
    data.mkdir(mode=0o700)

    def start(**options):
        return server("--data", data, **{"workers": 1, **options})

    return start


def kill(s):
    """As if the power had gone, for all that the process could still do."""
    s.note_processes()
    s.process.send_signal(signal.SIGKILL)
    assert s.wait() == -signal.SIGKILL
    s.assert_log_is_clean()


def everything(s):
    """{key: (value, version, etag)}."""
    found, after = {}, ""
    with s.client() as client:
        while after is not None:
            page = client.get("/state?limit=1000" + (f"&after={after}" if after else "")).json
            for key in page["keys"]:
                got = client.get("/state/" + key["key"])
                assert got.json["version"] == key["version"]
                found[key["key"]] = (got.json["value"], got.json["version"], got.headers["ETag"])
            after = page["next"]
    return found


@pytest.mark.parametrize("end", [kill, lambda s: s.stop()], ids=["kill -9", "SIGTERM"])
def test_all_that_was_acknowledged_is_there(begin, end):
    s = begin()
    for i in range(30):
        assert s.ask("PUT", f"/state/k{i:02}", {"i": i, "text": "é" * i}).status == 201
    for i in range(0, 30, 3):
        assert s.ask("PUT", f"/state/k{i:02}", [i]).status == 200
    for i in range(0, 30, 5):
        assert s.ask("DELETE", f"/state/k{i:02}").status == 204
    for _ in range(7):
        assert s.post("/state/n/add", {"by": 6}).status == 200
    large = json.dumps("x" * 900_000)
    assert s.ask("PUT", "/state/large", large, headers=JSON).status == 201
    before = everything(s)
    end(s)

    s = begin()
    assert everything(s) == before
    assert before["n"][0] == 42 and len(before) == 26
    assert s.metric("prong_state_keys") == 26


def test_conditions_hold_over_a_restart(begin):
    s = begin()
    etag = s.ask("PUT", "/state/a", [1]).headers["ETag"]
    kill(s)
    s = begin()
    assert s.get("/state/a", if_none_match=etag).status == 304
    assert s.ask("PUT", "/state/a", [2], if_match=etag).status == 200
    assert_problem(s.ask("PUT", "/state/a", [3], if_match=etag), 412, "precondition-failed")


def test_no_version_comes_twice(begin):
    seen = []
    for _ in range(4):
        s = begin()
        for i in range(3):
            seen.append(s.ask("PUT", "/state/a", [i]).json["version"])
        assert s.ask("DELETE", "/state/a").status == 204
        seen.append(s.ask("PUT", "/state/b", [0]).json["version"])
        assert s.ask("DELETE", "/state/b").status == 204
        kill(s)
    assert seen == sorted(set(seen)), "as if they had never been there, their versions go on"


def add_from_many(s, connections, each):
    """Concurrently; every sum that was answered."""
    sums, lock, errors = [], threading.Lock(), []

    def adds():
        try:
            with s.client() as client:
                for _ in range(each):
                    answer = client.post("/state/n/add")
                    if answer.status == 200:
                        with lock:
                            sums.append(answer.json["value"])
        except OSError as error:
            errors.append(error)

    threads = [threading.Thread(target=adds) for _ in range(connections)]
    for t in threads:
        t.start()
    return threads, sums, errors


def test_a_thousand_concurrent_adds_are_a_thousand(begin):
    s = begin()
    each = fewer(50)
    threads, sums, errors = add_from_many(s, 20, each)
    for t in threads:
        t.join()
    assert not errors and sorted(sums) == list(range(1, 20 * each + 1))
    kill(s)
    assert begin().get("/state/n").json["value"] == 20 * each


def test_killed_while_many_add(begin):
    """What was answered is counted; of what was not, at most what was on its way."""
    s = begin()
    connections = 16
    threads, sums, _errors = add_from_many(s, connections, 1_000_000)
    while len(sums) < fewer(2000):
        assert any(t.is_alive() for t in threads)
        threads[0].join(0.01)
    kill(s)
    for t in threads:
        t.join()
    assert len(set(sums)) == len(sums)
    kept = begin().get("/state/n").json["value"]
    assert max(sums) <= kept <= max(sums) + connections


def test_in_memory_it_is_forgotten(begin):
    s = begin(state_durability="memory")
    assert s.ask("PUT", "/state/a", [1]).status == 201
    assert s.post("/state/n/add").json["value"] == 1
    s.stop()
    assert everything(begin(state_durability="memory")) == {}


def test_a_store_in_memory_forgets_too(begin):
    s = begin(store="memory")
    assert s.ask("PUT", "/state/a", [1]).status == 201
    assert s.post("/state/n/add").json["value"] == 1
    assert s.ask("DELETE", "/state/a").status == 204
    s.stop()
    assert everything(begin(store="memory")) == {}


def test_how_it_is_kept_must_be_one_of_two(tmp_path):
    ended = run(PRONG, "--listen", "127.0.0.1:0", "--data", tmp_path, "--state-durability", "sometimes", env=clean_environment())
    assert ended.returncode == 64
    assert "--state-durability must be commit or memory, not 'sometimes'." in ended.stderr


def test_more_than_the_limits_allow_is_still_there(begin):
    s = begin()
    for i in range(10):
        assert s.ask("PUT", f"/state/k{i}", [i]).status == 201
    s.stop()
    s = begin(state_keys=3)
    assert len(everything(s)) == 10
    assert_problem(s.ask("PUT", "/state/new", [1]), 507, "no-room")
    assert s.ask("PUT", "/state/k1", [11]).status == 200
    for i in range(8):
        assert s.ask("DELETE", f"/state/k{i}").status == 204
    assert s.ask("PUT", "/state/new", [1]).status == 201
