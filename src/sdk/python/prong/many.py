"""<name>-map: many calls of one kernel in one request, spread over all workers. Executor.map uses it.

The calls are a list of [args, kwargs], as the parameter `calls` or, better, as the raw body, which nobody reads on its way.
The result is a list of {"ok": value}, {"base64": bytes} or {"error": {"type", "message", "trace"}}, one for each: a call
that raises fails alone.
"""
from __future__ import annotations

import base64
from typing import Annotated, Any, List

from . import declare, faults, params, serve, values

_CALLS_BYTES_MAX = 8 << 20
SUFFIX = "-map"


def add_all() -> None:
    """Such a helper for each kernel that has none."""
    for kernel in list(declare.registry.values()):
        name = kernel.name + SUFFIX
        is_helper = kernel.function.__module__ == __name__
        if not is_helper and name not in declare.registry and params.NAME.match(name):
            _add(kernel, name)


def _add(kernel: declare.Kernel, name: str) -> None:
    def one(call: Any) -> values.Json:
        args, kwargs = call
        try:
            return _answer(serve.run_here(kernel, kernel.bind(args, kwargs)))
        except (Exception, SystemExit) as error:  # pylint: disable=broad-except # it is an answer like any other
            return values.Json(b'{"error":' + values.to_json(faults.describe(error)) + b"}")

    declare.kernel(
        name=name, version=kernel.version, split=_calls, media_type=values.JSON,
        pure="pure" in kernel.flags, idempotent="idempotent" in kernel.flags,
    )(one)
    declare.registry[name].summary = f"Many calls of {kernel.name} at once, for the SDK's Executor.map."


def _calls(calls: Annotated[list, params.Max(_CALLS_BYTES_MAX), "Each a pair of arguments in order and by name"] = [],
           body: bytes = b"") -> List[Any]:  # pylint: disable=dangerous-default-value # never changed
    made = values.from_json(body) if body else calls
    if not isinstance(made, list) or not all(map(_is_call, made)):
        raise params.BadValue("The calls must be a JSON array of [[arguments…], {name: argument}].")
    return made


def _is_call(call: Any) -> bool:
    return isinstance(call, list) and len(call) == 2 and isinstance(call[0], list) and isinstance(call[1], dict)


def _answer(value: Any) -> values.Json:
    if isinstance(value, (bytes, bytearray, memoryview)) and not isinstance(value, values.Json):
        return values.Json(b'{"base64":"' + base64.b64encode(value) + b'"}')
    return values.Json(b'{"ok":' + values.to_json(value) + b"}")
