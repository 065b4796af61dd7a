"""Kernels of one's own: parameters that must be given, parameters that are any JSON, an older ABI, and files that are no kernels."""
import json
import os
import shutil
import signal
import urllib.parse

import pytest
from conftest import DIR, assert_problem, wait_until

FIXTURES = DIR / "test-kernels"


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "kernels"
    made.mkdir()
    made.chmod(0o755)
    return made


def put(folder, *names):
    for name in names:
        shutil.copy(FIXTURES / f"{name}.so", folder)


def asked(server, query):
    return server.get("/compute/demanding?" + urllib.parse.urlencode(query))


# ---- parameters -----------------------------------------------------------------------------------


def test_a_required_parameter_must_be_given(server, folder):
    put(folder, "demanding")
    s = server(kernels=folder, workers=1)
    assert_problem(s.get("/compute/demanding?doc=1"), 400, "bad-parameter", parameter="n", got="nothing")
    assert_problem(s.post("/compute/demanding", {"n": 3}), 400, "bad-parameter", parameter="doc", got="nothing")
    assert "missing" in s.post("/compute/demanding", {}).json["detail"]
    assert s.post("/compute/demanding", {"n": 3, "doc": None}).json == {"n": 3, "doc": None, "extra": {}}


@pytest.mark.parametrize("doc", [None, True, 0, -1.5, "text ü", [], {}, [1, [2, {"a": None}]], {"b": {"d": 1, "c": 2}, "a": "x"}])
def test_json_arrives_whole_by_body_and_by_query(shared_server, tmp_path_factory, doc):
    s = demanding(shared_server, tmp_path_factory)
    assert s.post("/compute/demanding", {"n": 3, "doc": doc}).json["doc"] == doc
    assert asked(s, {"n": 3, "doc": json.dumps(doc)}).json["doc"] == doc


def demanding(shared_server, tmp_path_factory):
    if not shared_server.made:
        made = tmp_path_factory.mktemp("kernels")
        made.chmod(0o755)
        put(made, "demanding")
        shared_server(kernels=made, workers=1)
    return shared_server.made[0]


def test_json_is_compact_with_sorted_keys(shared_server, tmp_path_factory):
    s = demanding(shared_server, tmp_path_factory)
    body = '{ "n" : 3, "doc" : { "b" : [ 1, 2 ], "a" : 0.1 } }'
    answer = s.post("/compute/demanding", body, content_type="application/json")
    assert answer.body.decode() == '{"n":3,"doc":{"a":0.1,"b":[1,2]},"extra":{}}'


def test_json_is_bounded_and_must_be_json(shared_server, tmp_path_factory):
    s = demanding(shared_server, tmp_path_factory)
    assert s.post("/compute/demanding", {"n": 3, "doc": "x" * 62}).status == 200
    problem = assert_problem(s.post("/compute/demanding", {"n": 3, "doc": "x" * 63}), 400, "bad-parameter", parameter="doc")
    assert "JSON of at most 64 bytes" in problem["detail"]
    assert_problem(asked(s, {"n": 3, "doc": "text"}), 400, "bad-parameter", parameter="doc", got='"text"')
    assert_problem(asked(s, {"n": 3, "doc": "1,2"}), 400, "bad-parameter", parameter="doc")


def test_the_catalogue_tells_what_is_required(shared_server, tmp_path_factory):
    s = demanding(shared_server, tmp_path_factory)
    (kernel,) = s.get("/compute").json["kernels"]
    schema = kernel["params"]
    assert schema["required"] == ["n", "doc"]
    assert schema["properties"]["n"] == {"type": "integer", "description": "how many", "minimum": 0, "maximum": 9}
    assert schema["properties"]["doc"] == {"description": "any value"}
    assert schema["properties"]["extra"] == {"description": "another value", "default": {}}


def test_a_durable_job_keeps_json_in_one_form(server, folder):
    put(folder, "demanding")
    s = server(kernels=folder, workers=1)

    def submit(params):
        body = '{"kernel":"demanding","params":%s}' % params
        return s.post("/jobs", body, content_type="application/json", idempotency_key="one")

    first = submit('{"n":3,"doc":{"b":1,"a":[2]}}')
    assert first.status == 202
    again = submit('{"doc":{ "a":[2], "b":1 },"n":3.0}')
    assert again.json["id"] == first.json["id"]
    assert submit('{"doc":{"a":[2],"b":2},"n":3}').status == 422
    job = f"/jobs/{first.json['id']}"
    wait_until(lambda: s.get(job).json["state"] not in ("queued", "running"), lambda: s.get(job))
    assert s.get(job + "/result").json["doc"] == {"a": [2], "b": 1}


def test_a_kernel_built_for_abi_1_0_computes(server, folder):
    put(folder, "abi_1_0")
    s = server(kernels=folder, workers=1)
    assert s.get("/compute/abi-1-0").json == [4, 2]
    assert s.get("/compute/abi-1-0?a=9&b=0").json == [9, 0]
    assert s.get("/compute/abi-1-0?b=10").status == 400
    (kernel,) = s.get("/compute").json["kernels"]
    assert kernel["params"]["required"] == []


# ---- what is left out -----------------------------------------------------------------------------


def refused(s):
    return {r["file"]: r["reason"] for r in s.get("/compute").json.get("refused", [])}


def test_files_that_crash_while_they_are_loaded_are_told(server, folder):
    put(folder, "constructor_crashes", "constructor_exits", "entry_crashes", "init_crashes", "no_entry", "selftest_crashes", "rows")
    (folder / "text.so").write_text("this is no ELF")
    s = server(kernels=folder, workers=1)
    told = refused(s)
    assert set(told) == {f"{n}.so" for n in ("constructor_crashes", "constructor_exits", "entry_crashes", "init_crashes", "no_entry", "text")}
    assert told["constructor_crashes.so"] == "Its constructor died by SIGSEGV."
    assert told["init_crashes.so"] == "Its init died by SIGFPE."
    kernels = {k["name"]: k.get("broken") for k in s.get("/compute").json["kernels"]}
    assert kernels == {"rows": None, "selftest_crashes": "Its self-test died by SIGSEGV."}
    assert s.get("/compute/selftest_crashes").status >= 400


def test_nothing_is_refused_where_all_is_well(server):
    assert "refused" not in server(workers=1).get("/compute").json


def test_the_refused_are_those_of_the_newest_zygote(server, folder):
    put(folder, "rows", "no_entry")
    s = server(kernels=folder, workers=1)
    assert set(refused(s)) == {"no_entry.so"}
    (folder / "no_entry.so").unlink()
    put(folder, "declines")
    zygote = s.status()["zygote_pid"]
    os.kill(zygote, signal.SIGKILL)
    wait_until(lambda: set(refused(s)) == {"declines.so"}, lambda: refused(s))


# ---- manifests ------------------------------------------------------------------------------------


def test_a_mistake_in_a_manifest_is_told_by_file_and_line(server, folder):
    put(folder, "rows", "demanding")
    manifest = folder / "rows.kernel"
    manifest.write_text("[limits]\nmemory = much\n")
    manifest.chmod(0o644)
    s = server(kernels=folder, workers=1)
    told = refused(s)
    assert told["rows.kernel"].startswith("rows.kernel, line 2: memory must be bytes")
    assert "rows.so" in told
    assert [k["name"] for k in s.get("/compute").json["kernels"]] == ["demanding"]
