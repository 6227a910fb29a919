"""The bits of numbers inside a loop of numba: float32 as int32 and back, and numbers of 16 bits as float32."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any


class Half:
    """Stands for a dtype of 16 bits of another library, whose arrays come as int16 and whose numbers as float32."""

    def __init__(self, name: str) -> None:
        import numpy as np

        self.name, self.type = name, np.float32

    def __str__(self) -> str:
        return self.name


@cache
def bits() -> dict[str, Callable[..., Any]]:
    """``view_int32(float32)``, ``view_float32(int32)``; for both kinds of 16 bits ``to_KIND(float32)``, which rounds to
    nearest, ``wide_KIND(int16)``, and ``narrow_KIND(float32)`` of what is rounded.

    ``near_bfloat16`` is ``to_bfloat16`` of numbers among which no NaN has a bit in the second half: see ``exact``.
    """
    import numpy as np
    from llvmlite import ir
    from numba import njit, types
    from numba.extending import intrinsic

    i32, nan = np.int32, np.float32(np.nan)
    half = ir.HalfType()

    def of(given: Any, gives: Any, code: Callable[[Any, Any], Any]) -> Any:
        def typed(_: Any, __: Any) -> Any:
            return gives(given), lambda _, builder, __, arguments: code(builder, arguments[0])

        return intrinsic(typed)

    view_int32 = of(types.float32, types.int32, lambda b, v: b.bitcast(v, ir.IntType(32)))
    view_float32 = of(types.int32, types.float32, lambda b, v: b.bitcast(v, ir.FloatType()))
    wide_half = of(types.int16, types.float32, lambda b, v: b.fpext(b.bitcast(v, half), ir.FloatType()))
    narrow_half = of(types.float32, types.int16, lambda b, v: b.bitcast(b.fptrunc(v, half), ir.IntType(16)))

    def near_bfloat16(v: Any) -> Any:
        b = view_int32(v)
        b = i32(b + i32(0x7FFF) + (i32(b >> i32(16)) & i32(1)))  # half of the last bit, and ties to even
        return view_float32(i32(b & i32(-0x10000)))

    near = njit(near_bfloat16)

    def to_bfloat16(v: Any) -> Any:
        return near(v) if v == v else nan

    def wide_bfloat16(v: Any) -> Any:
        return view_float32(i32(i32(v) << i32(16)))

    def narrow_bfloat16(v: Any) -> Any:
        return np.int16(view_int32(v) >> i32(16))

    def to_float16(v: Any) -> Any:
        return wide_half(narrow_half(v))

    written = (near_bfloat16, to_bfloat16, wide_bfloat16, narrow_bfloat16, to_float16)
    found: dict[str, Callable[..., Any]] = {f.__name__: njit(f) for f in written}
    return found | {
        "view_int32": view_int32,
        "view_float32": view_float32,
        "wide_float16": wide_half,
        "narrow_float16": narrow_half,
    }
