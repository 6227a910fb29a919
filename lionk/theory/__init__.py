"""The theory of Lion-K as functions: objective and gap, Lyapunov function and identity, phases, flow, certificates."""

from .account import Account, Bounds
from .certificate import Certificate, Statement
from .gauge import Nearness, nearness
from .lyapunov import Coefficients, Descent, coefficients, coefficients_of, descent, lyapunov
from .objective import distance_to_domain, gap_rounding, kkt_gap, nearest_feasible, objective
from .ode import Flow, FlowParameters, flow, flow_parameters
from .phase import phase_one_factor, phase_one_steps
from .second import SecondLyapunov, second_lyapunov
from .watch import Watch, watch

__all__ = [
    "Account",
    "Bounds",
    "Certificate",
    "Coefficients",
    "Descent",
    "Flow",
    "FlowParameters",
    "Nearness",
    "SecondLyapunov",
    "Statement",
    "Watch",
    "coefficients",
    "coefficients_of",
    "descent",
    "distance_to_domain",
    "flow",
    "flow_parameters",
    "gap_rounding",
    "kkt_gap",
    "lyapunov",
    "nearest_feasible",
    "nearness",
    "objective",
    "phase_one_factor",
    "phase_one_steps",
    "second_lyapunov",
    "watch",
]
