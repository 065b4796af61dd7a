"""The kernels that test_kernel.py drives."""
import array
import dataclasses
import enum
import os
import sys
import time
from typing import Annotated, Any, Literal, Optional

from prong import Failed, Max, Range, Retry, cancelled, emit, kernel, progress, remaining


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclasses.dataclass
class Point:
    x: int
    y: float


@kernel(pure=True, version="7", example={"n": 20})
def fib(n: Annotated[int, Range(0, 90)] = 30, scale: Annotated[float, Range(0, None), "By what to multiply."] = 1.0) -> int:
    """The n-th Fibonacci number.

    More about it.

    Args:
        n: Which one,
            counted from 0.
        scale: not seen, since Annotated comes first
    """
    a, b = 0, 1
    for _ in range(n):
        a, b = b, a + b
    return a


@kernel
def types(i: int, f: float, s: str, b: bool = False, c: Literal["x", "y"] = "x", colour: Colour = Colour.RED,
          o: Optional[int] = None, d: dict = {}, t: tuple = (1, 2), a: Any = None) -> list:
    return [repr(v) for v in (i, f, s, b, c, colour, o, d, t, a)]


@kernel
def total(values: Annotated[list[float], Max(1000)], times: int = 1) -> float:
    return times * sum(values)


@kernel
def kind(values: array.array) -> str:
    return type(values).__name__ + str(len(values))


@kernel
def upper(body: bytes) -> bytes:
    return body.upper()


@kernel
def length(body: bytes = b"abc") -> int:
    return len(body)


@kernel
def view(body: memoryview) -> bytes:
    return bytes(body[:3])


@kernel(media_type="text/csv")
def csv(what: str = "text") -> object:
    return {"text": "a,b\n", "bytes": b"1,2\n", "list": [1, 2]}[what]


@kernel
def give(what: str) -> Any:
    """Returns all sorts of things."""
    cyclic = []
    cyclic.append(cyclic)
    return {
        "point": Point(1, 2.5), "points": [Point(1, 2.5)], "enum": Colour.BLUE, "none": None, "text": "grüße", "bytes": b"\0\1",
        "set": {1}, "nan": float("nan"), "inf": [float("-inf")], "surrogate": "\ud800", "in": ["\ud800"], "cyclic": cyclic,
        "array": array.array("d", [1, 2]), "big": "x" * (2 << 20), "view": memoryview(array.array("d", [1])), "int": 10**30,
        "true": True, "keys": {1: 2}, "tuple_keys": {(1, 2): 3},
    }[what]


@kernel
def hurt(how: str) -> Any:
    def deep(n):
        return deep(n + 1)

    if how == "value":
        raise ValueError("n is odd")
    if how == "lines":
        raise ValueError("one\ntwo")
    if how == "empty":
        raise KeyError
    if how == "failed":
        raise Failed("The matrix is singular.")
    if how == "retry":
        raise Retry("The device is busy")
    if how == "exit":
        sys.exit(3)
    if how == "interrupt":
        raise KeyboardInterrupt
    if how == "memory":
        return [b"x"] * (1 << 60)
    if how == "deep":
        return deep(0)
    if how == "connection":
        raise BrokenPipeError("of my own")
    if how == "surrogate":
        raise ValueError("\ud800")
    if how == "long":
        raise ValueError("x" * 5000)
    return os._exit(9)


@kernel
def noisy() -> int:
    print("to stdout")
    os.write(1, b"by hand\n")
    print("to stderr", file=sys.stderr)
    return 1


@kernel
def stream(n: int = 3, returns: bool = False):
    for i in range(n):
        yield {"i": i}
    if returns:
        return "all"


@kernel
def large_part() -> int:
    emit("x" * 50000)
    emit("small")
    return 1


@kernel
def steps(n: int = 1000) -> int:
    for i in range(n):
        progress(i + 1, n)
    return n


@kernel
def until_cancelled(how: str = "asks") -> str:
    """Runs until it is told to stop; the first progress says that it runs."""
    progress(0, 2)
    while True:
        if how == "asks" and cancelled():
            return "stopped"
        if how == "progress":
            try:
                progress(1, 2)
            except Exception:
                pass
        time.sleep(0.001)


@kernel
def left() -> Any:
    return remaining()


@kernel(pure=True, split=lambda text: text.split("|"), combine=sum)
def words(text: str) -> int:
    return len(text.split())


def ranges(limit: int = 10, step: int = 3) -> list:
    """Cuts [0, limit).

    :param limit: where it ends.
    """
    return [[lo, min(lo + step, limit)] for lo in range(0, limit, step)]


def joined(results, limit):
    return {"limit": limit, "results": results}


@kernel(split=ranges, combine=joined, idempotent=True, partial_ok=True)
def squares(piece, step):
    return [step, [n * n for n in range(*piece)]]


@kernel(split=ranges)
def ids(piece):
    return {"pid": os.getpid(), "lo": piece[0]}


@kernel(split=ranges, combine=b"".join, media_type="application/octet-stream")
def letters(piece):
    return bytes(range(97 + piece[0], 97 + piece[1]))


@kernel(split=ranges)
def nans(piece):
    return float("nan")


@kernel(split=ranges, combine=lambda results: len(results))
def slow(piece, how="progress"):
    progress(1, 2)
    time.sleep(0.03)
    return 0
