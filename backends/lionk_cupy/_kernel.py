"""The recorded step as the text of one CUDA kernel: C that a compiler for the host also takes. Needs no CuPy."""

from __future__ import annotations

from typing import Any, NamedTuple

from lionk.recording.emit import scalar
from lionk.recording.program import ARITHMETIC, LOGICAL, SIGNS, UNARY, NotTraceableError, Program

NAME = "lionk_step"
_LOGIC = dict(zip(LOGICAL[:2], ("&&", "||"), strict=True))
PHRASES = (
    {op: f"{{dtype}} {{out}} = {op}({{0}});" for op in UNARY if op not in ("real", "imag", "conj")}
    | {op: f"{{dtype}} {{out}} = {op}({{0}}, {{1}});" for op in ARITHMETIC}
    | {op: f"{{dtype}} {{out}} = {{0}} {s} {{1}};" for op, s in (SIGNS | _LOGIC).items()}
    | {
        "negative": "{dtype} {out} = -{0};",
        "abs": "{dtype} {out} = fabs({0});",
        "sign": "{dtype} {out} = {0} > 0 ? ({dtype})1 : {0} < 0 ? ({dtype})-1 : {0} == 0 ? ({dtype})0 : {0};",
        "maximum": "{dtype} {out} = {0} >= {1} || {0} != {0} ? {0} : {1};",
        "minimum": "{dtype} {out} = {0} <= {1} || {0} != {0} ? {0} : {1};",
        "where": "{dtype} {out} = {0} ? {1} : {2};",
        "isnan": "bool {out} = {0} != {0};",
        "isfinite": "bool {out} = {0} - {0} == 0;",
        "logical_not": "bool {out} = !{0};",
        "astype": "{dtype} {out} = ({dtype}){0};",
        "output": "{out}_[i] = {0};",
    }
)
TYPES = ("float32", "float64")


class Kernel(NamedTuple):
    source: str
    numbers: tuple[int, ...]  # places in the program of the numbers that are arguments, in their order
    real: str  # their type


def kernel(program: Program, on_device: frozenset[int] = frozenset()) -> Kernel:
    """The text of ``lionk_step(x, m, grad, size, *numbers)``; numbers in ``on_device`` are pointers.

    Raises NotTraceableError for steps of several passes, and for dtypes other than float32 and float64.
    """
    (*reductions, last), n = program.passes(), program.nodes
    types = {node.args[0]: str(node.dtype) for node in n if node.op == "input"}
    if reductions or not set(types.values()) <= set(TYPES):
        raise NotTraceableError("kernels are for one pass over float32 or float64")
    text = scalar(program, last, PHRASES, _literal)
    numbers = tuple(i for i in last.numbers if n[i].op != "constant")
    real = types["lr"]
    arguments = [f"{types['x']}* x_", f"{types['m']}* m_", f"const {types['grad']}* grad_", "long long size"]
    loads = [f"{types[a]} {a} = {a}_[i];" for a in ("x", "m", "grad")]
    before = []
    for s, i in zip(text.numbers, numbers, strict=True):
        arguments.append(f"const {real}* {s}_" if i in on_device else f"{real} {s}")
        before += [f"{real} {s} = *{s}_;"] if i in on_device else []
    lines = [
        "typedef float float32;",
        "typedef double float64;",
        f'extern "C" __global__ void {NAME}({", ".join(arguments)}) {{',
        *(f"  {line}" for line in before),
        "  long long step = (long long)gridDim.x * blockDim.x;",
        "  for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < size; i += step) {",
        *(f"    {line}" for line in (*loads, *text.lines)),
        "  }",
        "}",
    ]
    return Kernel("\n".join(lines) + "\n", numbers, real)


def _literal(value: Any, dtype: Any) -> str:
    words = {"inf": "(1.0 / 0.0)", "-inf": "(-1.0 / 0.0)", "nan": "(0.0 / 0.0)"}
    return f"({dtype}){words.get(repr(float(value)), repr(float(value)))}"
