"""Stands in for the ``cython`` module where a kernel runs as plain Python and no Cython is installed."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, Final, TypeVar

_Function = TypeVar("_Function", bound=Callable[..., Any])

#: ``with nogil:`` in a compiled kernel lets other threads run.
nogil: Final = nullcontext()

#: What stands below ``if not cython.compiled`` a compiler leaves out.
compiled: Final = False

#: The types that a kernel casts to.
ulonglong: Final = int


def cast(kind: Callable[[float], int], value: float) -> int:
    """Return a number as another C type has it."""
    return kind(value)


def _directive(_: bool) -> Callable[[_Function], _Function]:
    """Return a decorator that changes nothing: directives speak to the compiler."""
    return lambda function: function


boundscheck = _directive
initializedcheck = _directive
cdivision = _directive
