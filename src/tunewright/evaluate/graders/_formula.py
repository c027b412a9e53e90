"""Formulas over scores: numbers, names, `+ - * / % ^`, and a few functions. Nothing else is ever evaluated."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass

_LONGEST = 2000
_DEEPEST = 50
_BINARY: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Mod: operator.mod,
    ast.Pow: math.pow,
}
_FUNCTIONS: dict[str, tuple[Callable[..., float], int | None]] = {
    "abs": (abs, 1),
    "ceil": (math.ceil, 1),
    "exp": (math.exp, 1),
    "floor": (math.floor, 1),
    "log": (math.log, 1),
    "max": (lambda *values: max(values), None),
    "min": (lambda *values: min(values), None),
    "sqrt": (math.sqrt, 1),
}

Evaluate = Callable[[Mapping[str, float]], float]


@dataclass(frozen=True)
class Formula:
    """A formula that was read.

    Args:
        names: The scores that it asks for.
        value: Its value, of scores by name; raises an ArithmeticError or ValueError where it has none.
    """

    names: frozenset[str]
    value: Evaluate


def parse_formula(text: str) -> Formula:
    """Reads a formula; `^` is a power, and so is `**`.

    Raises:
        ValueError: If it holds anything but arithmetic; says what.
    """
    if len(text) > _LONGEST:
        raise ValueError(f"the formula has {len(text):,} characters, and may have {_LONGEST:,}")
    try:
        # Python's own ^ binds more loosely than + does. There are no texts in a formula, so that the sign is no other.
        tree = ast.parse(text.strip().replace("^", "**"), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ValueError(f"{text!r} is no formula") from error
    names: set[str] = set()
    value = _read(tree, names, 0)
    return Formula(frozenset(names), value)


def _read(node: ast.expr, names: set[str], depth: int) -> Evaluate:
    if depth > _DEEPEST:
        raise ValueError(f"the formula is nested more than {_DEEPEST} deep")
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            fixed = float(number)
            return lambda _: fixed
        case ast.Name(id=name):
            names.add(name)
            return lambda scores: scores[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            inner = _read(operand, names, depth + 1)
            return lambda scores: -inner(scores)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _read(operand, names, depth + 1)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            join = _BINARY[type(op)]
            first, second = _read(left, names, depth + 1), _read(right, names, depth + 1)
            return lambda scores: join(first(scores), second(scores))
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _FUNCTIONS:
            return _read_call(name, args, names, depth)
    raise ValueError(
        f"{ast.unparse(node)!r} cannot stand in a formula: it may hold numbers, names of graders, + - * / % ^ and "
        + ", ".join(_FUNCTIONS)
    )


def _read_call(name: str, args: list[ast.expr], names: set[str], depth: int) -> Evaluate:
    function, wanted = _FUNCTIONS[name]
    if (wanted is not None and len(args) != wanted) or not args:
        raise ValueError(f"{name} takes {wanted or 'one or more'} value, and {len(args)} stand there")
    inner = [_read(arg, names, depth + 1) for arg in args]
    return lambda scores: float(function(*(each(scores) for each in inner)))
