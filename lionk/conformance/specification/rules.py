"""The specification of a Lion-K optimizer: numbered rules, each with a level and a source.

Identifiers are stable: a rule may be added in a minor version, and changes its meaning only in a major one.
"""

from __future__ import annotations

from dataclasses import dataclass

#: Of the specification.
VERSION = "1.1"
#: Those that a port may ask for.
VERSIONS = ("1.0", "1.1")

#: What the tests of each level look at.
LEVELS = {
    0: "one step and the state behind it, in float64",
    1: "trajectories in float32 and float64, schedules, shapes",
    2: "16-bit dtypes, NaN, infinities",
    3: "checkpoints, several parameters, groups, shards",
}

_PAPER = "Chen, Liu, Liang, Liu 2023, arXiv 2310.05898, section 2"
_LION = "Chen et al. 2023, arXiv 2302.06675, algorithm 2"
_ARRAY = "Array API 2025.12"


@dataclass(frozen=True)
class Rule:
    """One sentence that a port can keep or break.

    ``must``: breaking it is a failure; otherwise it is advice, and breaking it is a warning. c is the readout as
    frameworks write it, with m the average of the gradients; for a K that is not even, u = -dK(c) reads dK(-c).
    """

    id: str
    level: int
    text: str
    source: str
    must: bool = True
    since: str = "1.0"
    refusable: bool = False  # a port may refuse such values: that is noted, not failed


