"""/openapi.json: it has every route and every kernel, the server answers as it says, and its examples work.

That it is OpenAPI 3.1 at all is tested by tests/browser/openapi.test.mjs.
"""
import collections
import gzip
import json
import re
import shutil
import urllib.parse

import jsonschema
import pytest
from conftest import DIR, ROOT, assert_problem, events_of, wait_until
from site_server import Site

METHODS = {"get", "post", "put", "delete"}


class Described:
    """A server's description of itself, with its references followed."""

    def __init__(self, s):
        self.s, self.document = s, s.get("/openapi.json").json
        self.resolver = jsonschema.RefResolver("", self.document)

    def follow(self, part):
        while "$ref" in part:
            part = self.resolver.resolve(part["$ref"])[1]
        return part

    def operations(self):
        """(method, path, operation) of each."""
        for path, item in self.document["paths"].items():
            for method in METHODS & set(item):
                yield method, path, item[method]

    def of_kernels(self):
        return [(m, p, o) for m, p, o in self.operations() if o["tags"] == ["Kernels"]]

    def operation(self, method, path):
        return self.document["paths"][path][method.lower()]

    def parameters(self, operation):
        return [self.follow(p) for p in operation["parameters"]]

    def validate(self, schema, value):
        jsonschema.Draft202012Validator(
            schema, resolver=self.resolver, format_checker=jsonschema.draft202012_format_checker
        ).validate(value)

    def response(self, operation, status):
        """What is said of this answer; a status that is only possible by default fails."""
        assert str(status) in operation["responses"], f"{operation['operationId']} does not tell of {status}"
        return self.follow(operation["responses"][str(status)])

    def check(self, method, path, answer):
        """Whether an answer is as it was described: status, media type, headers, body."""
        operation = self.operation(method, path)
        response = self.response(operation, answer.status)
        for name, header in response.get("headers", {}).items():
            if name in answer.headers:
                header = self.follow(header)
                text = answer.headers[name]
                self.validate(header["schema"], int(text) if header["schema"]["type"] == "integer" else text)
        if "content" not in response:
            assert answer.body == b""
            return answer
        media_type = answer.headers["Content-Type"].split(";")[0]
        content = response["content"].get(media_type, response["content"].get("*/*"))
        assert content is not None, f"{method} {path} answers {media_type}, not one of {list(response['content'])}"
        if media_type.endswith("json"):
            self.validate(content.get("schema", {}), answer.json)
        elif media_type == "text/plain" and "schema" in content:
            self.validate(content["schema"], answer.text)
        elif media_type == "text/event-stream":
            self.check_events(content["x-events"], answer)
        if answer.status >= 400:
            assert answer.json["type"].removeprefix("/docs#") in response["x-problems"]
        return answer

    def check_events(self, told, answer):
        events = events_of(answer.text)
        assert events
        for name, data in events:
            assert name in told, name
            if name != "part":
                self.validate(told[name], json.loads(data))

    def ask(self, method, path, target=None, body=None, **more):
        """Asks, and checks what comes."""
        return self.check(method, path, self.s.ask(method, target or path, body, **more))


@pytest.fixture(scope="module")
def d(shared_server):
    return Described(shared_server(workers=2, cache_max="1M", enable_fault_kernel=True))


# ---- what it has ----------------------------------------------------------------------------------


def test_it_has_every_route_and_no_other(d):
    table = re.findall(r'\{HTTP_(\w+), "([^"]+)"', (ROOT / "src/api/routes.c").read_text())
    assert len(table) > 20
    told = [(m.upper(), p) for m, p, o in d.operations() if o["tags"] != ["Kernels"]]
    assert sorted(told) == sorted(table)


def test_it_has_every_kernel(d):
    kernels = d.s.get("/compute").json["kernels"]
    wanted = {("post", f"/compute/{k['name']}") for k in kernels} | {("get", f"/compute/{k['name']}") for k in kernels if k["pure"]}
    assert {(m, p) for m, p, _ in d.of_kernels()} == wanted
    for k in kernels:
        assert d.document["components"]["schemas"][f"{k['name']}.params"] == k["params"]
        assert d.operation("post", f"/compute/{k['name']}")["summary"] == k["summary"]


def test_ids_are_unique(d):
    counts = collections.Counter(o["operationId"] for _, _, o in d.operations())
    assert max(counts.values()) == 1, counts.most_common(1)


def schemas_in(part):
    if isinstance(part, dict):
        yield from (v for k, v in part.items() if k == "schema")
        part = list(part.values())
    if isinstance(part, list):
        for below in part:
            yield from schemas_in(below)


