"""What may be a kernel, and what is said of the rest, at import."""
import enum
import typing
from typing import Annotated, Any, Dict, List, Literal, Optional, Sequence, Union

import harness  # noqa: F401 # the path to the SDK
import pytest
from prong import BadDeclaration, Max, Range, cancelled, declare, docstring, emit, kernel, params, progress, remaining


@pytest.fixture(autouse=True)
def _own_registry(monkeypatch):
    monkeypatch.setattr(declare, "registry", {})


def declared(function, **more):
    return declare.of(kernel(**more)(function) if more else kernel(function))


def param(annotation, *default):
    return params.make("x", annotation, *default)


# ---- the function ---------------------------------------------------------------------------------


def test_function_stays_itself():
    def f(n: int) -> int:
        return n + 1

    assert kernel(f) is f and f(1) == 2 and declare.of(f).name == "f"
    assert progress(1, 2) is None and not cancelled() and emit(1) is None and remaining() is None


@pytest.mark.parametrize("name", ["Upper", "", "x" * 64, "a.b", "ü"])
def test_name_must_fit_into_a_url(name):
    with pytest.raises(BadDeclaration, match="A kernel's name is 1 to 63 of a-z"):
        kernel(name=name or "A B")(lambda: 1)


def test_two_of_a_name():
    kernel(name="f")(lambda: 1)
    with pytest.raises(BadDeclaration, match="two kernels f"):
        kernel(name="f")(lambda: 2)


def test_what_cannot_be_a_kernel():
    async def waits():
        pass

    def star(*numbers: int):
        return numbers

    def names(**more: int):
        return more

    def slash(n: int, /):
        return n

    def bare(n):
        return n

    def upper(N: int):  # pylint: disable=invalid-name
        return N

    def two(a: bytes, b: List[float]):
        return a, b

    def unknown(n: "Nobody"):  # noqa: F821
        return n

    for function, words in (
        (waits, "is async"), (star, "must be an ordinary one"), (names, "must be an ordinary one"), (slash, "must be an ordinary one"),
        (bare, "parameter n has no annotation"), (upper, "must have a name of a-z"), (two, "Only one parameter can be bytes".lower()),
        (unknown, "annotation cannot be read: name 'Nobody'"),
    ):  # fmt: skip
        with pytest.raises(BadDeclaration) as raised:
            kernel(function)
        assert words in str(raised.value) or words in str(raised.value).lower()
        assert str(raised.value).startswith("Kernel ") and str(raised.value).endswith(".")
    assert declare.registry == {}


def test_media_type_by_what_is_returned():
    def text() -> str: ...

    def octets() -> bytes: ...

    def other() -> Dict[str, Any]: ...

    assert [declared(f).answers for f in (text, octets, other)] == [
        "text/plain; charset=utf-8", "application/octet-stream", "application/json",
    ]  # fmt: skip
    assert declared(lambda: 1, name="png", media_type="image/png").answers == "image/png"


def test_flags():
    assert declared(lambda: 1, name="a").flags == []
    assert declared(lambda: 1, name="b", pure=True).flags == ["pure", "idempotent"]
    assert declared(lambda: 1, name="c", idempotent=True, partial_ok=True).flags == ["idempotent", "partial_ok"]


def test_example():
    def f(n: int = 3, text: str = "a b&c", d: Optional[dict] = None): ...

    assert declared(f).example == "n=3&text=a+b%26c"
    assert declared(lambda: 1, name="g", example="n=4").example == "n=4"
    assert declared(f, name="h", example={"d": {"k": 1}}).example == "d=%7B%22k%22%3A1%7D"

    def required(n: int): ...

    assert declared(required).example == ""


# ---- annotations ----------------------------------------------------------------------------------


class Mode(enum.Enum):
    FAST = "fast"
    SLOW = "slow"


