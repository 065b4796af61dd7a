"""The pages as `make` puts them beside the program: what a browser that keeps and expands gets of them, and when they change."""
import gzip
import os
import shutil
import subprocess

import pytest
from conftest import DIR, ROOT, run, wait_until

ORIGINALS = sorted(p for p in (ROOT / "www").rglob("*") if p.is_file())
TEXTS = {".html", ".css", ".js", ".mjs", ".json", ".svg", ".txt", ".md", ".webmanifest"}
TYPES = {
    ".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


def name_of(path):
    return str(path.relative_to(ROOT / "www"))


def is_pressed(path):
    return path.suffix in TEXTS and path.stat().st_size >= 500


def expand(body, encoding):
    if encoding == "br":
        return subprocess.run(["brotli", "-dc"], input=body, capture_output=True, check=True, timeout=60).stdout
    return gzip.decompress(body) if encoding == "gzip" else body


@pytest.fixture(scope="module")
def s(shared_server):
    return shared_server(workers=1)


@pytest.mark.parametrize("encoding", ["br", "gzip", "identity"])
@pytest.mark.parametrize("path", ORIGINALS, ids=name_of)
def test_every_file_is_served_as_it_is(s, path, encoding):
    answer = s.get("/" + name_of(path), accept_encoding=encoding)
    assert answer.status == 200
    assert expand(answer.body, answer.headers["Content-Encoding"] or "identity") == path.read_bytes()
    assert answer.headers["Content-Type"] == TYPES.get(path.suffix, answer.headers["Content-Type"])
    assert answer.headers["Cache-Control"] == "no-cache"
    if is_pressed(path):
        assert answer.headers["Content-Encoding"] == (None if encoding == "identity" else encoding)
        assert answer.headers["Vary"] == "Accept-Encoding"
        assert encoding == "identity" or len(answer.body) < path.stat().st_size


@pytest.mark.parametrize("path", [p for p in ORIGINALS if p.suffix == ".html"], ids=name_of)
def test_a_page_has_a_short_name_a_policy_and_is_asked_for_anew(s, path):
    target = "/" if path.stem == "index" else f"/{path.stem}"
    answer = s.get(target, accept_encoding="br, gzip")
    assert (answer.status, answer.headers["Content-Encoding"]) == (200, "br")
    assert expand(answer.body, "br") == path.read_bytes()
    policy = answer.headers["Content-Security-Policy"].split("; ")
    assert "default-src 'none'" in policy and "script-src 'self'" in policy and "unsafe" not in answer.headers["Content-Security-Policy"]
    again = s.get(target, accept_encoding="br, gzip", if_none_match=answer.headers["ETag"])
    assert (again.status, again.body) == (304, b"")
    assert s.get(target, accept_encoding="gzip", if_none_match=answer.headers["ETag"]).status == 200


def test_nothing_is_served_that_has_no_original():
    pressed = {name_of(p) + ending for p in ORIGINALS if is_pressed(p) for ending in (".br", ".gz")}
    there = {str(p.relative_to(DIR / "www")) for p in (DIR / "www").rglob("*") if p.is_file()}
    assert there == {name_of(p) for p in ORIGINALS} | pressed


# ---- the making of them ---------------------------------------------------------------------------


def copy(source, target):
    ended = run("sh", ROOT / "src/pages.sh", source, target)
    assert ended.returncode == 0, ended.stderr


def names(folder):
    return sorted(p.name for p in folder.iterdir())


def test_copies_have_the_time_of_their_original(tmp_path):
    (tmp_path / "to").mkdir()
    source, target = tmp_path / "page.html", tmp_path / "to/page.html"
    source.write_text("<p>" + "page " * 200)
    source.chmod(0o600)
    os.utime(source, ns=(10**18, 10**18 + 123456789))
    copy(source, target)
    assert names(tmp_path / "to") == ["page.html", "page.html.br", "page.html.gz"]
    assert {p.stat().st_mtime_ns for p in target.parent.iterdir()} == {10**18 + 123456789}
    assert {p.stat().st_mode & 0o777 for p in target.parent.iterdir()} == {0o644}


def test_forms_that_are_of_no_use_any_more_go(tmp_path):
    (tmp_path / "to").mkdir()
    source, target = tmp_path / "data.json", tmp_path / "to/data.json"
    source.write_text("[" + "1," * 500 + "1]")
    copy(source, target)
    assert len(names(tmp_path / "to")) == 3
    source.write_text("[1]")
    copy(source, target)
    assert names(tmp_path / "to") == ["data.json"] and target.read_text() == "[1]"
    source.write_bytes(os.urandom(2000))  # nothing makes it smaller
    copy(source, target)
    assert names(tmp_path / "to") == ["data.json"]


def test_a_page_that_is_made_anew_is_served_in_all_its_forms(server, tmp_path):
    source = tmp_path / "page.html"
    shutil.copyfile(ROOT / "www/index.html", source)
    (tmp_path / "www").mkdir()
    copy(source, tmp_path / "www/page.html")
    s = server(workers=1, www=tmp_path / "www")
    forms = ("br", "gzip", "identity")

    def bodies():
        answers = [s.get("/page", accept_encoding=form) for form in forms]
        return {expand(a.body, a.headers["Content-Encoding"] or "identity") for a in answers}

    assert bodies() == {source.read_bytes()}
    source.write_text("<!doctype html>" + "<p>anew</p>" * 100)
    copy(source, tmp_path / "www/page.html")
    wait_until(lambda: bodies() == {source.read_bytes()}, "the new page")