def test_its_schemas_are_schemas(d):
    schemas = [*schemas_in(d.document), *d.document["components"]["schemas"].values()]
    assert len(schemas) > 100
    for schema in schemas:
        jsonschema.Draft202012Validator.check_schema(schema)


def test_it_is_for_this_server(d):
    assert d.document["openapi"] == "3.1.0" and d.document["servers"] == [{"url": "/"}]
    assert d.document["info"]["version"] == d.s.status()["version"]
    assert "security" not in d.document


# ---- what is answered is what is told -------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/compute", "/status", "/metrics", "/livez", "/readyz", "/livez?verbose", "/state", "/jobs", "/openapi.json",
     "/history", "/history?span=24h", "/history?span=x"]
)
def test_what_is_read(d, path):
    assert d.ask("GET", path.split("?")[0], path).status == (400 if path.endswith("=x") else 200)


def test_what_is_told_as_it_happens(d):
    told = d.follow(d.operation("GET", "/events")["responses"]["200"])["content"]["text/event-stream"]["x-events"]
    seen, text = set(), ""
    with d.s.client() as client:
        client.http.request("GET", "/events", headers={"Accept": "text/event-stream"})
        answer = client.http.getresponse()
        while not {"status", "sample"} <= seen:
            line = answer.readline().decode()
            assert line, "the stream has ended"
            text += line
            for name, data in events_of(text) if line == "\n" else []:
                d.validate(told[name], json.loads(data))
                seen.add(name)
            text = "" if line == "\n" else text


def test_what_is_read_while_it_works(d):
    running = d.s.later("GET", "/compute/sleep?seconds=0.5")
    d.s.wait_busy(1)
    assert any("kernel" in w for w in d.ask("GET", "/status").json["workers"])
    d.check("GET", "/compute/sleep", running.result())


@pytest.mark.parametrize("target", ["/compute/sum?end=1000", "/compute/mandelbrot?width=20&height=10", "/compute/echo"])
def test_computing(d, target):
    for _ in range(2):  # from the cache the second time, where the headers are others
        assert d.ask("GET", target.split("?")[0], target).status == 200
        assert d.ask("GET", "/compute/{kernel}", target).status == 200


def test_raw_input_comes_back_raw(d):
    answer = d.ask("POST", "/compute/map", "/compute/map?fn=square", b"\0" * 16, content_type="application/octet-stream")
    assert answer.headers["Content-Type"] == "application/octet-stream"


@pytest.mark.parametrize(
    "target,last",
    [("/compute/sum?end=300000000", "result"), ("/compute/mandelbrot?width=64&height=64", "result"), ("/compute/map?values=x", None)],
)
def test_events(d, target, last):
    answer = d.ask("GET", target.split("?")[0], target, accept="text/event-stream")
    assert last is None or events_of(answer.text)[-1][0] == last


def test_the_event_of_a_crash(d):
    answer = d.ask("POST", "/compute/fault", None, {"mode": "segv"}, accept="text/event-stream")
    assert events_of(answer.text)[-1][0] == "error"


def test_a_job_from_its_beginning_to_its_end(d):
    job = d.ask("POST", "/jobs", None, {"kernel": "sum", "params": {"end": 1000}}, idempotency_key="test-1")
    again = d.ask("POST", "/jobs", None, {"kernel": "sum", "params": {"end": 1000}}, idempotency_key="test-1")
    assert (job.status, again.status) == (202, 200)
    target = job.headers["Location"]
    assert d.ask("GET", "/jobs/{id}", f"{target}?wait=30").json["state"] == "succeeded"
    assert d.ask("GET", "/jobs/{id}/result", f"{target}/result").json["count"] == 1000
    assert events_of(d.ask("GET", "/jobs/{id}/events", f"{target}/events").text)[-1][0] == "result"
    assert d.ask("GET", "/jobs", "/jobs?limit=1").json["jobs"][0]["id"] == job.json["id"]
    assert d.ask("POST", "/jobs/{id}/retry", f"{target}/retry").status == 409
    assert d.ask("DELETE", "/jobs/{id}", target).status == 204
    assert d.ask("GET", "/jobs/{id}", target).status == 404


def test_a_job_that_dies_and_is_tried_again(d):
    job = d.ask("POST", "/jobs", None, {"kernel": "fault", "params": {"mode": "abort"}, "max_attempts": 1})
    target = job.headers["Location"]
    dead = d.ask("GET", "/jobs/{id}", f"{target}?wait=30").json
    assert dead["state"] == "dead" and dead["history"][0]["signal_name"] == "ABRT"
    assert d.ask("GET", "/jobs/{id}/result", f"{target}/result").status == 502
    assert events_of(d.ask("GET", "/jobs/{id}/events", f"{target}/events").text)[-1][0] == "error"
    assert d.ask("POST", "/jobs/{id}/retry", f"{target}/retry").status == 202


