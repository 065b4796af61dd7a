"""The shared state: versions, conditions, limits, and a thousand adds that are a thousand."""
import itertools
import json
import threading
import urllib.parse

import pytest
from conftest import assert_problem, fewer

MIB = 1 << 20
LARGEST = 2**53
serial = itertools.count()


@pytest.fixture(scope="module")
def made(shared_server):
    return shared_server(workers=1)


@pytest.fixture
def s(made):
    return made


@pytest.fixture
def key(request):
    """A key of this test's own."""
    return "/state/" + urllib.parse.quote(request.node.name[:70], safe="") + str(next(serial))


@pytest.mark.parametrize("value", [0, -1, 1.5, "text", "", "é€🐍", True, None, [], {}, [1, [2, {"a": None}]], {"b": 1, "a": [2]}, LARGEST, -LARGEST, 1e-300, 0.1])
def test_put_and_get(s, key, value):
    created = s.ask("PUT", key, json.dumps(value), headers={"Content-Type": "application/json"})
    assert created.status == 201
    got = s.get(key)
    assert got.status == 200 and got.json["value"] == value and type(got.json["value"]) is type(value)
    assert got.json["version"] == created.json["version"]
    assert got.headers["ETag"] == f'"{got.json["version"]}"' == created.headers["ETag"]


def test_put_again_has_a_higher_version(s, key):
    versions = [s.ask("PUT", key, [i]).json["version"] for i in range(5)]
    assert versions == sorted(set(versions))
    assert s.ask("PUT", key, [9]).status == 200


def test_get_nothing(s, key):
    assert_problem(s.get(key), 404, "not-found")


def test_head(s, key):
    s.ask("PUT", key, [1])
    answer = s.ask("HEAD", key)
    assert answer.status == 200 and answer.body == b"" and answer.headers["ETag"]


def test_if_match(s, key):
    version = s.ask("PUT", key, [1]).headers["ETag"]
    changed = s.ask("PUT", key, [2], if_match=version)
    assert changed.status == 200
    assert_problem(s.ask("PUT", key, [3], if_match=version), 412, "precondition-failed")
    assert s.get(key).json["value"] == [2]
    assert s.ask("PUT", key, [4], if_match="*").status == 200


def test_if_match_of_nothing(s, key):
    assert s.ask("PUT", key, [1], if_match="*").status == 412
    assert s.ask("PUT", key, [1], if_match='"1"').status == 412
    assert s.get(key).status == 404


def test_if_none_match(s, key):
    assert s.ask("PUT", key, [1], if_none_match="*").status == 201
    assert_problem(s.ask("PUT", key, [2], if_none_match="*"), 412, "precondition-failed")
    assert s.get(key).json["value"] == [1]


def test_get_if_none_match(s, key):
    etag = s.ask("PUT", key, [1]).headers["ETag"]
    answer = s.get(key, if_none_match=etag)
    assert answer.status == 304 and answer.body == b"" and answer.headers["ETag"] == etag
    assert s.get(key, if_none_match='"1234567890123"').status == 200


@pytest.mark.parametrize("header,value", [("If-Match", "x"), ("If-Match", '"x"'), ("If-Match", ""), ("If-None-Match", '"1"'), ("If-Match", '"99999999999999999999999"')])
def test_conditions_that_are_none(s, key, header, value):
    assert_problem(s.ask("PUT", key, [1], headers={header: value}), 400, "bad-header")
    assert s.get(key).status == 404


def test_delete(s, key):
    etag = s.ask("PUT", key, [1]).headers["ETag"]
    assert s.ask("DELETE", key, if_match='"1"').status == (204 if etag == '"1"' else 412)
    assert s.ask("DELETE", key, if_match=etag).status == 204
    assert s.get(key).status == 404
    assert_problem(s.ask("DELETE", key), 404, "not-found")


def test_a_version_never_comes_back(s, key):
    first = s.ask("PUT", key, [1]).json["version"]
    s.ask("DELETE", key)
    assert s.ask("PUT", key, [1]).json["version"] > first


# ---- add ------------------------------------------------------------------------------------------


def test_add(s, key):
    first = s.post(key + "/add", {"by": 5})
    assert first.status == 200 and first.json["value"] == 5
    assert s.post(key + "/add", {"by": -7}).json["value"] == -2
    assert s.post(key + "/add").json["value"] == -1
    assert s.post(key + "/add", {}).json["value"] == 0
    assert s.get(key).json["value"] == 0
    assert s.get(key).json["version"] > first.json["version"]


