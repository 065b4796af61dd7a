"""@kernel: makes a typed function a kernel.

    from prong import kernel

    @kernel(pure=True)
    def fib(n: int = 30) -> int:
        \"\"\"The n-th Fibonacci number.\"\"\"
        …

The function stays what it was, so it can be called, tested and recurse as before; the declaration hangs on it.
"""
from __future__ import annotations

import functools
import hashlib
import inspect
import sys
import typing
import urllib.parse
from typing import Any, Callable, Dict, List, Mapping, Optional, TypeVar, Union

from . import docstring, params, start, values
from .params import BadDeclaration, Param

F = TypeVar("F", bound=Callable[..., Any])

_ATTRIBUTE = "__prong__"
_PARAMS_MAX = 32
registry: Dict[str, "Kernel"] = {}  # all of this process, by name


class Kernel:
    """What is known of one kernel."""

    def __init__(self, function: Callable[..., Any], name: str) -> None:
        self.function = function
        self.name = name
        self.version = ""
        self.summary = ""
        self.example = ""
        self.media_type = ""  # as declared; "" when the result decides
        self.answers = values.JSON  # media type that READY names
        self.flags: List[str] = []
        self.split: Optional[Callable[..., Any]] = None
        self.combine: Optional[Callable[..., Any]] = None
        self.params: List[Param] = []  # in order; the raw one too
        self.signature = inspect.Signature()  # of the parameters
        self._by_name: Dict[str, Param] = {}
        self._in_order: List[str] = []  # those that may be given without their name
        self.input: Optional[Param] = None  # the one that comes as bytes

    def add(self, param: Param, is_in_order: bool) -> None:
        """The next parameter."""
        self.params.append(param)
        self._by_name[param.name] = param
        if is_in_order:
            self._in_order.append(param.name)

    def describe(self) -> Dict[str, Any]:
        """For READY."""
        return {
            "name": self.name,
            "version": self.version,
            "summary": self.summary,
            "example": self.example,
            "media_type": self.answers,
            "flags": self.flags,
            "takes_raw": self.input is not None,
            "ops": ["run"] if self.split is None else ["plan", "map", "finish"],
            "params": [param.describe() for param in self.params if param.type != "raw"],
        }

    def arguments(self, given: Dict[str, Any], raw: Any = None) -> Dict[str, Any]:
        """What the function is called with, from what the server has checked. `given` becomes it; `raw`: None
        when no input came."""
        for param in self.params:
            if param is self.input:
                self._take_input(param, given, raw)
            elif param.convert is not None or param.type == "json":
                given[param.name] = param.take(given[param.name])
        return given

    def _take_input(self, param: Param, given: Dict[str, Any], raw: Any) -> None:
        if raw is not None:
            given[param.name] = param.from_raw(raw)  # type: ignore[misc]
        elif param.name in given:  # an array of numbers that came as JSON
            given[param.name] = param.take(given[param.name])
        elif not param.is_required:
            given[param.name] = param.default
        elif param.type == "raw":
            raise params.BadValue(f"Kernel {self.name} wants input: POST it as application/octet-stream.")
        else:
            raise params.BadValue(f"Parameter {param.name} is missing.")

    def bind(self, args: Any, kwargs: Mapping[str, Any]) -> Dict[str, Any]:
        """What the function is called with, from a caller's own arguments, checked as the server does it."""
        given = dict(zip(self._in_order, args))
        if len(args) > len(self._in_order) or (kwargs and not kwargs.keys() <= self._by_name.keys() - given.keys()):
            raise params.BadValue(self._why_not(args, kwargs))
        given.update(kwargs)
        for name, param in self._by_name.items():
            if name not in given:
                if param.is_required:
                    raise params.BadValue(f"{self.name}: parameter {name} is missing.")
                given[name] = self.signature.parameters[name].default
            elif param.type != "raw":
                param.check(given[name])
                given[name] = param.take(given[name])
        return given

    def _why_not(self, args: Any, kwargs: Mapping[str, Any]) -> str:
        """Of arguments that it has not, or has twice."""
        try:
            self.signature.bind_partial(*args, **kwargs)
        except TypeError as error:
            return f"{self.name}: {error}."
        return f"{self.name}: these arguments cannot be bound."


def of(function: object) -> Optional[Kernel]:
    """The declaration of a @kernel function; None of anything else."""
    return getattr(function, _ATTRIBUTE, None)


@typing.overload
def kernel(function: F) -> F: ...


@typing.overload
def kernel(*, name: Optional[str] = None, version: Optional[str] = None, pure: bool = False, idempotent: bool = False,
           media_type: str = "", example: Union[str, Mapping[str, Any]] = "", split: Optional[Callable[..., Any]] = None,
           combine: Optional[Callable[..., Any]] = None, partial_ok: bool = False) -> Callable[[F], F]: ...


