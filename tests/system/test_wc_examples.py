"""The kernels that people copy: built with what pkg-config says, as one would elsewhere, and run by a server."""
import base64
import json
import os
import struct
import zlib

import pytest
from conftest import BUILD, DIR, ROOT, assert_problem, clean_environment, events_of, run

EXAMPLES = ROOT / "src/kernel/examples"


def make(*arguments, **more):
    env = {name: value for name, value in clean_environment(**more).items() if not name.startswith("MAKE")}
    ended = run("make", "--no-print-directory", *arguments, cwd=ROOT, env=env, timeout=300)
    assert ended.returncode == 0 and "warning" not in ended.stderr, ended.stdout + ended.stderr


def pkg_config(folder, *arguments):
    ended = run("pkg-config", *arguments, "prong", env=clean_environment(PKG_CONFIG_PATH=folder))
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


@pytest.fixture(scope="module")
def kernels(tmp_path_factory):
    """A directory with the examples, built from the tree."""
    folder = tmp_path_factory.mktemp("examples")
    umask = os.umask(0o022)
    try:
        # Relative, as one types it.
        make("-C", EXAMPLES.relative_to(ROOT), f"OUT={folder}", PKG_CONFIG_PATH=os.path.relpath(DIR, ROOT) + "/pkgconfig")
    finally:
        os.umask(umask)
    return folder


@pytest.fixture(scope="module")
def one(shared_server, kernels):
    return shared_server(workers=1, kernels=kernels)


@pytest.fixture(scope="module")
def three(shared_server, kernels):
    return shared_server(workers=3, kernels=kernels)


def test_every_example_is_built_and_loaded(one, kernels):
    names = {path.stem for path in EXAMPLES.glob("*.c")}
    assert names == {path.stem for path in kernels.iterdir()} and {"template", "raytrace"} <= names
    catalogue = one.get("/compute").json["kernels"]
    assert {k["name"] for k in catalogue} == names
    for k in catalogue:
        answer = one.get(k["example"])
        assert answer.status == 200 and answer.headers["Content-Type"] == k["media_type"], (k["name"], answer)
    assert one.warnings() == []


def test_template(one, three):
    for server in (one, three):
        assert server.get("/compute/template").json == server.get("/compute/template", prong_chunks=50).json == {"number": 837799, "steps": 524}
    assert_problem(one.get("/compute/template?limit=1"), 400, "bad-parameter")


PICTURE = "/compute/raytrace?width=333&height=190&samples=3&seed=4&angle=-70&spheres=40"


@pytest.mark.parametrize("chunks", [1, 2, 7, 64])
def test_a_picture_is_the_same_to_the_last_bit(one, three, chunks):
    whole = one.get(PICTURE, prong_chunks=1)
    assert whole.status == 200 and whole.headers["Content-Type"] == "image/png"
    assert one.get(PICTURE, prong_chunks=chunks).body == whole.body
    assert three.get(PICTURE, prong_chunks=chunks).body == whole.body
    assert three.get(PICTURE).body == whole.body


def pixels_of(png):
    """(width, height, RGB) of a PNG without filters, which is what the kernel writes."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    at, data, head = 8, b"", None
    while at < len(png):
        (size,), kind = struct.unpack(">I", png[at : at + 4]), png[at + 4 : at + 8]
        body = png[at + 8 : at + 8 + size]
        assert struct.unpack(">I", png[at + 8 + size : at + 12 + size])[0] == zlib.crc32(kind + body)
        if kind == b"IHDR":
            head = struct.unpack(">IIBBBBB", body)
        elif kind == b"IDAT":
            data += body
        at += 12 + size
    width, height, *rest = head
    assert rest == [8, 2, 0, 0, 0]
    rows, line = zlib.decompress(data), 1 + 3 * width
    assert len(rows) == height * line and set(rows[::line]) == {0}
    return width, height, b"".join(rows[y * line + 1 : (y + 1) * line] for y in range(height))


def test_tiles_paint_the_picture_as_they_land(three):
    answer = three.get(PICTURE, headers={"Accept": "text/event-stream"})
    tiles = [json.loads(data) for event, data in events_of(answer.text) if event == "part"]
    width, height, expected = pixels_of(three.get(PICTURE).body)
    painted = bytearray(3 * width * height)
    for tile in tiles:
        rgb = base64.b64decode(tile["rgb"], validate=True)
        assert len(rgb) == 3 * tile["width"] * tile["height"]
        for row in range(tile["height"]):
            to = 3 * ((tile["y"] + row) * width + tile["x"])
            painted[to : to + 3 * tile["width"]] = rgb[3 * tile["width"] * row : 3 * tile["width"] * (row + 1)]
    assert sum(tile["width"] * tile["height"] for tile in tiles) == width * height
    assert painted == expected


def test_a_picture_is_stopped_when_its_client_leaves(three):
    three.wait_idle()
    with three.connect() as sock:
        sock.sendall(b"GET /compute/raytrace?width=4096&height=2048&samples=1000 HTTP/1.1\r\nHost: x\r\nProng-Timeout: 3600\r\n\r\n")
        three.wait_busy(3)
    three.wait_idle()


def test_too_large_a_picture_is_refused(one):
    problem = assert_problem(one.get("/compute/raytrace?width=4096&height=4096"), 500, "kernel-failed")
    assert problem["detail"] == "4096 by 4096 pixels are too many: 8388608 are the most."


# ---- installed ------------------------------------------------------------------------------------


def test_what_is_installed_builds_and_takes_kernels(server, tmp_path):
    prefix = tmp_path / "installed"
    make("install", f"BUILD={BUILD}", f"PREFIX={prefix}")
    found = prefix / "lib/pkgconfig"
    header = (ROOT / "include/prong/kernel.h").read_text()
    major, minor = (header.split(f"define PRONG_ABI_{part} ")[1].split("u")[0] for part in ("MAJOR", "MINOR"))
    assert pkg_config(found, "--variable=abi") == f"{major}.{minor}"
    assert pkg_config(found, "--modversion") == pkg_config(DIR / "pkgconfig", "--modversion")
    kernels = pkg_config(found, "--variable=kernelsdir")
    out = tmp_path / "out"
    out.mkdir()
    # What is installed beside it is what people copy.
    make("-C", prefix / "share/prong/examples/c", "install", f"OUT={out}", PKG_CONFIG_PATH=found)
    assert run(prefix / "bin/prong-check", "/bin/sh", prefix / "share/prong/examples/sh/wordlength.sh").returncode == 0
    assert run(prefix / "bin/prong-check", prefix / "libexec/prong/prong-host", out / "template.so").returncode == 0
    installed_pages = {p.name: p.stat().st_mtime_ns for p in (prefix / "share/prong/www").iterdir() if p.is_file()}
    assert installed_pages == {p.name: p.stat().st_mtime_ns for p in (DIR / "www").iterdir() if p.is_file()}
    s = server(workers=1, kernels=kernels)
    names = {k["name"] for k in s.get("/compute").json["kernels"]}
    assert {"template", "raytrace", "primes"} <= names
    assert s.get("/compute/template?limit=10").json == {"number": 9, "steps": 19}
    make("uninstall", f"PREFIX={prefix}")
    assert [path for path in prefix.rglob("*") if path.is_file()] == []