#: Every rule by its identifier.
RULES: dict[str, Rule] = {
    rule.id: rule
    for rule in (
        Rule(
            "S1.readout",
            0,
            "The direction is u = dK(r), r = b1 m - (1-b1) g, with the momentum m from before this step.",
            _PAPER,
        ),
        Rule(
            "S1.first",
            0,
            "The first step is made from m = 0: it is not skipped, doubled, or corrected for bias.",
            _LION,
        ),
        Rule(
            "S1.betas",
            0,
            "b1 weighs the old momentum in the readout, b2 in the state; any 0 < b1 <= 1 and 0 <= b2 < 1 will do.",
            _PAPER,
        ),
        Rule(
            "S1.zero_beta", 0, "b1 = 0 is taken, and the readout is then minus the gradient alone.", _PAPER, must=False
        ),
        Rule(
            "S2.selection",
            0,
            "Where the readout is exact, the subgradient of least norm is taken: sign(0) = 0, ties are shared.",
            f"{_ARRAY}, sign; selection of least norm: derived here",
        ),
        Rule(
            "S2.scale",
            0,
            "For a positively homogeneous K the step does not depend on the size of the gradients: no epsilon.",
            "derived here from K(a x) = a K(x)",
        ),
        Rule(
            "S3.step",
            0,
            "x' = x + lr (u - lam x), with lr and lam in the parameter's precision; bit for bit where all is dyadic.",
            _PAPER,
        ),
        Rule(
            "S3.decay",
            0,
            "Decay acts on x from before the step, by the factor of the declared convention, and not on the state.",
            f"{_PAPER}; Loshchilov, Hutter 2019, arXiv 1711.05101, for its decoupling from the gradient",
        ),
        Rule("S3.zero_decay", 0, "With weight_decay = 0 there is no decay.", _PAPER),
        Rule(
            "S3.zero_rate",
            0,
            "With lr = 0, as a warm-up may begin, x stays and the state moves.",
            "derived here",
            must=False,
        ),
        Rule(
            "S4.state",
            0,
            "m' = b2 m - (1-b2) g: the plain gradient of this step, nothing else, and no correction for bias.",
            _PAPER,
        ),
        Rule("S4.pure", 0, "A step leaves the gradient as it was.", "derived here"),
        Rule("S5.trajectory", 1, "Forty steps are forty times the one step.", _PAPER),
        Rule(
            "S5.schedule",
            1,
            "A schedule is called with 0 at the first step, and the decay follows it by its convention.",
            "lionk contract",
        ),
        Rule(
            "S5.shape",
            1,
            "Arrays of any shape and layout: 0-d, empty, one entry, stacked, transposed, strided, large.",
            _ARRAY,
        ),
        Rule("S5.dtype", 1, "x keeps its shape and dtype.", _ARRAY),
        Rule(
            "S6.precision",
            2,
            "In 16-bit parameters the step is right to their rounding, and the state to that of its declared dtype.",
            "derived here",
        ),
        Rule("S6.nan", 2, "A NaN in a readout never makes a step of finite size, and stays in its entry.", _ARRAY),
        Rule("S6.nan_result", 2, "A NaN in a readout makes x NaN there: sign(nan) is nan.", _ARRAY, must=False),
        Rule(
            "S6.infinity", 2, "An infinite readout steps like a large one, or gives NaN; it never steps back.", _ARRAY
        ),
        Rule("S6.infinity_result", 2, "sign(inf) is 1: an infinite gradient is a step.", _ARRAY, must=False),
        Rule(
            "S7.checkpoint",
            3,
            "A saved and loaded optimizer goes on bit for bit like the one that was saved.",
            "derived here",
        ),
        Rule("S7.again", 3, "The same inputs give the same bits.", "derived here"),
        Rule("S7.parameters", 3, "Parameters have states of their own.", "derived here"),
        Rule("S7.groups", 3, "Groups have hyper-parameters of their own.", "derived here"),
        Rule("S7.missing", 3, "A parameter without gradient keeps its value and its state.", "derived here"),
        Rule(
            "S7.shards",
            3,
            "For an elementwise K, the parts of an array step as the whole; for any K, so does a port of pieces.",
            "derived here",
        ),
        Rule(
            "S1.zero_b2",
            0,
            "b2 = 0 is taken as 0: the state is then the last gradient.",
            "derived here",
            since="1.1",
            refusable=True,
        ),
        Rule(
            "S2.fine",
            0,
            "A readout beside a tie is no tie, however near, and down to the smallest normal number: no threshold.",
            "derived here",
            since="1.1",
        ),
        Rule(
            "S3.large",
            0,
            "Where lr lam is 1 or more, the factor is still 1 - lr lam; large rates are taken as they are.",
            "derived here",
            since="1.1",
            refusable=True,
        ),
        Rule(
            "S5.rate",
            1,
            "The momentum does not hold the learning rate: a rate that jumps leaves the readouts as they are.",
            "derived here",
            since="1.1",
        ),
        Rule(
            "S5.pause",
            1,
            "A rate of 0 in the middle of a schedule stops x; the state moves on, and so does x after it.",
            "derived here",
            since="1.1",
        ),
        Rule(
            "S5.long",
            1,
            "The thousandth step is like the tenth: nothing happens at a count, such as a power of ten or of two.",
            "derived here",
            since="1.1",
        ),
        Rule(
            "S5.inner",
            0,
            "A dtype that is taken is computed in: float64 is not computed in float32.",
            "derived here",
            must=False,
            since="1.1",
        ),
        Rule(
            "S5.kept",
            0,
            "A parameter of 32 bits or more is kept in as many: after a step it is not rounded to float16 or bfloat16.",
            "derived here",
            since="1.1",
        ),
        Rule("S5.taken", 0, "A dtype that is claimed is taken.", "derived here", since="1.1"),
        Rule(
            "S7.gaps",
            3,
            "Whichever parameter lacks a gradient, and for how long, it and the others go on from their own states.",
            "derived here",
            since="1.1",
        ),
        Rule(
            "S7.buffers",
            3,
            "A gradient is read, not kept: its memory may be written again, and shared by parameters.",
            "derived here",
            since="1.1",
        ),
        Rule(
            "S7.restore",
            3,
            "Loading restores all that was saved, hyper-parameters included where they are saved, into any optimizer.",
            "derived here",
            since="1.1",
        ),
        Rule(
            "S7.edited",
            3,
            "A step begins at the x that is there, also where the user wrote it.",
            "derived here",
            since="1.1",
        ),
        Rule(
            "S7.settings",
            3,
            "Hyper-parameters changed between two steps count from the next step.",
            "derived here",
            since="1.1",
        ),
        Rule(
            "S7.mixed",
            3,
            "Parameters of several shapes and dtypes step as each does alone.",
            "derived here",
            since="1.1",
        ),
        Rule(
            "S7.added",
            3,
            "A parameter that is added later begins at m = 0, and the others go on.",
            "derived here",
            since="1.1",
        ),
        Rule(
            "S7.closure",
            3,
            "A closure is called once, with gradients enabled, before the step, and its value is returned.",
            "torch.optim.Optimizer.step",
            since="1.1",
        ),
        Rule(
            "S7.options",
            3,
            "Options that say how a step is computed do not change it; maximize turns the gradient, and nothing else.",
            "torch.optim",
            since="1.1",
        ),
        Rule(
            "S7.complex",
            3,
            "A complex array steps as the array of its real and imaginary parts.",
            "torch.optim",
            since="1.1",
        ),
    )
}


def rule_of(case_id: str) -> Rule:
    """The rule that a test such as ``S3.decay/lr_wd/float32`` belongs to."""
    return RULES[case_id.partition("/")[0]]
