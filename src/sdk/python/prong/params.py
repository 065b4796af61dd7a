"""Parameters: from a function's annotations to the declaration that the server checks requests by.

=============================================  ==============================================================
annotation                                     parameter
=============================================  ==============================================================
int, float, str                                integer, number, string
Annotated[int, Range(0, 90)]                   … with bounds; Range(0, None) has one only
Annotated[str, Max(100)]                       … with at most so many bytes
Literal["a", "b"], an Enum of str              choice
bool                                           json, true or false (so `?flag=true` and `{"flag":true}` are alike)
list[float], Sequence[float], array.array,     values: the one array of numbers, fast (raw float64 will do, too);
numpy.ndarray                                  Max(n) bounds their count
bytes, bytearray, memoryview                   the request's raw body, at most one
dict, list, tuple, Any, Optional[…], Union     json: any JSON value of that outer form; Max(n) bounds its bytes
=============================================  ==============================================================

A text within Annotated is the parameter's help: Annotated[int, "Which number"]. A default is the default; without one
the parameter is required. Without an annotation the default's type counts.
"""
from __future__ import annotations

import array
import collections.abc
import enum
import json
import math
import re
import types
import typing
from typing import Any, Callable, Dict, List, Optional, Tuple

from . import values

_UnionType: Any = getattr(types, "UnionType", None)  # of int | None, from 3.10 on

INT_MIN, INT_MAX = -(1 << 63), (1 << 63) - 1
TEXT_MAX = 1024  # bytes of a help or a default
CHOICES_MAX = 32
NAME = re.compile(r"[a-z0-9_-]{1,63}\Z")
_MISSING: Any = object()


class Range:
    """Bounds of an int or a float, both included; None: no bound."""

    def __init__(self, minimum: Optional[float] = None, maximum: Optional[float] = None) -> None:
        self.minimum, self.maximum = minimum, maximum


class Max:
    """The most bytes of a text or a JSON value, or the most numbers of an array."""

    def __init__(self, size: int) -> None:
        self.size = size


class BadDeclaration(TypeError):
    """This function cannot be a kernel as it is; the text says what to change."""


class BadValue(ValueError):
    """A parameter's value is not what was declared."""