def test_a_job_that_is_cancelled(d):
    job = d.ask("POST", "/compute/sleep", None, {"seconds": 60}, prefer="respond-async")
    target = job.headers["Location"]
    assert d.ask("GET", "/jobs/{id}/result", f"{target}/result").status == 409
    assert d.ask("DELETE", "/jobs/{id}", target).json["state"] == "cancelled"
    assert events_of(d.ask("GET", "/jobs/{id}/events", f"{target}/events").text)[-1][0] == "cancelled"


def test_state(d):
    target, path = "/state/told", "/state/{key}"
    assert d.ask("PUT", path, target, {"a": [1, None]}).status == 201
    tag = d.ask("PUT", path, target, 3).headers["ETag"]
    assert d.ask("GET", path, target).json["value"] == 3
    assert d.ask("GET", path, target, if_none_match=tag).status == 304
    assert d.ask("PUT", path, target, 4, if_none_match="*").status == 412
    assert d.ask("POST", "/state/{key}/add", f"{target}/add", {"by": 4}, if_match=tag).json["value"] == 7
    assert d.ask("POST", "/state/{key}/add", "/state/new/add").status == 200
    assert d.ask("PUT", path, target, b'"text"', content_type="application/json").status == 200
    assert d.ask("POST", "/state/{key}/add", f"{target}/add").status == 409
    assert d.ask("GET", "/state").json["keys"]
    assert d.ask("DELETE", path, target).status == 204
    assert d.ask("GET", path, target).status == 404


def test_the_lab(d):
    body = {"experiment": "cpu", "n": 1000, "repeat": 2, "modes": ["sequential", "threads+gil"]}
    assert len(d.ask("POST", "/lab", None, body).json["runs"]) == 2
    events = events_of(d.ask("POST", "/lab", None, {**body, "experiment": "crash", "modes": ["threads"]}, accept="text/event-stream").text)
    assert [events[0][0], events[-1][0]] == ["plan", "result"]
    assert d.ask("POST", "/lab", None, {**body, "n": 0}).status == 400
    assert d.ask("POST", "/lab", None, body, accept="image/png").status == 406


def test_pages(server):
    site = Site()
    d = Described(server(workers=1, fetch_allow=f"127.0.0.1:{site.port}", fetch_requests=1))
    body = {"urls": [f"{site.url}/page", f"{site.url}/loop", "http://127.0.0.1/", "nonsense"]}
    assert d.ask("POST", "/fetch", None, body).status == 200
    assert events_of(d.ask("POST", "/fetch", None, body, accept="text/event-stream").text)[-1][0] == "result"
    assert d.ask("POST", "/fetch", None, {"urls": []}).status == 400
    running = d.s.later("POST", "/fetch", {"urls": [f"{site.url}/slow?1"]})
    wait_until(lambda: site.open == 1, "one under way")
    assert d.ask("POST", "/fetch", None, body).status == 503
    d.check("POST", "/fetch", running.result())
    site.close()


def test_kernels_and_workers(d):
    assert d.ask("POST", "/kernels/reload").status == 200
    wait_until(lambda: d.s.status()["reload"] is None, "the reload is over")
    d.s.wait_workers()
    assert d.ask("DELETE", "/workers/{pid}", f"/workers/{min(d.s.worker_pids())}").status == 204
    d.s.wait_workers()
    assert d.ask("DELETE", "/workers/{pid}", "/workers/1").status == 404


@pytest.mark.parametrize(
    "method,path,target,body,status",
    [
        ("GET", "/compute/{kernel}", "/compute/nope", None, 404),
        ("GET", "/compute/primes", "/compute/primes?limit=-1", None, 400),
        ("GET", "/compute/primes", "/compute/primes?nope=1", None, 400),
        ("POST", "/compute/primes", None, b"{", 400),
        ("POST", "/compute/fault", None, {"mode": "exit"}, 502),
        ("POST", "/jobs", None, {"kernel": "nope"}, 404),
        ("POST", "/jobs", None, {"kernel": "sum", "colour": "red"}, 400),
        ("GET", "/jobs", "/jobs?state=odd", None, 400),
        ("GET", "/state/{key}", "/state/none", None, 404),
        ("PUT", "/state/{key}", "/state/none", b"1,", 400),
        ("POST", "/state/{key}/add", "/state/none/add", {"by": "x"}, 400),
    ],
)
def test_refusals(d, method, path, target, body, status):
    headers = {"content_type": "application/json"} if isinstance(body, bytes) else {}
    assert d.ask(method, path, target, body, **headers).status == status


