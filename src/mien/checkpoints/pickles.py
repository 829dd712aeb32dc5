"""An interpreter of pickle opcodes that cannot call anything of Python's.

Why not a subclass of `pickle.Unpickler`: an allow-list in `find_class` stops imports, but leaves the rest to the
library. That sizes its memo by an index in the file (five bytes set aside gigabytes), sets aside a byte array before
looking whether the file is that long, calls `__setstate__`, fills `__dict__` and slots, knows the extension registry
of copyreg, and hashes nested tuples, which takes exponential time. This one decodes the opcodes by the table of
`pickletools` and gives them the few meanings that weights need. A global is looked up in a dictionary of ours and
becomes a `Name`; calling one runs our function of that name (`mien.checkpoints.standins`); BUILD speaks to our
`Shell` objects only. Nothing is imported, and no attribute is fetched.
"""

from __future__ import annotations

import codecs
import pickletools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from mien.checkpoints.claims import MAX_OPCODES, Budget, ByteFile, shown
from mien.errors import CheckpointError

MAX_INTEGER_BITS = 256
MAX_KEY_INTEGER = 2**48


@dataclass(frozen=True)
class Name:
    """A global that a pickle may name; `build` makes what calling it makes, None where it may only be named."""

    full: str
    build: Callable[..., Any] | None = None


class Shell:
    """An object that is made first and given its state by BUILD later, as pickles do."""

    def set_state(self, reading: Reading, state: Any) -> None:
        """Take the state, or raise CheckpointError."""
        raise CheckpointError(f"a {type(self).__name__} takes no state")

    def finish(self, visit: Callable[[Any], Any]) -> Any:
        """The plain value; `visit` gives the plain values of parts."""
        raise NotImplementedError


class Reading(NamedTuple):
    """What the functions behind names are given first.

    Attributes:
        names: "module.name" → Name.
        budget: bytes that may be set aside.
        load_storage: persistent id → storage; None where a pickle may have none.
        nested: whether this pickle lies within another one's bytes.
    """

    names: Mapping[str, Name]
    budget: Budget
    load_storage: Callable[[Any], Any] | None = None
    nested: bool = False

    def call(self, callee: Any, args: Any) -> Any:
        """What calling a name with these arguments makes.

        Raises:
            CheckpointError: it may not be called, or not so.
        """
        if not isinstance(callee, Name):
            raise CheckpointError(f"the pickle calls {shown(callee)}, which is not a name; nothing was executed")
        if callee.build is None or not isinstance(args, tuple):
            raise CheckpointError(f"the pickle calls {callee.full}, which may only be named; nothing was executed")
        try:
            return callee.build(self, *args)
        except TypeError as error:
            raise CheckpointError(f"{callee.full} is called with arguments that do not fit it") from error

    def find(self, module: Any, name: Any) -> Name:
        """A name by module and name.

        Raises:
            CheckpointError: it is not among the allowed ones.
        """
        if not isinstance(module, str) or not isinstance(name, str):
            raise CheckpointError("the pickle names a global by something that is not text")
        found = self.names.get(f"{module}.{name}")
        if found is None:
            raise CheckpointError(
                f"the pickle names {shown(f'{module}.{name}', 120)}, which files of weights have no need of; "
                "nothing was executed"
            )
        return found


def interpret(stream: ByteFile, reading: Reading) -> Any:
    """Run one pickle, up to and with its STOP.

    Raises:
        CheckpointError: the pickle is damaged, too long, or wants something that is not allowed.
    """
    machine = _Machine(reading)
    for _ in reading.budget.steps:
        code = stream.read(1)
        if not code:
            raise CheckpointError("the pickle is cut short: it ends before its STOP")
        opcode = _OPCODES.get(code)
        if opcode is None:
            raise CheckpointError(f"not a pickle, or a damaged one: there is no opcode {code!r}")
        name, reader = opcode
        if name == "STOP":
            return machine.result()
        try:
            argument = reader(stream) if reader else None
        except ValueError as error:
            raise CheckpointError(f"the pickle is cut short or damaged: {str(error)[:120]}") from error
        machine.run(name, argument)
    raise CheckpointError(f"the pickle has more than {MAX_OPCODES} opcodes")


def _read_quoted(stream: ByteFile) -> str:
    """Argument of STRING; `pickletools` would take ASCII only, Python 2 wrote bytes."""
    line = stream.readline()
    quoted = line[:-1].strip()
    if not line.endswith(b"\n") or not _QUOTED.fullmatch(quoted):
        raise ValueError("a quoted text is expected")
    decoded: tuple[bytes, int] = codecs.escape_decode(quoted[1:-1])  # type: ignore[attr-defined]
    return decoded[0].decode("latin-1")


