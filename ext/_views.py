"""What the kernels ask of a buffer, so that each says the same when it is given something else."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Buffer


def octets(data: "Buffer") -> memoryview:
    """Return any C-contiguous buffer as octets, without a copy."""
    return memoryview(data).cast("B")


def int64(data: "Buffer", name: str) -> memoryview:
    """Return a one-dimensional buffer of signed 64-bit integers (``array('q')``, NumPy int64), without a copy."""
    return _typed(data, name, ("q", "l"), 8, "array('q') or NumPy int64")


def int32(data: "Buffer", name: str) -> memoryview:
    """Return a one-dimensional buffer of signed 32-bit integers (``array('i')``, NumPy int32), without a copy."""
    return _typed(data, name, ("i",), 4, "array('i') or NumPy int32")


def uint16(data: "Buffer", name: str) -> memoryview:
    """Return a one-dimensional buffer of unsigned 16-bit integers (``array('H')``, NumPy uint16), without a copy."""
    return _typed(data, name, ("H",), 2, "array('H') or NumPy uint16")


def _typed(data: "Buffer", name: str, formats: tuple[str, ...], size: int, wanted: str) -> memoryview:
    try:
        view = memoryview(data)
    except TypeError:
        raise TypeError(f"{name} must be {wanted}, not {type(data).__name__}") from None
    if view.ndim != 1 or view.format not in formats or view.itemsize != size or not view.c_contiguous:
        raise TypeError(f"{name} must be one-dimensional, contiguous {wanted}, not format {view.format!r}")
    return view