def kernel(function: Any = None, *, name: Optional[str] = None, version: Optional[str] = None, pure: bool = False,
           idempotent: bool = False, media_type: str = "", example: Union[str, Mapping[str, Any]] = "",
           split: Optional[Callable[..., Any]] = None, combine: Optional[Callable[..., Any]] = None,
           partial_ok: bool = False) -> Any:
    """Declares the function a kernel. Without arguments or with these:

    name        default: the function's
    version     of its results; default: a hash of the file it stands in, so what was computed by an older edition is
                never taken for this one's. (Name one if the file imports modules of yours that change.)
    pure        same input, same answer, no effect: GET may run it and results may be kept. Implies idempotent
    idempotent  running it twice does no harm: work whose worker died is tried again
    media_type  of the answer; default: text for str, octets for bytes, else JSON (see prong.values)
    example     a query string or a dict, for the catalogue
    split       cuts the work into pieces for all workers; see below
    combine     makes the answer of the pieces' results, in order; default: their list
    partial_ok  an answer with pieces missing is worth having

    split(…) is called with the kernel's parameters and returns a list of pieces, always the same for the same
    parameters. The function is called with each piece as its first argument, in some worker, and with those of the
    kernel's parameters that it has besides. combine(results) makes the answer; a Python function gets the kernel's parameters
    that it has besides, too. A piece's result crosses processes as JSON, so a tuple comes as a list. If split is
    annotated, its parameters are the kernel's; otherwise the function's are, and a piece takes the first one's place:

        @kernel(pure=True, split=lambda text: text.splitlines(), combine=sum)
        def count(text: str) -> int: …

        def ranges(limit: int = 10**7) -> list: return [[n, min(n + 10**5, limit)] for n in range(0, limit, 10**5)]

        @kernel(pure=True, split=ranges, combine=sum)
        def primes(piece) -> int: …

    Raises BadDeclaration, at import, when a parameter's annotation is none that JSON or a query string can carry.
    """
    flags = [word for word, is_set in (("pure", pure), ("idempotent", pure or idempotent), ("partial_ok", partial_ok))
             if is_set]

    def declare(function: F) -> F:
        file = _file_of(function)
        if file and file == getattr(sys.modules["__main__"], "__file__", "") and start.is_under_prong():
            start.begin_anew(file)
        made = _make(function, name or function.__name__, split)
        made.version = version or _edition(function)
        made.media_type = media_type
        made.answers = media_type or _answers(function, split)
        made.flags = flags
        made.combine = combine
        made.example = _example(made, example)
        add(made)
        setattr(function, _ATTRIBUTE, made)
        return function

    return declare if function is None else declare(function)


def add(made: Kernel) -> None:
    """To the kernels of this process."""
    if made.name in registry and registry[made.name].function is not made.function:
        raise BadDeclaration(f"There are two kernels {made.name}: name one otherwise, by @kernel(name=…).")
    registry[made.name] = made


def _make(function: Callable[..., Any], name: str, split: Optional[Callable[..., Any]]) -> Kernel:
    made = Kernel(function, name)
    if not params.NAME.match(name):
        raise BadDeclaration(f"A kernel's name is 1 to 63 of a-z, 0-9, _ and -, not {name!r}: use @kernel(name=…).")
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise BadDeclaration(f"Kernel {name} is async: a kernel computes, so write it with def, not async def.")
    made.summary, helps = docstring.read(function.__doc__ or "")
    made.split = split
    source = function
    if split is not None and _is_annotated(split):
        source = split
        helps = {**helps, **docstring.read(split.__doc__ or "")[1]}
    try:
        _add_params(made, source, helps)
    except BadDeclaration as error:
        raise BadDeclaration(f"Kernel {name}: {str(error)[:1].lower()}{str(error)[1:]}") from None
    return made


def _add_params(made: Kernel, source: Callable[..., Any], helps: Dict[str, str]) -> None:
    made.signature = inspect.signature(source)
    try:
        hints = typing.get_type_hints(source, include_extras=True)
    except NameError as error:
        raise BadDeclaration(f"An annotation cannot be read: {error}.") from None
    for name, given in made.signature.parameters.items():
        if given.kind not in (given.POSITIONAL_OR_KEYWORD, given.KEYWORD_ONLY):
            raise BadDeclaration(f"Parameter {name} must be an ordinary one, so no *, ** or / is possible.")
        default = params._MISSING if given.default is given.empty else given.default
        param = params.make(name, hints.get(name, params._MISSING), default, helps.get(name, "")[:300])
        made.add(param, given.kind == given.POSITIONAL_OR_KEYWORD)
    inputs = [param for param in made.params if param.type in ("raw", "values")]
    if len(inputs) > 1:
        raise BadDeclaration(f"Only one parameter can be bytes or an array of numbers, not {inputs[0].name} and {inputs[1].name}.")
    if len(made.params) > _PARAMS_MAX:
        raise BadDeclaration(f"It has over {_PARAMS_MAX} parameters.")
    made.input = inputs[0] if inputs else None


def _is_annotated(function: Callable[..., Any]) -> bool:
    try:
        given = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return False
    return any(param.annotation is not param.empty for param in given)


@functools.lru_cache(maxsize=None)
def _hash_of_file(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()[:12]


def _file_of(function: Callable[..., Any]) -> str:
    return getattr(getattr(function, "__code__", None), "co_filename", "")


def _edition(function: Callable[..., Any]) -> str:
    try:
        return _hash_of_file(_file_of(function))
    except OSError:  # typed at a prompt
        code = getattr(function, "__code__", None)
        return hashlib.sha256(getattr(code, "co_code", b"")).hexdigest()[:12]


def _answers(function: Callable[..., Any], split: Optional[Callable[..., Any]]) -> str:
    """The media type by the annotation of what is returned; of split work combine's result decides, so JSON is a guess."""
    returned = typing.get_type_hints(function).get("return") if split is None else None
    return {bytes: values.BYTES, bytearray: values.BYTES, str: values.TEXT}.get(returned, values.JSON)  # type: ignore[arg-type]


def _example(made: Kernel, example: Union[str, Mapping[str, Any]]) -> str:
    """A query string; the defaults when none was given and nothing is required."""
    if isinstance(example, str) and example:
        return example
    pairs = {} if isinstance(example, str) else dict(example)
    if not pairs and not any(param.is_required for param in made.params):
        pairs = {p.name: p.default for p in made.params if p.type in ("integer", "number", "string", "choice")}
    return urllib.parse.urlencode({k: v if isinstance(v, str) else values.to_json(v).decode() for k, v in pairs.items()})