class Param:
    """One parameter of a kernel."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.type = ""  # as PROTOCOL.md has them, or "raw"
        self.help = ""
        self.minimum: Optional[float] = None
        self.maximum: Optional[float] = None
        self.choices: List[str] = []
        self.max_size: Optional[int] = None
        self.default: Any = _MISSING  # as JSON has it
        self.expected = ""  # "an integer"
        self.fits: Callable[[Any], bool] = lambda value: True  # of a value that JSON gave
        self.convert: Optional[Callable[[Any], Any]] = None  # from what JSON gave to what the function gets
        self.from_raw: Optional[Callable[[Any], Any]] = None  # from bytes, for raw and values

    @property
    def is_required(self) -> bool:
        return self.default is _MISSING

    def describe(self) -> Dict[str, Any]:
        """For READY."""
        said: Dict[str, Any] = {"name": self.name, "type": self.type, "help": self.help}
        size = "max_count" if self.type == "values" else "max_bytes"
        for key, value in (("minimum", self.minimum), ("maximum", self.maximum), (size, self.max_size)):
            if value is not None:
                said[key] = value
        if self.choices:
            said["choices"] = self.choices
        if not self.is_required:
            said["default"] = self.default
        return said

    def expectation(self) -> str:
        """ "an integer from 0 to 90"."""
        if self.choices:
            return "one of " + ", ".join(self.choices)
        low, high = self.minimum, self.maximum
        if low is not None and high is not None:
            return f"{self.expected} from {low} to {high}"
        if low is not None:
            return f"{self.expected} of at least {low}"
        return self.expected if high is None else f"{self.expected} of at most {high}"

    def check(self, value: Any) -> None:
        """As the server does it; BadValue says what it should be."""
        fits = self.fits(value)
        if fits and self.minimum is not None:
            fits = value >= self.minimum
        if fits and self.maximum is not None:
            fits = value <= self.maximum
        if fits and self.max_size is not None:
            fits = _size(self.type, value) <= self.max_size
            if not fits:
                raise BadValue(f"Parameter {self.name} is larger than {self.max_size}.")
        if not fits:
            raise self.wrong(value)

    def wrong(self, value: Any) -> BadValue:
        text = repr(value)
        got = text if len(text) <= 60 else text[:57] + "…"
        return BadValue(f"Parameter {self.name} must be {self.expectation()}; got {got}.")

    def take(self, value: Any) -> Any:
        """What the function gets for a value that the server has checked; BadValue if it cannot be taken all the same."""
        if self.type == "json" and not self.fits(value):
            raise self.wrong(value)
        return value if self.convert is None else self.convert(value)


def _size(type_: str, value: Any) -> int:
    if type_ == "values":
        return len(value)
    return len(value.encode()) if type_ == "string" else len(values.to_json(value))


# ---- from an annotation ---------------------------------------------------------------------------


def make(name: str, annotation: Any, default: Any = _MISSING, about: str = "") -> Param:
    """The parameter `name`; BadDeclaration says of it in one sentence what to change."""
    param = Param(name)
    param.help = about
    try:
        if not NAME.match(name):
            raise BadDeclaration("must have a name of a-z, 0-9 and _, so that it can stand in a URL")
        base, extras = _unwrap(annotation, default)
        _set_type(param, base)
        for extra in extras:
            _add(param, extra)
        if default is not _MISSING:
            _set_default(param, default)
        if len(param.help.encode()) > TEXT_MAX:
            raise BadDeclaration(f"has a help of more than {TEXT_MAX} bytes")
    except BadDeclaration as error:
        raise BadDeclaration(f"Parameter {name} {error}.") from None
    return param


def _unwrap(annotation: Any, default: Any) -> "tuple[Any, tuple[Any, ...]]":
    if annotation is _MISSING:
        if type(default) not in (int, float, bool, str):
            raise BadDeclaration("has no annotation: write int, float, str, bool, list, dict or bytes behind it")
        annotation = type(default)
    base, extras = annotation, ()
    if typing.get_origin(annotation) is typing.Annotated:
        base, extras = annotation.__origin__, annotation.__metadata__
    if default is None and base not in (Any, bytes) and not _is_optional(base):
        base = Optional[base]
    return base, extras


def _is_optional(base: Any) -> bool:
    return _is_union(base) and type(None) in typing.get_args(base)


def _is_union(base: Any) -> bool:
    origin = typing.get_origin(base)
    return origin is typing.Union or (_UnionType is not None and origin is _UnionType)


def _is_int(value: Any) -> bool:
    is_whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    return is_whole and not isinstance(value, bool) and INT_MIN <= value <= INT_MAX


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and "\0" not in value


def _is_numbers(value: Any) -> bool:
    return isinstance(value, (list, tuple, array.array)) and all(map(_is_number, value))


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool) or value in ("true", "false")


def _to_bool(value: Any) -> bool:
    return value in (True, "true")


def _doubles(raw: Any) -> memoryview:
    view = memoryview(raw)
    if len(view) % 8 != 0:
        raise BadValue(f"The body must be little-endian float64, a multiple of 8 bytes; got {len(view)} bytes.")
    return view.cast("B").cast("d")


def _to_array(numbers: Any) -> "array.array[float]":
    return array.array("d", numbers)


def _array_from(raw: Any) -> "array.array[float]":
    made = array.array("d")
    made.frombytes(_doubles(raw).cast("B"))
    return made


def _list_from(raw: Any) -> List[float]:
    return list(_doubles(raw))


def _list_of(numbers: Any) -> List[float]:
    return [float(number) for number in numbers]


_SCALARS: Dict[Any, Tuple[str, str, Callable[[Any], bool], Any]] = {
    int: ("integer", "an integer", _is_int, int),
    float: ("number", "a number", _is_number, float),
    str: ("string", "text without NUL", _is_text, None),
    bool: ("json", "true or false", _is_bool, _to_bool),
}
_RAW: Dict[Any, Any] = {bytes: bytes, bytearray: bytearray, memoryview: memoryview}


def _set_type(param: Param, base: Any) -> None:
    if base in (int, float, str, bool):
        param.type, param.expected, param.fits, param.convert = _SCALARS[base]
    elif base in (bytes, bytearray, memoryview):
        param.type, param.expected, param.from_raw = "raw", "the raw body", _RAW[base]
    elif typing.get_origin(base) is typing.Literal:
        _set_choice(param, list(typing.get_args(base)))
    elif isinstance(base, type) and issubclass(base, enum.Enum):
        _set_choice(param, [member.value for member in base])
        param.convert = base
    elif not _set_values(param, base):
        param.type = "json"
        param.expected, param.fits, param.convert = _shape(base)


def _set_choice(param: Param, words: List[Any]) -> None:
    if not words or len(words) > CHOICES_MAX or not all(isinstance(word, str) for word in words):
        raise BadDeclaration(f"must choose among 1 to {CHOICES_MAX} words: write them as text")
    param.type, param.choices = "choice", words
    param.fits = lambda value: isinstance(value, str) and value in words


def _set_values(param: Param, base: Any) -> bool:
    """Whether it is the array of numbers."""
    is_floats = typing.get_args(base) == (float,) and typing.get_origin(base) in (list, collections.abc.Sequence)
    is_array = base is array.array or typing.get_origin(base) is array.array
    is_numpy = getattr(base, "__module__", "") == "numpy" and getattr(base, "__name__", "") == "ndarray"
    if not (is_floats or is_array or is_numpy):
        return False
    param.type, param.expected, param.fits = "values", "an array of numbers", _is_numbers
    param.convert, param.from_raw = (_list_of, _list_from) if is_floats else (_to_array, _array_from)
    if is_numpy:
        import numpy  # type: ignore[import] # the annotation is made of it

        param.convert = lambda numbers: numpy.array(numbers, "d")
        param.from_raw = lambda raw: numpy.frombuffer(_doubles(raw), "d")
    return True


def _shape(base: Any) -> Tuple[str, Callable[[Any], bool], Any]:
    """(what is expected, whether a JSON value is that, how it is made the function's) of a JSON parameter."""
    kind = typing.get_origin(base) or base
    if base is Any or base is object:
        return "any JSON value", lambda value: True, None
    if base is None or base is type(None):
        return "null", lambda value: value is None, None
    if kind in (dict, collections.abc.Mapping):
        return "a JSON object", lambda value: isinstance(value, dict), None
    if kind in (list, collections.abc.Sequence, collections.abc.Iterable):
        return "a JSON array", lambda value: isinstance(value, list), None
    if kind is tuple:
        return "a JSON array", lambda value: isinstance(value, (list, tuple)), tuple
    if base in (int, float, str, bool):
        return _SCALARS[base][1:]
    if kind is typing.Literal:
        words = typing.get_args(base)
        return "one of " + ", ".join(map(str, words)), lambda value: value in words, None
    if _is_union(base):
        return _union(typing.get_args(base))
    raise BadDeclaration(
        f"is annotated {getattr(base, '__name__', base)}, which JSON has not: use int, float, str, bool, Literal, "
        "list[float], bytes, dict, list, Optional or Any"
    )


def _union(members: "tuple[Any, ...]") -> Tuple[str, Callable[[Any], bool], Any]:
    shapes = [_shape(member) for member in members]

    def fits(value: Any) -> bool:
        return any(fits(value) for _, fits, _ in shapes)

    def convert(value: Any) -> Any:
        for _, fits, made in shapes:
            if fits(value):
                return value if made is None else made(value)
        return value

    return " or ".join(expected for expected, _, _ in shapes), fits, convert


def _add(param: Param, extra: Any) -> None:
    """What stands beside the type in Annotated."""
    if isinstance(extra, str):
        param.help = extra.rstrip(".")
    elif isinstance(extra, Range):
        if param.type not in ("integer", "number"):
            raise BadDeclaration("has a Range, which is for int and float")
        for bound in (extra.minimum, extra.maximum):
            if bound is not None and not param.fits(bound):
                raise BadDeclaration(f"has a bound {bound!r} that is not {param.expected}")
        param.minimum, param.maximum = extra.minimum, extra.maximum
    elif isinstance(extra, Max):
        if param.type not in ("string", "values", "json"):
            raise BadDeclaration("has a Max, which is for str, JSON and arrays of numbers")
        param.max_size = extra.size


def _set_default(param: Param, default: Any) -> None:
    if param.type == "values":
        raise BadDeclaration("has a default, which an array of numbers cannot have: remove it")
    if param.type == "raw":
        param.default = default
        return
    value = default.value if isinstance(default, enum.Enum) else default
    try:
        value = json.loads(values.to_json(value))
        param.check(value)
    except (BadValue, values.NotSendable) as error:
        raise BadDeclaration(f"has a default that it would not take: {str(error).rstrip('.')}") from None
    text = value if isinstance(value, str) else values.to_json(value).decode()
    if len(text.encode()) > TEXT_MAX:
        raise BadDeclaration(f"has a default of more than {TEXT_MAX} bytes: use None and put it into the function")
    param.default = value