@pytest.mark.parametrize("annotation, wanted", [
    (int, "integer"), (float, "number"), (str, "string"), (bool, "json"), (bytes, "raw"), (bytearray, "raw"), (memoryview, "raw"),
    (Literal["a", "b"], "choice"), (Mode, "choice"), (List[float], "values"), (list[float], "values"), (Sequence[float], "values"),
    (list, "json"), (List[int], "json"), (dict, "json"), (Dict[str, int], "json"), (tuple, "json"), (Any, "json"),
    (Optional[int], "json"), (Union[int, str], "json"), (Annotated[int, Range(0, 1)], "integer"),
    (Annotated[Optional[int], "Help"], "json"), (typing.Mapping[str, int], "json"),
])  # fmt: skip
def test_annotation(annotation, wanted):
    assert param(annotation).type == wanted


def test_newer_unions():
    assert param(eval("int | None") if hasattr(type, "__or__") else Optional[int]).type == "json"


@pytest.mark.parametrize("annotation, words", [
    (complex, "is annotated complex"), (set, "is annotated set"), (object(), "JSON has not"), (Literal[1, 2], "write them as text"),
    (Annotated[str, Range(0, 1)], "a Range, which is for int and float"), (Annotated[int, Max(1)], "a Max, which is for str"),
    (Annotated[int, Range(0.5, 1)], "a bound 0.5 that is not an integer"), (Literal[tuple(map(str, range(33)))], "1 to 32 words"),
    (Annotated[int, "x" * 1025], "a help of more than 1024 bytes"),
])  # fmt: skip
def test_annotation_that_will_not_do(annotation, words):
    with pytest.raises(BadDeclaration, match=words):
        param(annotation)


@pytest.mark.parametrize("annotation, default, words", [
    (int, "3", "would not take: Parameter x must be an integer; got '3'"), (Annotated[int, Range(0, 2)], 3, "from 0 to 2; got 3"),
    (List[float], [], "an array of numbers cannot have"), (Literal["a"], "b", "one of a; got 'b'"), (Any, {1}, "a set is not JSON"),
    (str, "x" * 2000, "more than 1024 bytes"), (int, True, "got True"), (float, float("inf"), "NaN or an infinite"),
])  # fmt: skip
def test_default_that_will_not_do(annotation, default, words):
    with pytest.raises(BadDeclaration, match=words):
        param(annotation, default)


def test_defaults():
    assert param(int, 3).default == 3 and not param(int, 3).is_required and param(int).is_required
    assert param(params._MISSING, 2.5).type == "number"  # without an annotation
    assert param(int, None).type == "json" and param(int, None).default is None  # as Optional[int]
    assert param(Mode, Mode.SLOW).default == "slow"
    assert param(bytes, b"x").default == b"x"


@pytest.mark.parametrize("annotation, good, bad", [
    (Annotated[int, Range(0, 9)], [0, 9, 5.0], [-1, 10, 5.5, True, "5", None, 1 << 64]),
    (float, [1, 1.5, -1e300], [True, "1", float("nan"), float("inf")]),
    (Annotated[str, Max(3)], ["", "abc", "ü"], ["abcd", "üü", "a\0", 1]),
    (Literal["a", "b"], ["a"], ["c", 1, ["a"]]),
    (bool, [True, False, "true", "false"], [1, 0, "yes", None]),
    (Annotated[List[float], Max(2)], [[], [1, 2.5]], [[1, 2, 3], ["1"], [True], 1]),
    (Optional[List[int]], [None, [1]], [{}, 1]),
    (Annotated[dict, Max(9)], [{}, {"a": 123}], [{"a": 12345}, []]),
    (Any, [None, 1, "x", []], []),
])  # fmt: skip
def test_check_is_as_strict_as_the_server(annotation, good, bad):
    made = param(annotation)
    for value in good:
        made.check(value)
    for value in bad:
        with pytest.raises(params.BadValue, match="Parameter x "):
            made.check(value)


# ---- docstrings -----------------------------------------------------------------------------------


def test_docstring():
    summary, helps = docstring.read(
        """Sums things.

        At length: more words.

        Args:
            first (int): What
                comes first.
            second: What comes then
        Returns:
            third: not a parameter
        """
    )
    assert summary == "Sums things." and helps == {"first": "What comes first", "second": "What comes then"}
    assert docstring.read(":param int n: How many.\n:param k: Which\n    one") == (":param int n: How many.", {"n": "How many", "k": "Which one"})
    assert docstring.read("") == ("", {})
