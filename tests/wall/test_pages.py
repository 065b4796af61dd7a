"""What the pages are made of: no framework's magic, nothing that could turn what others say into markup or code, nothing of
another origin, and of other people's work only what is named here."""
import hashlib
import html.parser
import re

import pytest
from conftest import ROOT

WWW = ROOT / "www"
VENDOR = WWW / "vendor"
FILES = sorted(p for p in WWW.rglob("*") if p.is_file())
PAGES = [p for p in FILES if p.suffix == ".html"]
OURS = [p for p in FILES if VENDOR not in p.parents]
SCRIPTS = [p for p in OURS if p.suffix in (".js", ".mjs")]

# The files of the named releases, unchanged. Who takes a newer one writes its sums here, having read what changed.
VENDORED = {
    "uplot/LICENSE": "8f989229699b4fe2f1a0432d0e9edc338a8a911e250e2d1b01ecd770a5f5b1bd",
    "uplot/uPlot.iife.min.js": "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
    "uplot/uPlot.min.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
}

NAMESPACES = {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink", "http://www.w3.org/1999/xhtml"}

EXAMPLES = {"https://example.org/"}  # a name that is kept for examples

# Addresses that a form offers, as text: a file that has nothing else.
OFFERED = WWW / "js/collect/examples.js"

# Each takes a text for markup or for code.
SINKS = (
    r"innerHTML", r"outerHTML", r"insertAdjacentHTML", r"setHTML\w*", r"parseHTML\w*", r"createContextualFragment",
    r"DOMParser", r"srcdoc", r"document\.write\w*", r"\beval\s*\(", r"\bFunction\s*\(", r"javascript:",
    r"\bset(?:Timeout|Interval)\s*\(\s*[\"'`]", r"setAttribute\(\s*[\"'](?:style|on\w+)[\"']", r"\bcssText\b",
)


def shown(path):
    return str(path.relative_to(ROOT))


class Page(html.parser.HTMLParser):
    """The tags of a page with their attributes, and the text of those that must have none."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.within, self.inline = [], None, []
        self.feed(path.read_text())
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.within = tag

    def handle_endtag(self, tag):
        self.within = None

    def handle_data(self, data):
        if self.within in ("script", "style") and data.strip():
            self.inline.append(data)

    def attributes(self):
        return [(tag, name, value or "") for tag, attrs in self.tags for name, value in attrs.items()]


# ---- pages ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PAGES, ids=shown)
def test_a_page_holds_neither_script_nor_style(path):
    page = Page(path)
    assert page.inline == [] and "style" not in {tag for tag, _ in page.tags}
    wrong = [a for a in page.attributes() if a[1] == "style" or a[1].startswith("on") or a[2].strip().startswith("javascript:")]
    assert wrong == []
    assert [attrs for tag, attrs in page.tags if tag == "script" and "src" not in attrs] == []


@pytest.mark.parametrize("path", PAGES, ids=shown)
def test_what_a_page_loads_is_there_and_is_ours(path):
    for tag, attrs in Page(path).tags:
        target = attrs.get("src") if tag in ("script", "img") else attrs.get("href") if tag == "link" else None
        if target is not None:
            assert target.startswith("/") and (WWW / target[1:]).is_file(), target


def test_no_link_has_the_ending_of_a_file():
    wrong = [(shown(p), a) for p in PAGES for a in Page(p).attributes() if a[1] == "href" and re.search(r"\.html?\b", a[2])]
    assert wrong == []


def test_all_pages_have_the_same_head_and_are_in_it():
    heads = {re.search(r"<header.*?</header>", p.read_text(), re.S).group(0) for p in PAGES}
    assert len(heads) == 1
    links = set(re.findall(r'href="([^"]+)"', heads.pop()))
    assert {"/" if p.stem == "index" else f"/{p.stem}" for p in PAGES} <= links


# ---- scripts --------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", SCRIPTS, ids=shown)
def test_no_text_becomes_markup_or_code(path):
    text = path.read_text()
    found = [match.group(0) for sink in SINKS for match in re.finditer(sink, text)]
    assert found == []


def imports_of(path):
    for target in re.findall(r"""(?:\bfrom|\bimport)\s*\(?\s*["']([^"']+)["']""", path.read_text()):
        assert target.startswith((".", "/")), f"{shown(path)} imports {target}"
        yield (WWW / target[1:]) if target.startswith("/") else (path.parent / target).resolve()


def test_what_a_script_imports_is_there():
    left = [WWW / attrs["src"][1:] for p in PAGES for tag, attrs in Page(p).tags if tag == "script"]
    used = set()
    while left:
        path = left.pop()
        if path not in used:
            used.add(path)
            assert path.is_file(), f"{path} is imported, and is not there"
            left += imports_of(path) if VENDOR not in path.parents else []


# ---- other people ---------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [p for p in OURS if p.suffix in (".html", ".js", ".mjs", ".css", ".svg")], ids=shown)
def test_nothing_is_of_another_origin(path):
    urls = set(re.findall(r"""\b(?:https?|wss?):?//[^\s"'`)<>]+""", path.read_text()))
    if path == OFFERED:
        code = re.sub(r"//[^\n]*|\"[^\"\n]*\"", "", path.read_text()) if urls else ""
        assert re.fullmatch(r"\s*export const EXAMPLES = \[[,\s]*\];\s*", code), "only a list of texts may be here"
        return
    assert urls - NAMESPACES - EXAMPLES == set()
    assert not re.search(r"""(?:src|href)=["']//|url\(\s*["']?//|@import""", path.read_text())


def test_what_is_vendored_is_what_was_released():
    sums = {
        str(p.relative_to(VENDOR)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in VENDOR.rglob("*") if p.is_file() and p.name != "README.md"
    }
    assert sums == VENDORED