def test_what_no_form_is_accepted_for(d):
    assert d.ask("GET", "/compute/primes", accept="image/png").status == 406
    assert d.ask("POST", "/compute/primes", None, b"x", content_type="text/plain").status == 415


# ---- its bounds are the server's ------------------------------------------------------------------


def outside(schema):
    """Values that the schema forbids, and values that it allows."""
    if "enum" in schema:
        return ["no-such-word"], schema["enum"]
    bad, good = [], []
    for name, step in (("minimum", -1), ("maximum", 1)):
        if name in schema:
            bad.append(schema[name] + step)
            good.append(schema[name])
    if "exclusiveMinimum" in schema:
        bad.append(schema["exclusiveMinimum"])
    if "pattern" in schema and "maxLength" not in schema:
        bad.append("no such thing!")
    return bad, good


IGNORED = {"Cache-Control", "If-None-Match", "Last-Event-ID"}  # what cannot be read of these counts as absent


def test_headers_and_queries_have_the_bounds_that_are_told(d):
    tried = 0
    targets = {"/compute/{kernel}": "/compute/echo", "/state/{key}": "/state/x", "/jobs": "/jobs", "/state": "/state", "/history": "/history"}
    for method, path, operation in list(d.operations()):
        if method != "get" or path not in targets:
            continue
        for parameter in d.parameters(operation):
            schema = d.follow(parameter.get("schema", {}))
            if parameter["in"] == "path" or parameter["name"] in IGNORED:
                continue
            for values, wanted in zip(outside(schema), (400, 200)):
                for value in values:
                    tried += 1
                    if parameter["in"] == "header":
                        answer = d.s.get(targets[path], **{parameter["name"]: value})
                    else:
                        query = urllib.parse.urlencode({parameter["name"]: value})
                        answer = d.s.get(f"{targets[path]}?{query}")
                    assert answer.status == wanted, (path, parameter["name"], value, answer)
    assert tried > 20


def test_jobs_have_the_bounds_that_are_told(d):
    tried, schema = 0, d.document["components"]["schemas"]["JobRequest"]
    for name, member in schema["properties"].items():
        member = d.follow(member)
        if name in ("kernel", "params"):
            continue
        for values, wanted in zip(outside(member), (400, 202)):
            for value in values:
                tried += 1
                assert d.s.post("/jobs", {"kernel": "echo", name: value}).status == wanted, (name, value)
    assert tried > 12


def test_labs_have_the_bounds_that_are_told(d):
    tried = 0
    for name, member in d.document["components"]["schemas"]["LabRequest"]["properties"].items():
        for value in outside(d.follow(member))[0]:
            tried += 1
            problem = assert_problem(d.s.post("/lab", {"experiment": "cpu", "n": 1, name: value}), 400, "bad-parameter")
            assert problem["parameter"] == name
    assert tried == 9


def test_names_of_bounded_length(d):
    for path, wanted in (("x" * 256, 200), ("x" * 257, 400)):
        assert d.s.post(f"/state/{path}/add").status == wanted
    for key, wanted in (("k" * 255, 202), ("k" * 256, 400)):
        assert d.s.post("/jobs", {"kernel": "echo"}, idempotency_key=key).status == wanted


# ---- its examples work ----------------------------------------------------------------------------


def query_of(parameter):
    if "content" in parameter:
        example = parameter["content"]["application/json"].get("example")
        return None if example is None else (parameter["name"], json.dumps(example))
    return (parameter["name"], parameter["example"]) if "example" in parameter else None


def test_examples_of_kernels_are_good_parameters(d):
    tried = 0
    for method, path, operation in d.of_kernels():
        if method == "post":
            content = operation["requestBody"]["content"]["application/json"]
            d.validate(content["schema"], content["example"])
            tried += bool(content["example"])
        for parameter in d.parameters(operation):
            if "example" in parameter:
                d.validate(parameter["schema"], parameter["example"])
    assert tried > 8


def test_examples_of_kernels_run(d):
    for method, path, operation in d.of_kernels():
        if path == "/compute/fault":
            continue
        if method == "post":
            body = operation["requestBody"]["content"]["application/json"]["example"]
            answer = d.ask("POST", path, None, body)
        else:
            pairs = filter(None, (query_of(p) for p in d.parameters(operation) if p["in"] == "query"))
            answer = d.ask("GET", path, f"{path}?{urllib.parse.urlencode(list(pairs))}")
        assert answer.status == 200, (method, path, answer)


