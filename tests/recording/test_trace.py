"""The record of a step: what it holds, what it refuses, and how it is printed."""

from __future__ import annotations

import warnings

import array_api_compat.numpy as xp
import numpy as np
import pytest

import lionk
from lionk.recording.emit import buffered, contracted, in_calls, scalar, with_factors
from lionk.recording.extent import Extent
from lionk.recording.program import NotTraceableError
from lionk.recording.record import record, step_program

F4 = np.dtype("float32")
# Norms of groups under one number, and functions of an entry and its neighbours.
SORTED = ("half_group_squared", "total_variation", "monotone")
TRACEABLE = [n for n in lionk.names() if lionk.K(n).traits.structure in ("elementwise", "reduce") and n not in SORTED]


def program(name, dtypes=(F4, F4, F4), shape=(10,), **options):
    opt = lionk.LionK(name, **({"lr": 0.1, "weight_decay": 0.1} | options))
    return step_program(opt, opt.K, xp, dtypes, shape)


def written(function, *dtypes, size=None):
    arrays = dict(zip("abc", dtypes, strict=False))
    return record(function, xp, arrays, {}, Extent(None if size is None else (size,)), ("a",))


def test_the_record_of_lion_is_its_eleven_operations_in_order():
    p = program("l1")
    (only,) = p.passes()
    assert [p.nodes[i].op for i in only.body] == (
        [
            "multiply",
            "multiply",
            "subtract",
            "sign",
            "multiply",
            "subtract",
            "multiply",
            "add",
            "multiply",
            "multiply",
            "subtract",
        ]
    )
    assert [p.nodes[i].op for i in only.numbers] == ["input"] * 4 + ["subtract"] * 2, "lr, decay, betas, and 1 - betas"


