"""python3 -m prong FILE: serves the kernels of FILE under prong; in a terminal it shows them, or calls one.

    python3 -m prong fib.py                   what kernels it has, as the server will see them
    python3 -m prong fib.py fib '{"n":30}'    calls one: its result on standard output
    python3 -m prong fib.py words - < text    the same, with standard input as the raw body
"""
from __future__ import annotations

import importlib.util
import json
import os
import re
import sys
import traceback
from typing import Any, Dict, List, Optional

from . import declare, faults, params, running, serve, start, values

_EXIT_FAILED, _EXIT_USAGE, _EXIT_BAD_FILE = 1, 64, 78


def load(path: str) -> None:
    """Runs a file, so that its kernels are declared. It is not __main__, and files beside it can be imported, but none of
    them hides a module of Python's own."""
    folder = os.path.dirname(os.path.abspath(path))
    for known in ("", os.getcwd(), folder):
        while known in sys.path:
            sys.path.remove(known)
    sys.path.append(folder)
    name = "prong_file_" + re.sub(r"\W", "_", os.path.splitext(os.path.basename(path))[0])
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)


def main(arguments: List[str]) -> int:
    """The exit status."""
    if not arguments or arguments[0].startswith("-") or len(arguments) > 3:
        print(__doc__.strip(), file=sys.stderr)
        return _EXIT_USAGE
    try:
        load(arguments[0])
    except (Exception, SystemExit) as error:  # pylint: disable=broad-except # it is not our file
        print("\n".join(faults.trace(error)), file=sys.stderr)
        print(f"{arguments[0]} cannot be loaded: {faults.message(error)}", file=sys.stderr)
        return _EXIT_BAD_FILE
    if not declare.registry:
        print(f"{arguments[0]} has no kernels: write @kernel before a function.", file=sys.stderr)
        return _EXIT_BAD_FILE
    return run(arguments[1:])


def run(arguments: Optional[List[str]] = None) -> int:
    """For the end of a file that is run by itself: `if __name__ == "__main__": sys.exit(prong.run())`. Serves under prong,
    else does what the command line asks for. The exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if start.is_under_prong():
        return serve.main()
    if not arguments:
        _show()
        return 0
    kernel = declare.registry.get(arguments[0])
    if kernel is None:
        print(f"There is no kernel {arguments[0]}; there are {', '.join(declare.registry)}.", file=sys.stderr)
        return _EXIT_USAGE
    return _call(kernel, arguments[1] if len(arguments) > 1 else "{}")


def _show() -> None:
    for kernel in declare.registry.values():
        about = kernel.describe()
        flags = ", ".join([*kernel.flags, *(["split"] if kernel.split else []), about["media_type"]])
        print(f"{kernel.name}  {kernel.summary}\n    version {kernel.version}; {flags}")
        for param in kernel.params:
            default = "required" if param.is_required else f"default {values.to_json(param.default).decode()}" \
                if param.type != "raw" else "optional"
            print(f"    {param.name}: {param.expectation()}, {default}" + (f". {param.help}" if param.help else ""))


def _call(kernel: declare.Kernel, text: str) -> int:
    running.current = _Terminal()
    try:
        value = serve.run_here(kernel, _given(kernel, text))
        media_type, answer = values.encode(value, kernel.media_type)
    except (params.BadValue, values.NotSendable, running.Failed, running.Retry) as error:
        print(faults.message(error), file=sys.stderr)
        return _EXIT_FAILED
    except Exception:  # pylint: disable=broad-except # to be read
        traceback.print_exc()
        return _EXIT_FAILED
    sys.stdout.flush()
    sys.stdout.buffer.write(answer)
    if sys.stdout.isatty() or values.is_json(media_type) or media_type == values.TEXT:
        sys.stdout.buffer.write(b"\n")
    sys.stdout.buffer.flush()
    return 0


def _given(kernel: declare.Kernel, text: str) -> Dict[str, Any]:
    """The arguments that a command line names."""
    if text == "-":
        if kernel.input is None:
            raise params.BadValue(f"Kernel {kernel.name} takes no raw input.")
        return kernel.bind((), {kernel.input.name: kernel.input.from_raw(sys.stdin.buffer.read())})  # type: ignore[misc]
    try:
        given = json.loads(text)
    except ValueError as error:
        raise params.BadValue(f"The parameters are not JSON: {error}.") from None
    if not isinstance(given, dict):
        raise params.BadValue("""The parameters must be a JSON object, such as '{"n":30}'.""")
    return kernel.bind((), given)


class _Terminal(running.Call):
    """Shows progress and parts to who is there."""

    def __init__(self) -> None:
        super().__init__(None, 0, None, True)

    def tell_progress(self, done: int, total: int) -> None:
        print(f"{done} of {total}", file=sys.stderr)

    def tell_part(self, part: bytes) -> None:
        print("part: " + part.decode(), file=sys.stderr)
