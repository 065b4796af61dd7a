"""Files of www/: parts, preconditions, compressed forms, names, and what happens while they change."""
import email.utils
import gzip
import os
import resource
import socket
import subprocess
import urllib.parse

import pytest
from conftest import assert_problem, open_fds, read_answer, run, wait_until

SMALL = bytes(range(256)) * 4  # kept in memory
LARGE = os.urandom(1 << 20)  # sent from the file
GIB = 1 << 30
THEN = 1_600_000_000  # a time of modification in the past


class Site:
    """A directory, and a server in front of it."""

    def __init__(self, folder, servers):
        self.folder = folder
        folder.mkdir()
        self.server = servers(workers=1, www=folder)

    def write(self, name, data, mtime=None):
        """As one should: under another name, and then renamed."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name("." + path.name)
        new.write_bytes(data)
        if mtime is not None:
            os.utime(new, (mtime, mtime))
        new.rename(path)
        return path

    def ask(self, method, target, **headers):
        return self.server.ask(method, target, **headers)

    def get(self, target, **headers):
        return self.server.get(target, **headers)


@pytest.fixture(scope="module")
def site(shared_server, tmp_path_factory):
    site = Site(tmp_path_factory.mktemp("static") / "www", shared_server)
    site.write("index.html", b"<p>home")
    site.write("small.bin", SMALL)
    site.write("large.bin", LARGE)
    site.write("empty.txt", b"")
    site.write("sub/index.html", b"<p>sub")
    site.write("bare/x.txt", b"x")
    for name, data in (("page.html", b"<p>" + b"page " * 50), ("large.txt", b"0123456789" * 20000)):
        site.write(name, data, THEN)
        site.write(name + ".gz", gzip.compress(data), THEN + 10)
        site.write(name + ".br", b"as if brotli: " + data[::2], THEN + 20)
    return site


FILES = [("/small.bin", SMALL), ("/large.bin", LARGE)]
both = pytest.mark.parametrize("path,data", FILES, ids=["memory", "file"])


def lasting(answer):
    """What is the same in every answer about a file."""
    return sorted((k, v) for k, v in answer.headers.items() if k not in ("Date", "X-Request-Id"))


# ---- whole files ----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/small.bin", "/large.bin", "/empty.txt", "/", "/page.html", "/large.txt"])
@pytest.mark.parametrize("accept", ["identity", "gzip", "br"])
def test_head_is_get_without_the_body(site, path, accept):
    get, head = (site.ask(method, path, accept_encoding=accept) for method in ("GET", "HEAD"))
    assert get.status == head.status == 200
    assert lasting(get) == lasting(head) and head.body == b""
    assert int(get.headers["Content-Length"]) == len(get.body)
    assert get.headers["Accept-Ranges"] == "bytes"


@both
def test_a_file_comes_whole_again_and_again_on_one_connection(site, path, data):
    with site.server.client() as client:
        for _ in range(5):
            assert client.get(path).body == data
            assert client.ask("HEAD", path).body == b""


def test_types(site):
    types = {
        "a.html": "text/html; charset=utf-8", "a.css": "text/css; charset=utf-8", "a.js": "text/javascript; charset=utf-8",
        "a.mjs": "text/javascript; charset=utf-8", "a.json": "application/json", "a.map": "application/json",
        "a.txt": "text/plain; charset=utf-8", "a.md": "text/markdown; charset=utf-8", "a.csv": "text/csv; charset=utf-8",
        "a.xml": "application/xml", "a.svg": "image/svg+xml", "a.png": "image/png", "a.JPG": "image/jpeg",
        "a.jpeg": "image/jpeg", "a.gif": "image/gif", "a.webp": "image/webp", "a.avif": "image/avif",
        "a.ico": "image/vnd.microsoft.icon", "a.woff": "font/woff", "a.woff2": "font/woff2", "a.ttf": "font/ttf",
        "a.otf": "font/otf", "a.wasm": "application/wasm", "a.pdf": "application/pdf", "a.mp4": "video/mp4",
        "a.webm": "video/webm", "a.mp3": "audio/mpeg", "a.ogg": "audio/ogg", "a.wav": "audio/wav",
        "a.zip": "application/zip", "a.gz": "application/gzip", "a.webmanifest": "application/manifest+json",
        "a.unknown": "application/octet-stream", "a": "application/octet-stream",
    }
    for name in types:
        site.write("types/" + name, b"x")
    with site.server.client() as client:
        for name, media_type in types.items():
            answer = client.get("/types/" + name)
            assert (name, answer.headers["Content-Type"]) == (name, media_type)
            assert answer.headers.get_all("X-Content-Type-Options") == ["nosniff"]


PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data: blob:; "
    "font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
SANDBOX = "default-src 'none'; style-src 'unsafe-inline'; sandbox"


@pytest.mark.parametrize("bytes_", [5, 100000], ids=["memory", "file"])
@pytest.mark.parametrize("range_", [None, "bytes=1-2"])
def test_security_headers(site, bytes_, range_):
    headers = {"Range": range_} if range_ else {}
    policies = {"p.html": PAGE_POLICY, "p.js": PAGE_POLICY, "p.svg": SANDBOX, "p.xml": SANDBOX, "p.pdf": SANDBOX,
                "p.css": None, "p.mp4": None}
    for name, policy in policies.items():
        name = f"{bytes_}{name}"
        site.write(name, b"x" * bytes_)
        answer = site.get("/" + name, **headers)
        assert answer.status == (206 if range_ else 200)
        assert answer.headers.get_all("Content-Security-Policy") == ([policy] if policy else None), name
        assert answer.headers.get_all("X-Content-Type-Options") == ["nosniff"]
        is_page = name.endswith(".html")
        assert answer.headers["Referrer-Policy"] == ("no-referrer" if is_page else None)
        assert answer.headers["Cross-Origin-Opener-Policy"] == ("same-origin" if is_page else None)
        assert answer.headers.get_all("Cross-Origin-Resource-Policy") == ["same-origin"]


@pytest.mark.parametrize("name,is_forever", [
    ("app.0f3a9c1e.js", True), ("app-0f3a9c1e.min.css", True), ("uplot-1.6.31.min.js", False), ("app.js", False),
    ("page.0f3a9c1e.html", False),
])
def test_cache_control(site, name, is_forever):
    site.write(name, b"x")
    wanted = "public, max-age=31536000, immutable" if is_forever else "no-cache"
    answer = site.get("/" + name)
    assert answer.headers["Cache-Control"] == wanted
    again = site.get("/" + name, if_none_match=answer.headers["ETag"])
    assert (again.status, again.headers["Cache-Control"]) == (304, wanted)


# ---- parts ----------------------------------------------------------------------------------------


@both
def test_one_range(site, path, data):
    n = len(data)
    whole = site.get(path)
    parts = {"0-0": (0, 0), "2-5": (2, 5), "100-": (100, n - 1), f"{n - 1}-": (n - 1, n - 1), "-1": (n - 1, n - 1),
             "-300": (n - 300, n - 1), f"-{n + 1}": (0, n - 1), "0-": (0, n - 1), f"5-{n + 100}": (5, n - 1),
             "1-99999999999999999999999": (1, n - 1)}
    with site.server.client() as client:
        for text, (first, last) in parts.items():
            answer = client.get(path, range=f"bytes={text}")
            assert answer.status == 206, text
            assert answer.body == data[first:last + 1], text
            assert answer.headers["Content-Range"] == f"bytes {first}-{last}/{n}"
            assert answer.headers["Content-Length"] == str(last - first + 1)
            for name in ("ETag", "Last-Modified", "Content-Type", "Cache-Control", "Accept-Ranges"):
                assert answer.headers[name] == whole.headers[name]
        assert client.get(path).body == data


@both
@pytest.mark.parametrize("text", ["0-0,2-3", "0-0, -1", "5-2", "a-b", "-", "", "1", "0-0,x"])
def test_several_or_malformed_ranges_are_the_whole(site, path, data, text):
    answer = site.get(path, range=f"bytes={text}")
    assert (answer.status, answer.body) == (200, data)
    assert "Content-Range" not in answer.headers


@pytest.mark.parametrize("path,bytes_", [("/small.bin", len(SMALL)), ("/large.bin", len(LARGE)), ("/empty.txt", 0)])
def test_a_range_outside(site, path, bytes_):
    with site.server.client() as client:
        for text in (f"{bytes_}-", f"{bytes_ + 5}-{bytes_ + 9}", "-0", "99999999999999999999999-"):
            answer = client.get(path, range=f"bytes={text}")
            assert_problem(answer, 416, "range-not-satisfiable", bytes=bytes_)
            assert answer.headers["Content-Range"] == f"bytes */{bytes_}"
        assert client.get(path).status == 200


def test_range_is_for_get_only(site):
    answer = site.ask("HEAD", "/small.bin", range="bytes=0-0")
    assert (answer.status, answer.headers["Content-Length"]) == (200, str(len(SMALL)))
    assert site.ask("HEAD", "/small.bin", range="bytes=99999-").status == 200


def test_an_empty_file(site):
    answer = site.get("/empty.txt")
    assert (answer.status, answer.body, answer.headers["Content-Length"]) == (200, b"", "0")
    assert site.get("/empty.txt", if_none_match=answer.headers["ETag"]).status == 304
    assert site.get("/empty.txt", range="bytes=-5").status == 200


@both
def test_if_range(site, path, data):
    whole = site.get(path)
    etag, date = whole.headers["ETag"], whole.headers["Last-Modified"]
    earlier = email.utils.formatdate(email.utils.parsedate_to_datetime(date).timestamp() - 1, usegmt=True)
    for value, status in ((etag, 206), (date, 206), ("W/" + etag, 200), ('"x"', 200), (earlier, 200), ("*", 200)):
        answer = site.get(path, range="bytes=1-2", if_range=value)
        assert (value, answer.status) == (value, status)
        assert answer.body == (data[1:3] if status == 206 else data)
    # What is outside of a part of something else is not outside of the whole.
    assert site.get(path, range="bytes=99999999-", if_range='"x"').status == 200


@both
def test_curl_goes_on_where_it_was_cut(site, tmp_path, path, data):
    part = tmp_path / "part"
    part.write_bytes(data[:700])
    done = run("curl", "-sS", "--fail", "-C", "-", "-D", "-", "-o", part, site.server.url + path)
    assert done.returncode == 0, done.stderr
    assert "206" in done.stdout.splitlines()[0]
    assert part.read_bytes() == data


def test_files_beyond_4_gib(site):
    path = site.write("huge.bin", b"begin")
    mark = b"beyond the bounds of 32 bits"
    with open(path, "r+b") as f:
        f.seek(4 * GIB + 7)
        f.write(mark)
        f.truncate(5 * GIB)
    wait_until(lambda: site.ask("HEAD", "/huge.bin").headers["Content-Length"] == str(5 * GIB), "the whole length")
    first, last = 4 * GIB + 7, 4 * GIB + 6 + len(mark)
    answer = site.get("/huge.bin", range=f"bytes={first}-{last}")
    assert (answer.status, answer.body) == (206, mark)
    assert answer.headers["Content-Range"] == f"bytes {first}-{last}/{5 * GIB}"
    assert site.get("/huge.bin", range="bytes=-3").body == b"\0\0\0"
    assert site.get("/huge.bin", range="bytes=0-4").body == b"begin"
    assert_problem(site.get("/huge.bin", range=f"bytes={5 * GIB}-"), 416, "range-not-satisfiable", bytes=5 * GIB)
    with site.server.connect() as sock:
        sock.sendall(b"GET /huge.bin HTTP/1.1\r\nHost: " + site.server.url[7:].encode() + b"\r\n\r\n")
        head = sock.recv(4096)
        assert head.startswith(b"HTTP/1.1 200 ") and f"Content-Length: {5 * GIB}\r\n".encode() in head
    path.unlink()


# ---- preconditions --------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_preconditions(site, path, data, method):
    whole = site.get(path)
    etag, date = whole.headers["ETag"], whole.headers["Last-Modified"]
    at = email.utils.parsedate_to_datetime(date).timestamp()
    earlier, later = (email.utils.formatdate(at + s, usegmt=True) for s in (-1, 1))
    cases = [
        ({"if_none_match": etag}, 304), ({"if_none_match": f'"x", W/{etag}'}, 304), ({"if_none_match": "*"}, 304),
        ({"if_none_match": '"x"'}, 200), ({"if_modified_since": date}, 304), ({"if_modified_since": later}, 304),
        ({"if_modified_since": earlier}, 200), ({"if_modified_since": "rubbish"}, 200),
        ({"if_none_match": '"x"', "if_modified_since": later}, 200),
        ({"if_none_match": etag, "if_modified_since": earlier}, 304),
        ({"if_match": etag}, 200), ({"if_match": "*"}, 200), ({"if_match": '"x"'}, 412), ({"if_match": "W/" + etag}, 412),
        ({"if_unmodified_since": date}, 200), ({"if_unmodified_since": earlier}, 412),
        ({"if_unmodified_since": "rubbish"}, 200), ({"if_match": etag, "if_unmodified_since": earlier}, 200),
        ({"if_match": '"x"', "if_none_match": etag}, 412), ({"if_match": etag, "if_none_match": etag}, 304),
        ({"if_unmodified_since": earlier, "if_modified_since": date}, 412),
    ]
    with site.server.client() as client:
        for headers, status in cases:
            answer = client.ask(method, path, headers={k.replace("_", "-"): v for k, v in headers.items()})
            assert (headers, answer.status) == (headers, status)
            if status == 304:
                assert answer.body == b"" and "Content-Type" not in answer.headers
                assert (answer.headers["ETag"], answer.headers["Last-Modified"]) == (etag, date)
                assert answer.headers["Content-Length"] in (None, str(len(data)))
            if status == 412 and method == "GET":
                assert_problem(answer, 412, "precondition-failed")
            if status == 200 and method == "GET":
                assert answer.body == data


def test_preconditions_come_before_range(site):
    etag = site.get("/small.bin").headers["ETag"]
    assert site.get("/small.bin", range="bytes=0-0", if_none_match=etag).status == 304
    assert site.get("/small.bin", range="bytes=0-0", if_match='"x"').status == 412
    assert site.get("/small.bin", range="bytes=99999-", if_none_match=etag).status == 304
    assert site.get("/small.bin", range="bytes=0-0", if_match=etag).status == 206


def test_a_list_in_several_lines_is_one(site):
    etag = site.get("/small.bin").headers["ETag"].encode()
    answer = site.server.raw(b"GET /small.bin HTTP/1.1\r\nHost: " + site.server.url[7:].encode() +
                             b'\r\nIf-None-Match: "x"\r\nIf-None-Match: ' + etag + b"\r\nConnection: close\r\n\r\n")
    assert answer.status == 304


def test_a_file_from_the_future_is_not_said_to_be(site):
    site.write("future.txt", b"x", 4_000_000_000)
    answer = site.get("/future.txt")
    sent, modified = (email.utils.parsedate_to_datetime(answer.headers[h]) for h in ("Date", "Last-Modified"))
    assert modified <= sent


# ---- compressed forms -----------------------------------------------------------------------------


def forms_of(site, name):
    return {"br": (site.folder / (name + ".br")).read_bytes(), "gzip": (site.folder / (name + ".gz")).read_bytes(),
            None: (site.folder / name).read_bytes()}


@pytest.mark.parametrize("name", ["page.html", "large.txt"])
def test_the_form_that_is_liked_best(site, name):
    forms = forms_of(site, name)
    plain = site.get("/" + name)
    cases = {"br": "br", "gzip": "gzip", "gzip, br": "br", "gzip;q=1, br;q=0.9": "gzip", "br;q=0, gzip": "gzip",
             "identity": None, "": None, "zstd": None, "*": "br", "*;q=0": None, "identity;q=0, *;q=0": None,
             "gzip;q=0.5, identity": None, "gzip, deflate, br, zstd": "br"}
    with site.server.client() as client:
        for accept, encoding in cases.items():
            answer = client.get("/" + name, accept_encoding=accept)
            assert answer.status == 200
            assert (accept, answer.headers["Content-Encoding"]) == (accept, encoding)
            assert answer.body == forms[encoding]
            assert answer.headers["Vary"] == "Accept-Encoding"
            assert answer.headers["Content-Type"] == plain.headers["Content-Type"]


def test_without_accept_encoding_it_comes_as_it_is(site):
    answer = site.server.raw(b"GET /page.html HTTP/1.1\r\nHost: " + site.server.url[7:].encode() + b"\r\nConnection: close\r\n\r\n")
    assert (answer.status, answer.headers["Content-Encoding"], answer.headers["Vary"]) == (200, None, "Accept-Encoding")


@pytest.mark.parametrize("name", ["page.html", "large.txt"])
def test_each_form_has_validators_of_its_own(site, name):
    tags = {e: site.get("/" + name, accept_encoding=e).headers["ETag"] for e in ("br", "gzip", "identity")}
    assert len(set(tags.values())) == 3 and not any(tag.startswith("W/") for tag in tags.values())
    for mine in tags:
        for other, tag in tags.items():
            answer = site.get("/" + name, accept_encoding=mine, if_none_match=tag)
            assert answer.status == (304 if mine == other else 200)
            assert answer.headers["Vary"] == "Accept-Encoding"
            if answer.status == 304:
                assert answer.headers["ETag"] == tags[mine]


@pytest.mark.parametrize("name", ["page.html", "large.txt"])
def test_all_answers_about_forms_vary(site, name):
    n = (site.folder / (name + ".gz")).stat().st_size
    for headers, status in (({"range": "bytes=0-1"}, 206), ({"range": f"bytes={n}-"}, 416), ({"if_match": '"x"'}, 412),
                            ({"if_none_match": "*"}, 304)):
        answer = site.get("/" + name, accept_encoding="gzip", **headers)
        assert (answer.status, answer.headers["Vary"]) == (status, "Accept-Encoding")
    assert "Vary" not in site.get("/small.bin", accept_encoding="gzip").headers


@pytest.mark.parametrize("name", ["page.html", "large.txt"])
def test_a_range_is_one_of_the_form(site, name):
    for encoding, data in forms_of(site, name).items():
        answer = site.get("/" + name, accept_encoding=encoding or "identity", range="bytes=3-9")
        assert (answer.status, answer.body) == (206, data[3:10])
        assert answer.headers["Content-Range"] == f"bytes 3-9/{len(data)}"
        assert answer.headers["Content-Encoding"] == encoding
    # A part of another form must not be glued to this one.
    etag = site.get("/" + name, accept_encoding="br").headers["ETag"]
    assert site.get("/" + name, accept_encoding="gzip", range="bytes=3-9", if_range=etag).status == 200


def test_dates_do_not_match_across_forms(site):
    dates = {e: site.get("/page.html", accept_encoding=e).headers["Last-Modified"] for e in ("br", "gzip", "identity")}
    assert len(set(dates.values())) == 3
    for mine in dates:
        for other, date in dates.items():
            answer = site.get("/page.html", accept_encoding=mine, if_modified_since=date)
            assert answer.status == (304 if mine == other else 200), (mine, other)


def test_one_date_of_two_forms_matches_none(site):
    for ending in ("", ".gz"):
        site.write("twins.txt" + ending, b"as if" + ending.encode(), THEN)
    for accept in ("gzip", "identity"):
        answer = site.get("/twins.txt", accept_encoding=accept)
        date = answer.headers["Last-Modified"]
        assert site.get("/twins.txt", accept_encoding=accept, if_modified_since=date).status == 200
        assert site.get("/twins.txt", accept_encoding=accept, if_none_match=answer.headers["ETag"]).status == 304
        assert site.get("/twins.txt", accept_encoding=accept, range="bytes=0-1", if_range=date).status == 200


def test_an_old_form_is_ignored(site):
    site.write("stale.txt", b"the new text", THEN + 10)
    site.write("stale.txt.gz", gzip.compress(b"the old text"), THEN)
    site.write("stale.txt.br", b"of this version", THEN + 10)
    answer = site.get("/stale.txt", accept_encoding="gzip")
    assert (answer.headers["Content-Encoding"], answer.body) == (None, b"the new text")
    assert site.get("/stale.txt", accept_encoding="gzip, br").body == b"of this version"
    site.write("older.txt", b"the new text", THEN + 10)
    site.write("older.txt.gz", gzip.compress(b"the old text"), THEN)
    assert "Vary" not in site.get("/older.txt", accept_encoding="gzip").headers


def test_forms_can_be_asked_for_by_name(site):
    for ending, media_type in ((".gz", "application/gzip"), (".br", "application/octet-stream")):
        answer = site.get("/page.html" + ending, accept_encoding="gzip, br")
        assert answer.body == (site.folder / ("page.html" + ending)).read_bytes()
        assert (answer.headers["Content-Type"], answer.headers["Content-Encoding"]) == (media_type, None)
        assert "Vary" not in answer.headers


def test_a_compressed_file_has_no_forms(site):
    site.write("twice.txt.gz", b"as if gzip", THEN)
    site.write("twice.txt.gz.br", b"as if brotli", THEN)
    answer = site.get("/twice.txt.gz", accept_encoding="br")
    assert (answer.body, answer.headers["Content-Encoding"], answer.headers["Vary"]) == (b"as if gzip", None, None)


def test_a_form_without_its_file_is_not_the_file(site):
    site.write("only.txt.gz", gzip.compress(b"only"))
    assert site.get("/only.txt", accept_encoding="gzip").status == 404


def test_a_page_without_its_ending_has_forms_too(site):
    answer = site.get("/page", accept_encoding="gzip")
    assert gzip.decompress(answer.body) == (site.folder / "page.html").read_bytes()
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"


def test_curl_unpacks_what_it_gets(site):
    done = subprocess.run(["curl", "-sS", "-H", "Accept-Encoding: gzip", "--compressed", site.server.url + "/page.html"],
                          capture_output=True, timeout=60, check=True)
    assert done.stdout == (site.folder / "page.html").read_bytes()


# ---- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["größe.txt", "日本 語.txt", "a b.txt", "100%.txt", "a+b.txt", "q?.txt", "x#y.txt", "é/ü.txt",
                                  "semi;colon.txt", "quote'\".txt", "%41.txt"])
def test_names(site, name):
    site.write(name, name.encode())
    answer = site.get("/" + urllib.parse.quote(name))
    assert (answer.status, answer.text) == (200, name)


@pytest.mark.parametrize("target,location", [
    ("/sub", "/sub/"), ("/sub?", "/sub/?"), ("/sub?a=1", "/sub/?a=1"), ("/sub?a=1&b&c=&a=2", "/sub/?a=1&b&c=&a=2"),
    ("/sub?x=%2F%26%3D+%0D%0A", "/sub/?x=%2F%26%3D+%0D%0A"), ("/s%75b", "/s%75b/"),
])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_directory_leads_to_its_index(site, method, target, location):
    answer = site.ask(method, target)
    assert (answer.status, answer.headers["Location"], answer.body) == (308, location, b"")
    assert site.get(answer.headers["Location"]).text == "<p>sub"


@pytest.mark.parametrize("target", ["//sub", "//evil.example/sub", "/%2fsub", "/%2f%2fevil.example", "/%5csub", "/%5c%5cevil",
                                    "/sub%2f", "/./sub", "/bare", "/bare?x=//evil", "/bare/", "//", "/..", "/sub/.."])
def test_nothing_leads_elsewhere(site, target):
    with site.server.connect() as sock:
        sock.sendall(f"GET {target} HTTP/1.1\r\nHost: {site.server.url[7:]}\r\nConnection: close\r\n\r\n".encode())
        answer = read_answer(sock)
    assert answer.status == 404 and "Location" not in answer.headers


def test_a_query_that_grows_too_long_is_refused(site):
    answer = site.get("/sub?" + "%20" * 3000)
    assert answer.status in (414, 431) and "Location" not in answer.headers


def test_a_page_goes_before_a_directory(site):
    site.write("both/index.html", b"the directory")
    site.write("both.html", b"the page")
    assert site.get("/both").text == "the page"
    assert site.get("/both/").text == "the directory"


# ---- while they change ----------------------------------------------------------------------------


def test_changes_are_seen(site):
    sizes = (20, 100000)  # in memory, from the file

    def names(ending=""):
        return [(f"live{n}.txt{ending}", n) for n in sizes]

    with site.server.client() as client:

        def await_all(text, encoding, what):
            def is_seen(n):
                answer = client.get(f"/live{n}.txt", accept_encoding="gzip")
                if text is None:
                    return answer.status == 404
                return (answer.status, answer.body, answer.headers["Content-Encoding"]) == (200, text * n, encoding)

            wait_until(lambda: all(map(is_seen, sizes)), what)

        for name, n in names():
            site.write(name, b"1" * n, THEN)
        await_all(b"1", None, "the files")
        for name, n in names():
            site.write(name, b"2" * n, THEN)  # as long and as old as the one before
        await_all(b"2", None, "their successors")
        for name, n in names(".gz"):
            site.write(name, b"3" * n, THEN)
        await_all(b"3", "gzip", "their compressed forms")
        for name, _ in names(".gz"):
            (site.folder / name).unlink()
        await_all(b"2", None, "the compressed forms gone")
        for name, _ in names():
            (site.folder / name).unlink()
        await_all(None, None, "the files gone")


def test_a_new_version_has_a_new_etag(site):
    """Also when length and time of modification are those of the old one."""
    tags = set()
    with site.server.client() as client:
        for text in (b"one", b"two"):
            site.write("twice.txt", text, THEN)
            wait_until(lambda: client.get("/twice.txt").body == text, "the new one")  # pylint: disable=cell-var-from-loop
            tags.add(client.get("/twice.txt").headers["ETag"])
    assert len(tags) == 2


def test_who_reads_slowly_gets_the_version_that_he_asked_for(site):
    versions = [bytes([i]) * (24 << 20) for i in (1, 2)]
    site.write("slow.bin", versions[0])
    request = b"GET /slow.bin HTTP/1.1\r\nHost: " + site.server.url[7:].encode() + b"\r\n\r\n"
    with site.server.connect() as slow, site.server.client() as client:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        slow.sendall(request)
        first = slow.recv(1, socket.MSG_PEEK)
        assert first == b"H"
        site.write("slow.bin", versions[1])
        wait_until(lambda: client.get("/slow.bin", range="bytes=0-0").body == b"\2", "the new version")
        assert read_answer(slow).body == versions[0]

        def is_new():
            slow.sendall(request)
            return read_answer(slow).body == versions[1]

        wait_until(is_new, "the new version on the other connection")


def test_open_files_are_bounded(site):
    for i in range(150):
        site.write(f"many/{i}.bin", bytes([i]) * 70000)
    with site.server.client() as client:
        for i in list(range(150)) * 2:
            assert client.get(f"/many/{i}.bin").body == bytes([i]) * 70000
    kept = [path for path in open_fds(site.server.pid).values() if path.startswith(str(site.folder) + "/many/")]
    assert 0 < len(kept) <= 16  # by the one thread that was asked


def await_kept(site, client, *names):
    """Asks until the files are kept open, which they may be once others have got cold."""

    def are_kept():
        for name in names:
            assert client.get("/" + name).body == LARGE
        return {str(site.folder / name) for name in names} <= set(open_fds(site.server.pid).values())

    for name in names:
        site.write(name, LARGE)
    wait_until(are_kept, f"{names} to be kept open")


def test_files_that_nobody_asks_for_give_way(site):
    with site.server.client() as client:
        for i in range(30):
            site.write(f"cold/{i}.bin", bytes([i]) * 70000)
            client.get(f"/cold/{i}.bin")
        await_kept(site, client, *(f"hot{i}.bin" for i in range(6)))


def test_without_descriptors_a_file_is_not_said_to_be_absent(site):
    limits = resource.prlimit(site.server.pid, resource.RLIMIT_NOFILE)
    with site.server.client() as client:
        assert client.get("/small.bin").status == 200
        await_kept(site, client, "kept.bin")
        resource.prlimit(site.server.pid, resource.RLIMIT_NOFILE, (1, limits[1]))
        try:
            for path in ("/not-asked-for-yet.txt", "/bare/x.txt", "/sub"):
                answer = client.get(path)
                assert_problem(answer, 503, "exhausted", retry_after=1)
                assert answer.headers["Retry-After"] == "1"
            # What is kept goes on, though it cannot be looked at again; but a part of an open file needs one more.
            assert client.get("/small.bin").body == SMALL
            assert client.get("/small.bin", range="bytes=0-3").body == SMALL[:4]
            assert client.get("/kept.bin").body == LARGE
            assert_problem(client.get("/kept.bin", range="bytes=0-3"), 503, "exhausted")
        finally:
            resource.prlimit(site.server.pid, resource.RLIMIT_NOFILE, limits)
        assert client.get("/not-asked-for-yet.txt").status == 404
        assert client.get("/bare/x.txt").body == b"x"
        assert client.get("/sub").status == 308
        assert client.get("/kept.bin", range="bytes=0-3").body == LARGE[:4]
