"""The walls and floors, held by what the sources include and by what the programs are linked from."""
import os
import re

import pytest
from conftest import BUILD, DIR, ROOT, run

SRC = ROOT / "src"
PROGRAMS = ("prong", "prong-zygote", "prong-host", "prong-check", "prong-client")
SOURCES = sorted(p for pattern in ("*.c", "*.h") for p in SRC.rglob(pattern))
HEADERS = sorted(SRC.rglob("*.h")) + sorted((ROOT / "include").rglob("*.h"))
LINES_MAX, FUNCTION_LINES_MAX = 700, 70


def layers():
    found = {}
    for line in (SRC / "LAYERS").read_text().splitlines():
        if line and not line.startswith("#"):
            folder, allowed = line.split(":")
            assert folder not in found, f"{folder} is in LAYERS twice"
            found[folder] = set(allowed.split())
    return found


def folder_of(path):
    return str(path.parent.relative_to(SRC))


def code_of(path):
    """Without comments and the contents of strings, line by line as it was."""

    def blank(match):
        text = match.group(0)
        return text[0] + text[-1] if text[0] in "\"'" else re.sub(r"[^\n]", " ", text)

    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', blank, path.read_text(), flags=re.S)


def shown(path):
    return str(path.relative_to(ROOT))


# ---- floors ---------------------------------------------------------------------------------------


def test_layers_name_every_folder():
    assert set(layers()) == {folder_of(p) for p in SOURCES} - {"."}


def test_layers_only_point_downwards():
    """No circle: some order of the folders has every one above what it includes."""
    left = {folder: allowed - {"prong"} for folder, allowed in layers().items()}
    while left:
        free = {folder for folder, allowed in left.items() if not allowed & set(left)}
        assert free, f"a circle among {sorted(left)}"
        left = {folder: allowed for folder, allowed in left.items() if folder not in free}


def includes_of(path):
    return re.findall(r'^\s*#\s*include\s+"([^"]+)"', path.read_text(), re.M)


def allowed_for(folder):
    allowed = layers()[folder]
    return allowed | {folder} | ({"prong"} if "ipc" in allowed | {folder} else set())


@pytest.mark.parametrize("folder", sorted(layers()))
def test_includes(folder):
    wrong = []
    for path in (p for p in SOURCES if folder_of(p) == folder):
        for include in includes_of(path):
            if os.path.dirname(include) not in allowed_for(folder):
                wrong.append(f'{shown(path)} includes "{include}"')
    assert not wrong, "\n".join(wrong)


def test_includes_are_written_from_src():
    for path in SOURCES:
        for include in includes_of(path):
            assert ".." not in include and ((SRC / include).exists() or (ROOT / "include" / include).exists()), (path, include)


def test_kernels_include_nothing_of_ours_but_the_abi():
    """One of many files has a folder of its name, which nobody else sees."""
    builtin = SRC / "kernel/builtin"
    for path in [*builtin.rglob("*.[ch]"), *(SRC / "kernel/examples").glob("*.[ch]")]:
        name = path.stem if path.parent == builtin else path.parent.name
        own = {i for i in includes_of(path) if i.startswith(f"kernel/builtin/{name}/")}
        assert set(includes_of(path)) - own <= {"prong/kernel.h"}, path
        assert path.parent != builtin or (path.suffix == ".c" and "prong/kernel.h" in includes_of(path)), path


def test_the_abi_includes_nothing_of_ours():
    assert includes_of(ROOT / "include/prong/kernel.h") == []


@pytest.mark.parametrize("header", HEADERS, ids=shown)
def test_headers_compile_alone(header):
    ended = run(
        "gcc", "-fsyntax-only", "-std=gnu11", "-D_GNU_SOURCE", '-DPRONG_VERSION="x"', "-Wall", "-Wextra", "-Werror",
        "-Isrc", "-Iinclude", "-x", "c", "-include", header, "/dev/null", cwd=ROOT,
    )
    assert ended.returncode == 0, ended.stderr


def test_the_abi_compiles_as_c_plus_plus():
    try:
        ended = run("g++", "-fsyntax-only", "-Iinclude", "-x", "c++", "-include", "include/prong/kernel.h", "/dev/null", cwd=ROOT)
    except FileNotFoundError:
        pytest.skip("no g++ here")
    assert ended.returncode == 0, ended.stderr


# ---- the wall -------------------------------------------------------------------------------------


def needed(program):
    return re.findall(r"\(NEEDED\).*\[(.+)\]", run("readelf", "-d", program).stdout)