def _table() -> dict[bytes, tuple[str, Callable[[Any], Any] | None]]:
    readers: dict[str, Callable[[Any], Any] | None] = {
        op.name: op.arg.reader if op.arg else None for op in pickletools.opcodes
    }
    readers["STRING"] = _read_quoted
    return {op.code.encode("latin-1"): (op.name, readers[op.name]) for op in pickletools.opcodes}


_ESCAPE = rb"""\\[\\'"abfnrtvx]"""
_QUOTED = re.compile(rb"""'(?:[^\\']|%b)*+'|"(?:[^\\"]|%b)*+\"""" % (_ESCAPE, _ESCAPE))
_OPCODES = _table()
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_CONTAINERS: dict[str, Callable[[], Any]] = {"EMPTY_LIST": list, "EMPTY_DICT": dict, "EMPTY_SET": set}
_LITERALS = frozenset(
    """INT BININT BININT1 BININT2 LONG LONG1 LONG4 STRING BINSTRING SHORT_BINSTRING BINBYTES SHORT_BINBYTES BINBYTES8
    BYTEARRAY8 UNICODE SHORT_BINUNICODE BINUNICODE BINUNICODE8 FLOAT BINFLOAT""".split()  # noqa: SIM905
)
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_GETS = frozenset(("GET", "BINGET", "LONG_BINGET"))
_PUTS = frozenset(("PUT", "BINPUT", "LONG_BINPUT"))


