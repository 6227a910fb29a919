"""The golden vectors in the wheel are what their generator makes, and right in high precision."""

from __future__ import annotations

import hashlib
import json
import zipfile

import mpmath as mp
import pytest
from jsonschema import Draft202012Validator, validate

from lionk.conformance import VERSION
from lionk.conformance.ports.exchange import claims_of_program, judge_results
from lionk.conformance.ports.export import export
from lionk.conformance.ports.golden import SHIPPED, archive, pack, unpack
from lionk.conformance.report.schemas import schema
from turns import FULL


def test_they_are_small():
    assert sum(archive(K).stat().st_size for K in SHIPPED) < 5e6


@pytest.mark.parametrize("K", SHIPPED)
def test_the_generator_still_makes_them(K, tmp_path):
    """A difference in the inputs, or for l1 in any byte, is another version of the specification."""
    count = export(tmp_path, claims_of_program(K))
    with zipfile.ZipFile(archive(K)) as packed:
        shipped = {n: packed.read(n) for n in packed.namelist()}
    made = {p.relative_to(tmp_path).as_posix(): p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    assert sorted(shipped) == sorted(made)
    # What tanh and singular values are in the last bit is the machine's.
    loose = set() if K == "l1" else {"expected.jsonl", "manifest.json"}
    assert [n for n in made if made[n] != shipped[n] and n not in loose] == []
    manifest = json.loads(shipped["manifest.json"])
    assert manifest["specification"] == VERSION
    assert len(manifest["cases"]) == count
    for name, digest in manifest["sha256"].items():
        assert hashlib.sha256(shipped[name]).hexdigest() == digest
    report = judge_results(shipped["expected.jsonl"].decode().splitlines(), claims_of_program(K), name=K)
    assert report.passed, [f"{r.id}: {r.text}" for r in report.failures]


def test_packing_is_deterministic(tmp_path, monkeypatch):
    monkeypatch.setattr("lionk.conformance.ports.golden._FOLDER", tmp_path)
    before = pack("nuclear").read_bytes()
    assert pack("nuclear").read_bytes() == before
    assert unpack("nuclear", tmp_path / "v") == (tmp_path / "v" / "cases.jsonl").read_text().count("\n")


def _l1(r, shape):
    return [mp.sign(v) for v in r]


def _log_cosh(r, shape):
    return [mp.tanh(v) for v in r]


def _l2(r, shape):
    length = mp.sqrt(mp.fsum(v * v for v in r))
    return [v / length if length else mp.mpf(0) for v in r]


def _nuclear(r, shape):
    U, S, V = mp.svd_r(mp.matrix([r[i : i + shape[1]] for i in range(0, len(r), shape[1])]))
    if S[len(S) - 1] <= 1e-3 * S[0]:  # there the cut that takes a singular value for 0 decides
        return None
    P = U * V
    return [P[i, j] for i in range(shape[0]) for j in range(shape[1])]


@pytest.mark.parametrize(("K", "direction"), [("l1", _l1), ("log_cosh", _log_cosh), ("l2", _l2), ("nuclear", _nuclear)])
def test_directions_agree_with_high_precision(K, direction, tmp_path):
    mp.mp.prec = 120
    unpack(K, tmp_path)
    cases = [json.loads(line) for line in (tmp_path / "cases.jsonl").read_text().splitlines()]
    rows = [json.loads(line) for line in (tmp_path / "expected.jsonl").read_text().splitlines()]
    checked = 0
    for case, row in zip(cases, rows, strict=True):
        assert case["id"] == row["id"]
        if (
            not 0 < case["n"] <= 24
            or len(case["shape"]) == 3
            or not case["id"].endswith("float64")
            or "S6" in row["id"]
        ):
            continue
        for readout, seen in list(zip(row["readout"], row["direction"], strict=True))[:4]:
            right = direction([mp.mpf(float.fromhex(v)) for v in readout], case["shape"])
            if right is None:
                continue
            checked += 1
            assert all(abs(a - float.fromhex(b)) < 1e-11 for a, b in zip(right, seen, strict=True)), case["id"]
    assert checked > 50


@pytest.mark.parametrize("K", SHIPPED)
def test_lines_of_every_archive_keep_their_schema(K):
    """Every one with LIONK_FULL=1, else one in eight, others of each."""
    step = 1 if FULL else 8
    with zipfile.ZipFile(archive(K)) as packed:
        validate(json.loads(packed.read("manifest.json")), schema("manifest"))
        for name, kind in (("cases.jsonl", "case"), ("expected.jsonl", "expected")):
            check = Draft202012Validator(schema(kind))
            for row in packed.read(name).splitlines()[SHIPPED.index(K) % step :: step]:
                check.validate(json.loads(row))