def symbols(program, *flags):
    ended = run("nm", *flags, program)
    assert ended.returncode == 0 and ended.stdout, ended.stderr
    return {re.sub(r"@.*", "", line.split()[-1]) for line in ended.stdout.splitlines() if not line.endswith(":")}


def functions_of(*folders):
    """The names of functions that these folders' objects define for others."""
    found = set()
    for folder in folders:
        for side in ("isolated", "server"):
            for path in (DIR / side / folder).glob("*.o"):
                ended = run("nm", "--defined-only", "--extern-only", path)
                found |= {line.split()[2] for line in ended.stdout.splitlines() if len(line.split()) == 3 and line.split()[1] == "T"}
    assert found, folders
    return found - {"main"}


OF_SERVER = ("thread", "jobs", "state", "pool", "http", "sched", "api")
OF_ZYGOTE = ("kernel", "program", "sandbox", "worker", "zygote")
OF_HOST = ("host", "kernel")


@pytest.mark.parametrize(
    "program,ours,theirs",
    [("prong", OF_SERVER, OF_ZYGOTE), ("prong-zygote", OF_ZYGOTE, OF_SERVER), ("prong-host", OF_HOST, OF_SERVER + ("zygote",))],
)
def test_a_program_holds_nothing_of_the_other_side(program, ours, theirs):
    """Two functions may have the same name, on either side of the wall."""
    has, ours, theirs = symbols(DIR / program, "--defined-only"), functions_of(*ours), functions_of(*theirs)
    crossed = sorted(has & (theirs - ours))
    assert crossed == []
    assert len(has & ours) > 20, "the test looks at the wrong thing"


def test_prong_loads_no_kernels():
    used = symbols(DIR / "prong", "--undefined-only")
    if BUILD in ("asan", "tsan"):
        pytest.skip("the sanitizer's own runtime uses these")
    assert not [lib for lib in needed(DIR / "prong") if "png" in lib]
    # libcurl, when it is first needed, by one file that knows no other name.
    assert used & {"dlopen", "dlsym", "dlmopen"} == {"dlopen", "dlsym"}
    assert {p for p in calls(r"\bdl(open|sym|mopen)\s*\(") if (DIR / "server" / p).with_suffix(".o").exists()} == {"fetch/libcurl.c"}
    assert set(re.findall(r'"(lib[^" ]+)"', (SRC / "fetch/libcurl.c").read_text())) == {"libcurl.so.4", "libcurl-gnutls.so.4"}


def test_prong_never_forks():
    used = symbols(DIR / "prong", "--undefined-only")
    assert not used & {"fork", "vfork", "_Fork", "clone", "system", "popen", "daemon"}
    assert "posix_spawn" in used


@pytest.mark.parametrize("library", ["libmicrohttpd", "libsqlite3", "libcurl", "libpq"])
def test_the_zygote_is_not_linked_with(library):
    assert not [lib for lib in needed(DIR / "prong-zygote") if lib.startswith(library)]


@pytest.mark.parametrize("program,library", [("prong-zygote", "libjansson.so.4"), ("prong-zygote", "libinih.so.1"), ("prong", "libjansson.so.4")])
def test_no_function_of_ours_stands_in_for_a_librarys(program, library):
    """The linker would not say so, and the library itself would call ours."""
    (path,) = re.findall(rf"{re.escape(library)} => (\S+)", run("ldd", DIR / program).stdout)
    assert symbols(DIR / program, "--defined-only") & symbols(path, "-D", "--defined-only") <= {"_init", "_fini"}


def test_the_zygote_alone_filters_system_calls():
    """Once it holds, no thread of the server could be without; and it is libseccomp that makes the filters."""
    assert [p for p in ("prong", "prong-zygote", "prong-client") if any("seccomp" in lib for lib in needed(DIR / p))] == ["prong-zygote"]
    assert {os.path.dirname(p) for p in calls(r"#include <seccomp\.h>|\bSYS_(seccomp|landlock_[a-z_]+)\b")} == {"sandbox"}


def test_the_client_alone_loads_libcurl_at_its_start():
    """It takes milliseconds and megabytes that a server which only computes need not spend."""
    assert [p for p in PROGRAMS if any("curl" in lib for lib in needed(DIR / p))] == ["prong-client"]


def test_few_files_know_libcurl():
    assert {p for p in calls(r"#include <curl/|\bcurl_[a-z]") if not p.startswith("fetch/")} == {"cli/ask.c"}


def test_every_connection_of_a_fetch_passes_the_guard():
    """Sockets are made where it was asked, and nowhere else in that folder."""
    assert {p for p in calls(r"\b(socket|connect|getaddrinfo)\s*\(") if p.startswith("fetch/")} == {"fetch/transfer.c"}
    assert calls(r"\bguard_judge\s*\(") == {"fetch/guard.c", "fetch/guard.h", "fetch/transfer.c"}
    body = code_of(SRC / "fetch/transfer.c")
    assert body.count("socket(") - body.count("_socket(") == 1 and body.index("guard_judge(") < body.index("= socket(")