@pytest.mark.parametrize("value", ["text", 1.5, None, True, [1], {"a": 1}])
def test_add_to_what_is_no_integer(s, key, value):
    before = s.ask("PUT", key, json.dumps(value), headers={"Content-Type": "application/json"}).json
    assert_problem(s.post(key + "/add", {"by": 1}), 409, "conflict")
    assert s.get(key).json == before


@pytest.mark.parametrize("start,by", [(LARGEST, 1), (-LARGEST, -1), (1, LARGEST), (-1, -LARGEST), (LARGEST, LARGEST)])
def test_overflow(s, key, start, by):
    before = s.ask("PUT", key, str(start), headers={"Content-Type": "application/json"}).json
    assert_problem(s.post(key + "/add", {"by": by}), 409, "conflict")
    assert s.get(key).json == before


@pytest.mark.parametrize("start,by", [(LARGEST - 1, 1), (1 - LARGEST, -1), (-LARGEST, LARGEST), (0, 0)])
def test_up_to_the_limit(s, key, start, by):
    s.ask("PUT", key, str(start), headers={"Content-Type": "application/json"})
    assert s.post(key + "/add", {"by": by}).json["value"] == start + by


@pytest.mark.parametrize("body", [{"by": 1.5}, {"by": "1"}, {"by": None}, {"by": True}, {"to": 1}, {"by": 1, "to": 2}, [], [1]])
def test_bad_add(s, key, body):
    assert_problem(s.post(key + "/add", body), 400, "bad-parameter", parameter="by")
    assert s.get(key).status == 404


@pytest.mark.parametrize("text", ['{"by":9007199254740993}', '{"by":1e999}', "{", '{"by":1,"by":1}'])
def test_add_of_bad_json(s, key, text):
    assert_problem(s.post(key + "/add", text, headers={"Content-Type": "application/json"}), 400, "bad-json")


def test_add_if_match(s, key):
    etag = s.post(key + "/add").headers["ETag"]
    assert s.post(key + "/add", {"by": 1}, if_match=etag).status == 200
    assert s.post(key + "/add", {"by": 1}, if_match=etag).status == 412
    assert s.get(key).json["value"] == 2