class _Machine:
    """The stack, the marks and the memo of one pickle."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}
        self._actions: dict[str, Callable[[Any], None]] = {
            "APPEND": lambda _: self._extend([self._pop()]),
            "APPENDS": lambda _: self._extend(self._pop_marked()),
            "LIST": lambda _: self._stack.append(self._pop_marked()),
            "TUPLE": lambda _: self._stack.append(tuple(self._pop_marked())),
            "DICT": lambda _: self._stack.append(_set_items({}, self._pop_marked())),
            "SETITEM": lambda _: self._update(self._pop_many(2)),
            "SETITEMS": lambda _: self._update(self._pop_marked()),
            "ADDITEMS": lambda _: self._add(self._pop_marked()),
            "FROZENSET": lambda _: self._stack.append(frozenset(map(check_key, self._pop_marked()))),
            "POP": lambda _: self._discard(),
            "DUP": lambda _: self._stack.append(self._top()),
            "MARK": lambda _: self._marks.append(len(self._stack)),
            "POP_MARK": lambda _: self._forget(),
            "MEMOIZE": lambda _: self._put(len(self._memo)),
            "GLOBAL": lambda argument: self._stack.append(self._reading.find(*_halves(argument))),
            "STACK_GLOBAL": lambda _: self._stack.append(self._reading.find(*self._pop_many(2))),
            "REDUCE": lambda _: self._stack.append(self._reading.call(*self._pop_many(2))),
            "NEWOBJ": lambda _: self._stack.append(self._reading.call(*self._pop_many(2))),
            "NEWOBJ_EX": lambda _: self._new_with_keywords(),
            "INST": lambda argument: self._instance(self._reading.find(*_halves(argument)), self._pop_marked()),
            "OBJ": lambda _: self._object(self._pop_marked()),
            "BUILD": lambda _: self._build(self._pop()),
            "BINPERSID": lambda _: self._stack.append(self._storage(self._pop())),
            "PERSID": lambda argument: self._stack.append(self._storage(argument)),
            "PROTO": self._protocol,
            "FRAME": lambda _: None,
        }

    def run(self, name: str, argument: Any) -> None:
        """One opcode."""
        if name in _LITERALS:
            if type(argument) is int and argument.bit_length() > MAX_INTEGER_BITS:
                raise CheckpointError(f"the pickle has an integer of {argument.bit_length()} bits")
            self._stack.append(argument)
        elif name in _PUTS:
            self._put(argument)
        elif name in _GETS:
            self._get(argument)
        elif name in _CONSTANTS:
            self._stack.append(_CONSTANTS[name])
        elif name in _CONTAINERS:
            self._stack.append(_CONTAINERS[name]())
        elif name in _TUPLES:
            self._stack.append(tuple(self._pop_many(_TUPLES[name])))
        elif name in self._actions:
            self._actions[name](argument)
        else:
            raise CheckpointError(f"the pickle uses {name}, which files of weights have no need of")

    def result(self) -> Any:
        """The value that STOP hands out."""
        return self._pop()

    def _pop_many(self, count: int) -> list[Any]:
        floor = self._marks[-1] if self._marks else 0
        if len(self._stack) - floor < count:
            raise CheckpointError("damaged pickle: an opcode takes more from the stack than there is")
        taken = self._stack[-count:]
        del self._stack[-count:]
        return taken

    def _pop(self) -> Any:
        return self._pop_many(1)[0]

    def _top(self) -> Any:
        if len(self._stack) <= (self._marks[-1] if self._marks else 0):
            raise CheckpointError("damaged pickle: an opcode takes from an empty stack")
        return self._stack[-1]

    def _pop_marked(self) -> list[Any]:
        if not self._marks:
            raise CheckpointError("damaged pickle: an opcode needs a mark and there is none")
        start = self._marks.pop()
        taken = self._stack[start:]
        del self._stack[start:]
        return taken

    def _forget(self) -> None:
        self._pop_marked()

    def _discard(self) -> None:
        """POP takes a mark where it is on top, as in the language's own machine."""
        if self._marks and self._marks[-1] == len(self._stack):
            self._marks.pop()
        else:
            self._pop()

    def _put(self, index: Any) -> None:
        if not 0 <= index < 2**32:
            raise CheckpointError(f"damaged pickle: memo index {shown(index)}")
        self._memo[index] = self._top()

    def _get(self, index: Any) -> None:
        if index not in self._memo:
            raise CheckpointError(f"damaged pickle: nothing was kept under memo index {shown(index)}")
        self._stack.append(self._memo[index])

    def _extend(self, items: list[Any]) -> None:
        target = self._top()
        if type(target) is not list:
            raise CheckpointError(f"the pickle appends to {shown(target)}")
        target.extend(items)

    def _add(self, items: list[Any]) -> None:
        target = self._top()
        if type(target) is not set:
            raise CheckpointError(f"the pickle adds to {shown(target)}, which is not a set")
        target.update(map(check_key, items))

    def _update(self, items: list[Any]) -> None:
        target = self._top()
        if type(target) is not dict:
            raise CheckpointError(f"the pickle sets items of {shown(target)}")
        _set_items(target, items)

    def _new_with_keywords(self) -> None:
        callee, args, keywords = self._pop_many(3)
        if keywords != {}:
            raise CheckpointError("the pickle makes an object with keyword arguments")
        self._stack.append(self._reading.call(callee, args))

    def _instance(self, callee: Name, args: list[Any]) -> None:
        self._stack.append(self._reading.call(callee, tuple(args)))

    def _object(self, items: list[Any]) -> None:
        if not items:
            raise CheckpointError("damaged pickle: OBJ without a class")
        self._stack.append(self._reading.call(items[0], tuple(items[1:])))

    def _build(self, state: Any) -> None:
        target = self._top()
        if isinstance(target, Shell):
            target.set_state(self._reading, state)
        elif type(target) is not dict or type(state) is not dict:  # attributes of an OrderedDict carry no weights
            raise CheckpointError(f"the pickle gives a state to {shown(target)}")

    def _storage(self, persistent_id: Any) -> Any:
        if self._reading.load_storage is None:
            raise CheckpointError("the pickle refers to storages outside itself, and there are none")
        return self._reading.load_storage(persistent_id)

    def _protocol(self, version: Any) -> None:
        if version > 5:
            raise CheckpointError(f"pickle protocol {version} is not known")


def check_key(key: Any) -> Any:
    """A key of a dictionary: text, bytes, a number of moderate size or None; others may take exponential time to hash.

    Raises:
        CheckpointError: it is something else.
    """
    if key is None or isinstance(key, (str, bytes, bool)) or (type(key) is int and abs(key) < MAX_KEY_INTEGER):
        return key
    raise CheckpointError(f"the pickle uses {shown(key)} as a key")


def _set_items(target: dict[Any, Any], items: list[Any]) -> dict[Any, Any]:
    if len(items) % 2:
        raise CheckpointError("damaged pickle: a key without a value")
    for key, value in zip(items[::2], items[1::2]):
        target[check_key(key)] = value
    return target


def _halves(argument: str) -> list[str]:
    """Module and name of GLOBAL and INST, which `pickletools` joins by a blank."""
    return argument.split(" ", 1) if " " in argument else [argument, ""]
