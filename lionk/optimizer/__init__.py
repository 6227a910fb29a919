"""Optimizers: the step, Lion-K with its hyper-parameters, spellings of decay, and what is added to the step."""

from .lion_k import LionK as LionK
from .lion_k import State as State