def add_from(s, clients, each, key):
    errors = []

    def adds():
        try:
            with s.client() as client:
                for _ in range(each):
                    answer = client.post(key + "/add", b'{"by":1}', headers={"Content-Type": "application/json"})
                    assert answer.status == 200, answer
        except Exception as error:  # pylint: disable=broad-except
            errors.append(error)

    threads = [threading.Thread(target=adds) for _ in range(clients)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not errors, errors[0]


def test_ten_thousand_adds_are_ten_thousand(s, key):
    each = fewer(200)
    first = s.post(key + "/add", {"by": 0}).json["version"]
    add_from(s, 50, each, key)
    got = s.get(key).json
    assert got["value"] == 50 * each
    assert got["version"] >= first + 50 * each


def test_compare_and_set_loses_nothing(s, key):
    """The same with If-Match: who loses the race tries again."""
    s.ask("PUT", key, "0", headers={"Content-Type": "application/json"})
    errors, each = [], fewer(25)

    def increments():
        try:
            with s.client() as client:
                done = 0
                while done < each:
                    now = client.get(key)
                    answer = client.ask("PUT", key, now.json["value"] + 1, if_match=now.headers["ETag"])
                    assert answer.status in (200, 412), answer
                    done += answer.status == 200
        except Exception as error:  # pylint: disable=broad-except
            errors.append(error)

    threads = [threading.Thread(target=increments) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not errors, errors[0]
    assert s.get(key).json["value"] == 8 * each


# ---- keys and limits ------------------------------------------------------------------------------


@pytest.mark.parametrize("key_text", ["a", "ä€🐍", "with space", "a/b", "..", ".", "%", "a?b#c", "k" * 256, "\"quoted\\"])
def test_keys(s, key_text):
    path = "/state/" + urllib.parse.quote("keys-" + key_text if len(key_text) < 250 else key_text, safe="")
    assert s.ask("PUT", path, [1]).status == 201
    assert s.get(path).json["key"] == urllib.parse.unquote(path[7:])
    assert s.ask("DELETE", path).status == 204


@pytest.mark.parametrize("key_text", ["k" * 257, "\x01", "a\nb", "a\x7fb"])
def test_keys_that_are_none(s, key_text):
    path = "/state/" + urllib.parse.quote(key_text, safe="")
    for answer in (s.ask("PUT", path, [1]), s.post(path + "/add")):
        assert answer.status == 400, answer


def test_a_key_that_is_no_utf8(s):
    assert s.ask("PUT", "/state/%FF%FE", [1]).status == 400


def test_no_key(s):
    assert s.ask("PUT", "/state/", [1]).status in (400, 404, 405)


def test_a_value_above_1_mib(s, key):
    assert_problem(s.ask("PUT", key, json.dumps("x" * (MIB + 10)), headers={"Content-Type": "application/json"}), 413, "body-too-large")
    assert s.ask("PUT", key, json.dumps("x" * (MIB - 10)), headers={"Content-Type": "application/json"}).status == 201
    assert len(s.get(key).json["value"]) == MIB - 10
    s.ask("DELETE", key)


@pytest.mark.parametrize("text", ["{", "", "NaN", '{"a":1,"a":2}', "9007199254740993", "[" * 3000 + "]" * 3000])
def test_bad_values(s, key, text):
    assert_problem(s.ask("PUT", key, text, headers={"Content-Type": "application/json"}), 400, "bad-json")
    assert s.get(key).status == 404


def test_wrong_media_type(s, key):
    assert_problem(s.ask("PUT", key, b"1", headers={"Content-Type": "text/plain"}), 415, "unsupported-media-type")


@pytest.mark.parametrize("path,allow", [("x", {"GET", "HEAD", "PUT", "DELETE", "OPTIONS"}), ("x/add", {"POST", "OPTIONS"})])
def test_405(s, path, allow):
    answer = s.ask("POST" if path == "x" else "PUT", "/state/" + path, [1])
    assert_problem(answer, 405, "method-not-allowed")
    assert set(answer.headers["Allow"].split(", ")) == allow


def test_too_many_keys(server):
    s = server(workers=1, state_keys=3)
    for name in "abc":
        assert s.ask("PUT", f"/state/{name}", [1]).status == 201
    assert_problem(s.ask("PUT", "/state/d", [1]), 507, "no-room")
    assert_problem(s.post("/state/d/add"), 507, "no-room")
    assert s.ask("PUT", "/state/a", [2]).status == 200
    assert s.ask("DELETE", "/state/a").status == 204
    assert s.ask("PUT", "/state/d", [1]).status == 201
    assert s.metric("prong_state_keys") == 3


def test_too_many_bytes(server):
    s = server(workers=1, state_max="10K")
    big = json.dumps("x" * 6000)
    headers = {"Content-Type": "application/json"}
    assert s.ask("PUT", "/state/a", big, headers=headers).status == 201
    assert_problem(s.ask("PUT", "/state/b", big, headers=headers), 507, "no-room")
    assert s.ask("PUT", "/state/a", big, headers=headers).status == 200
    assert s.ask("DELETE", "/state/a").status == 204
    assert s.ask("PUT", "/state/b", big, headers=headers).status == 201


# ---- listing --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def full(shared_server):
    s = shared_server(workers=1)
    with s.client() as client:
        for i in range(250):
            client.ask("PUT", f"/state/k{i:03}", [i])
    return s


def test_empty_list(server):
    assert server(workers=1).get("/state").json == {"keys": [], "next": None}


def test_pages(full):
    keys, after, pages = [], "", 0
    while after is not None:
        page = full.get(f"/state?limit=60&after={after}" if after else "/state?limit=60").json
        assert len(page["keys"]) <= 60
        keys += page["keys"]
        after, pages = page["next"], pages + 1
    assert [k["key"] for k in keys] == [f"k{i:03}" for i in range(250)]
    assert all(k["version"] >= 1 for k in keys) and pages == 5


def test_default_page(full):
    page = full.get("/state").json
    assert len(page["keys"]) == 100 and page["next"] == "k099"


def test_after_the_last(full):
    assert full.get("/state?after=zzz").json == {"keys": [], "next": None}


@pytest.mark.parametrize("limit", ["0", "-1", "x", "", "1001", "1.5"])
def test_bad_limit(full, limit):
    assert_problem(full.get(f"/state?limit={limit}"), 400, "bad-parameter", parameter="limit")


def test_the_state_does_not_wait_behind_compute(server):
    s = server(workers=1, express=0)
    running = s.later("GET", "/compute/sleep?seconds=2")
    s.wait_busy(1)
    for i in range(20):
        assert s.post("/state/n/add").json["value"] == i + 1
    assert not running.is_done, "it was over before: proves nothing"
    running.result()