def test_the_zygote_has_one_thread():
    used = symbols(DIR / "prong-zygote", "--undefined-only")
    if BUILD in ("asan", "tsan"):
        pytest.skip("the sanitizer's own runtime uses these")
    assert not {name for name in used if name.startswith(("pthread_create", "thrd_create"))}


def test_kernels_are_linked_with_nothing_of_ours():
    for path in (DIR / "kernels").glob("*.so"):
        assert set(needed(path)) <= {"libc.so.6", "libm.so.6", "libpng16.so.16", "libz.so.1", "ld-linux-x86-64.so.2", "libgcc_s.so.1"} | {
            lib for lib in needed(path) if re.match(r"lib[a-z]+san\.so", lib)
        }, path
        assert symbols(path, "-D", "--defined-only") & {"prong_kernel_entry"} == {"prong_kernel_entry"}


def test_kernels_export_one_function():
    for path in (DIR / "kernels").glob("*.so"):
        own = {name for name in symbols(path, "-D", "--defined-only") if not name.startswith(("_", "__"))}
        assert BUILD in ("asan", "tsan") or own == {"prong_kernel_entry"}, (path, own)


def calls(pattern):
    """The files that hold it in their code."""
    return {shown(p)[4:] for p in SOURCES if re.search(pattern, code_of(p))}


def test_one_file_forks():
    """Besides the experiments with it, which are a program of their own."""
    forks = calls(r"\b(v?fork|_Fork|clone3?|daemon)\s*\(")
    assert forks - {"kernel/builtin/fault.c", "experiment/crew.c"} == {"zygote/spawn.c"}


def test_one_file_suspends_and_resumes():
    assert calls(r"\bMHD_(suspend|resume)_connection\b") == {"http/park.c"}


def test_only_http_and_the_roof_know_libmicrohttpd():
    assert {os.path.dirname(p) for p in calls(r"#include <microhttpd\.h>|\bMHD_[a-z]")} <= {"http", ""}


def test_only_thread_makes_threads():
    assert {os.path.dirname(p) for p in calls(r"\b(pthread_create|thrd_create)\s*\(")} == {"thread", "experiment"}


def test_nobody_sleeps():
    """Events are waited for; only the kernels named for it sleep, and the experiment that is about it."""
    assert calls(r"\b(sleep|usleep|nanosleep|clock_nanosleep)\s*\(") <= {
        "kernel/builtin/sleep.c", "kernel/builtin/fault.c", "experiment/io.c"
    }


# ---- the house ------------------------------------------------------------------------------------


def test_every_option_is_told():
    names = re.findall(r'^OPTION\(\w+, "([a-z-]+)"', (SRC / "options.def").read_text(), re.M)
    readme = (ROOT / "README.md").read_text() if (ROOT / "README.md").exists() else ""
    told = readme + run(DIR / "prong", "--help").stdout
    assert [n for n in names if not re.search(rf"--{n}\b", told)] == []


def test_no_long_file():
    assert {shown(p): n for p in SOURCES if (n := len(p.read_text().splitlines())) > LINES_MAX} == {}


def functions_in(path):
    """(name, lines) of each function: from the line of its opening brace in column 0 to the closing one."""
    lines, begun = code_of(path).splitlines(), None
    for number, line in enumerate(lines):
        if line == "{":
            before = " ".join(lines[max(0, number - 6) : number])
            begun = (number, (re.findall(r"(\w+)\s*\(", before) or ["?"])[-1])
        elif line == "}" and begun is not None:
            yield begun[1], number - begun[0] + 1
            begun = None


def test_no_long_function():
    found = [(path, name, n) for path in SOURCES for name, n in functions_in(path)]
    assert len(found) > 500, "the test does not find the functions"
    assert [(shown(path), name, n) for path, name, n in found if n > FUNCTION_LINES_MAX] == []


def test_no_line_is_left_with_blanks_or_tabs():
    for path in SOURCES:
        for number, line in enumerate(path.read_text().splitlines(), 1):
            assert line == line.rstrip() and "\t" not in line, f"{shown(path)}:{number}"


@pytest.mark.parametrize("program", PROGRAMS)
def test_no_program_has_an_executable_stack(program):
    (stack,) = re.findall(r"GNU_STACK\s.*", run("readelf", "-lW", DIR / program).stdout)
    assert "RWE" not in stack