def test_a_record_warns_of_nothing_that_its_optimizer_warned_of():
    with pytest.warns(lionk.LionKWarning, match="not smallest at 0"):
        opt = lionk.LionK("softplus", lr=0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        step_program(opt, opt.K, xp, (F4, F4, F4), (10,))


@pytest.mark.parametrize("name", TRACEABLE)
def test_every_function_of_entries_and_sums_is_recorded(name):
    p = program(name)
    reductions = [i for step in p.passes()[:-1] for i in step.targets]
    assert (lionk.K(name).traits.structure == "reduce") == bool(reductions)
    assert all(p.nodes[i].op in ("sum", "max", "min") for i in reductions)


def test_an_order_statistic_has_a_pass_of_its_own():
    p = program({"name": "top_k", "k": 3})
    assert [[p.nodes[i].op for i in step.targets] for step in p.passes()] == [["order_statistic"], ["add", "subtract"]]
    both = program(lionk.K({"name": "top_k", "k": 3}) + lionk.K("linf"))
    assert [[p.nodes[i].op for i in step.targets] for p, step in ((both, s) for s in both.passes())] == [
        ["order_statistic"], ["max"], ["sum", "sum"], ["add", "subtract"]
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["k_support", "sparsemax", "nuclear", "row_l1_l2", "owl", "lambda_max", *SORTED])
def test_what_is_not_made_entry_by_entry_is_refused(name):
    with pytest.raises(NotTraceableError):
        program(name)


def test_parameters_that_are_arrays_are_refused():
    opt = lionk.LionK(lionk.K("l1").tilt(np.ones(3, "float32")), lr=0.1)
    with pytest.raises(NotTraceableError):
        step_program(opt, opt.K, xp, (F4, F4, F4), (3,))


def test_errors_of_the_step_come_through():
    with pytest.raises(TypeError, match="grad is complex"):
        program("l1", (F4, F4, np.dtype("complex64")))
    with pytest.raises(TypeError, match="floating-point"):
        program("l1", (np.dtype("int32"),) * 3)


def test_a_step_of_mixed_dtypes_records_its_conversions():
    p = program("l1", (np.dtype("float16"), F4, F4))
    assert [str(n.dtype) for n in p.nodes if n.op == "astype"] == ["float32", "float16"]


@pytest.mark.parametrize(
    "function",
    [
        lambda a: (a if a > 0 else -a,),
        lambda a: (float(a),),
        lambda a: (a[0],),
        lambda a: (a.shape[0] * a,),
        lambda a: (a.__array_namespace__().sort(a),),
        lambda a: (a.__array_namespace__().sum(a),),
        lambda a: (a.__array_namespace__().reshape(a, (-1,)),),
    ],
    ids=["branch", "float", "index", "shape", "sort", "sum", "reshape"],
)
def test_what_depends_on_values_or_shapes_is_refused(function):
    with pytest.raises(NotTraceableError):
        written(function, F4)


@pytest.mark.parametrize("name", ["sum", "max", "min"])
@pytest.mark.parametrize("axis", [None, 0, -1, (0,), (-1,)])
def test_reductions_of_numbers_are_refused(name, axis):
    """They would be made once for each tile."""

    def function(a):
        space = a.__array_namespace__()
        return (a / getattr(space, name)(space.max(a), axis=axis),)

    with pytest.raises(NotTraceableError):
        written(function, F4, size=5)
    with pytest.raises(NotTraceableError):
        written(lambda a: (a.__array_namespace__().moveaxis(a.__array_namespace__().max(a), 0, -1) * a,), F4, size=5)


def test_equal_expressions_are_recorded_once():
    p = written(lambda a, b: ((a * b + 1) * (a * b + 1),), F4, F4)
    (only,) = p.passes()
    assert [p.nodes[i].op for i in only.body] == ["multiply", "add", "multiply"]


def test_reductions_of_reductions_are_passes_in_order():
    def function(a):
        space = a.__array_namespace__()
        b = a / space.max(space.abs(a))
        return (b / space.sqrt(space.sum(b * b)),)

    p = written(function, F4, size=5)
    assert [[p.nodes[i].op for i in step.targets] for step in p.passes()] == [["max"], ["sum"], ["divide"]]


PLAIN = {op: f"{op}({{0}}, {{1}}, {{out}})" for op in ("add", "subtract", "multiply")} | {"sign": "sign({0}, {out})"}


def test_buffered_text_writes_outputs_in_place_and_needs_two_buffers():
    p = program("l1")
    text = buffered(p, p.passes()[0], PLAIN, frozenset({"sign"}))
    assert len(text.buffers) == 2 and len(text.lines) == 11
    assert text.lines[3] in ("sign(b1, b0)", "sign(b0, b1)")
    assert [line.rsplit(" ", 1)[1] for line in (text.lines[7], text.lines[10])] == ["x)", "m)"]
    last_x = max(k for k, line in enumerate(text.lines) if "(x," in line or " x," in line)
    assert last_x == 7, "x is read after it was written"


def test_an_output_waits_until_its_input_is_read():
    p = record(lambda a, b: (a + b, a - b), xp, {"a": F4, "b": F4}, {}, Extent(None), ("a", "b"))
    text = buffered(p, p.passes()[0], PLAIN | {"astype": "copy({0}, {out})"})
    assert text.lines == ["add(a, b, b0)", "subtract(a, b, b)", "copy(b0, a)"]


def test_scalar_text_keeps_known_numbers_in_it():
    p = record(lambda a, lr: (0.25 * a - lr * a,), xp, {"a": F4}, {"lr": F4}, Extent(None), ("a",))
    phrases = {k: f"{{out}} = {v}" for k, v in PLAIN.items()} | {"output": "{out} <- {0}"}
    text = scalar(p, p.passes()[0], phrases, lambda value, dtype: f"{value!r}:{dtype}")
    assert text.numbers == ["s0"], "lr"
    assert "multiply(0.25:float32, a, " in text.lines[0]
    assert text.lines[-1].startswith("a <- ")


def test_products_are_contracted_where_only_a_sum_reads_them():
    def operations(p):
        return [p.nodes[i].op for i in p.passes()[0].body]

    assert operations(contracted(program("l1"), numbers=True)) == [
        "multiply", "subtract_scaled", "sign", "subtract_scaled", "add_scaled", "multiply", "subtract_scaled"
    ]  # fmt: skip
    arrays = operations(contracted(program("l1"), numbers=False))
    assert arrays.count("multiply") == 4, "lr and decay may be arrays"
    both = record(lambda a, b: (a + 2.0 * b, 2.0 * b), xp, {"a": F4, "b": F4}, {}, Extent(None), ("a", "b"))
    assert "add" in operations(contracted(both, numbers=True)), "an output is read by the caller"


def test_numbers_of_products_are_made_ready_once():
    p = with_factors(contracted(program("l1"), numbers=True))
    (only,) = p.passes()
    kinds = [[p.nodes[a].op for a in p.nodes[i].args if not p.nodes[a].array] for i in only.body]
    assert kinds == [["number"], ["subtract"], [], ["input"], ["input"], ["number"], ["subtract"]]
    half = np.dtype("float16")
    low = with_factors(program("l1", (half, half, half)))
    assert "number" not in {n.op for n in low.nodes}, "16 bits are multiplied by a number of more"


def test_a_language_without_a_phrase_refuses():
    p = program("log_cosh")
    with pytest.raises(NotTraceableError, match="tanh"):
        buffered(p, p.passes()[0], PLAIN)


def test_choices_by_isnan_and_isfinite_are_one_operation():
    def function(a, b):
        xp = a.__array_namespace__()
        return (xp.where(xp.isnan(a), a, b), xp.where(xp.isfinite(a), a, xp.zeros_like(a)))

    def operations(p):
        return [p.nodes[i].op for i in p.passes()[0].body]

    p = in_calls(record(function, xp, {"a": F4, "b": F4}, {}, Extent(None), ("a", "b")))
    assert operations(p) == ["nan_of", "finite_of"]

    def others(a, b):
        xp = a.__array_namespace__()
        return (xp.where(xp.isnan(b), a, b), xp.where(xp.isfinite(a), b, xp.zeros_like(a)))

    p = in_calls(record(others, xp, {"a": F4, "b": F4}, {}, Extent(None), ("a", "b")))
    assert operations(p) == ["isnan", "where", "isfinite", "where"], "another array is chosen than is tested"


def test_a_view_is_another_name_for_what_is_kept_until_it_is_read():
    def function(a):
        b = a + a
        bits = b.view(np.dtype("int32")) + 1
        return (bits.view(F4) - b,)

    p = written(function, F4)
    phrases = PLAIN | {"view": "{0}:{dtype}"}
    text = buffered(p, p.passes()[0], phrases)
    assert text.lines == ["add(a, a, b0)", "add(b0:int32, 1, b1)".replace("1,", "s0,"), "subtract(b1:float32, b0, a)"]