def test_examples_of_bodies_are_taken(d):
    """That of /fetch names this machine alone, which is refused row by row."""
    for method, path, target in (
        ("POST", "/jobs", "/jobs"), ("PUT", "/state/{key}", "/state/e1"), ("POST", "/state/{key}/add", "/state/e2/add"),
        ("POST", "/lab", "/lab"), ("POST", "/fetch", "/fetch"),
    ):
        content = d.follow(d.operation(method, path)["requestBody"])["content"]["application/json"]
        d.validate(content["schema"], content["example"])
        assert d.ask(method, path, target, content["example"]).status in (200, 201, 202)


# ---- problems -------------------------------------------------------------------------------------


def test_every_problem_is_told(d):
    table = re.findall(r'^PROBLEM\(\w+, (\d+), "([a-z-]+)"', (ROOT / "src/http/problems.def").read_text(), re.M)
    assert [(str(p["status"]), p["name"]) for p in d.document["x-problems"]] == table
    assert all(p["title"] and p["advice"] for p in d.document["x-problems"])


# ---- its own answers ------------------------------------------------------------------------------


def test_it_is_kept_by_its_tag(d):
    answer = d.s.get("/openapi.json")
    tag = answer.headers["ETag"]
    assert answer.headers["Cache-Control"] == "no-cache"
    for known in (tag, f'"x", {tag}', f"W/{tag}", "*"):
        same = d.s.get("/openapi.json", if_none_match=known)
        assert (same.status, same.body, same.headers["ETag"]) == (304, b"", tag), known
    assert d.s.get("/openapi.json", if_none_match='"x"').status == 200
    assert_problem(d.s.get("/openapi.json", if_match='"x"'), 412, "precondition-failed")
    head = d.s.ask("HEAD", "/openapi.json")
    assert (head.status, head.body, head.headers["ETag"]) == (200, b"", tag)


def test_it_is_compressed_for_who_likes_that(d):
    plain, small = d.s.get("/openapi.json"), d.s.get("/openapi.json", accept_encoding="gzip, deflate, br")
    assert "Content-Encoding" not in plain.headers and small.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(small.body) == plain.body and len(small.body) < len(plain.body) / 5
    assert plain.headers["Vary"] == small.headers["Vary"] == "Accept-Encoding"
    assert plain.headers["ETag"] != small.headers["ETag"]
    tag = small.headers["ETag"]
    assert d.s.get("/openapi.json", accept_encoding="gzip", if_none_match=tag).status == 304
    assert d.s.get("/openapi.json", if_none_match=tag).status == 200
    assert "Content-Encoding" not in d.s.get("/openapi.json", accept_encoding="gzip;q=0").headers


def put_kernel(folder, name):
    shutil.copy(DIR / f"kernels/{name}.so", folder / "coming")
    (folder / "coming").rename(folder / f"{name}.so")


def test_other_kernels_are_another_description(server, tmp_path):
    folder = tmp_path / "kernels"
    folder.mkdir(mode=0o755)
    put_kernel(folder, "echo")
    s = server(workers=1, kernels=folder)
    first = s.get("/openapi.json")
    assert "/compute/echo" in first.json["paths"] and "/compute/sum" not in first.json["paths"]
    put_kernel(folder, "sum")
    assert s.post("/kernels/reload").json["added"] == ["sum"]
    second = s.get("/openapi.json", if_none_match=first.headers["ETag"])
    assert second.status == 200 and "/compute/sum" in second.json["paths"]
    assert second.headers["ETag"] != first.headers["ETag"]
    wait_until(lambda: s.status()["reload"] is None, "the reload is over")
    (folder / "sum.so").unlink()
    assert s.post("/kernels/reload").json["removed"] == ["sum"]
    assert s.get("/openapi.json", if_none_match=first.headers["ETag"]).status == 304


def test_with_a_token(server, tmp_path):
    token = tmp_path / "token"
    token.write_text("a token of enough bytes\n".replace(" ", "-"))
    token.chmod(0o600)
    s = server(workers=1, token_file=token)
    assert_problem(s.get("/openapi.json", authorization="Bearer wrong"), 401, "unauthorized")
    document = s.get("/openapi.json").json
    (name,) = document["components"]["securitySchemes"]
    assert document["security"] == [{name: []}]
    for method, path, operation in Described(s).operations():
        if method == "get" and "{" not in path and operation["tags"] == ["Server"]:
            is_open = operation.get("security") == []
            assert s.get(path, authorization="Bearer wrong").status == (200 if is_open else 401), path
