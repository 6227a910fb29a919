"""Backends: what is known of an array library beyond the Array API, and how the installed ones are found."""

from .discovery import GenericBackend as GenericBackend
from .discovery import assignment as assignment
from .discovery import backend_of as backend_of
from .discovery import backends as backends
from .protocol import Backend as Backend
from .protocol import Runner as Runner
from .protocol import dtype_name as dtype_name
from .protocol import reference_runner as reference_runner
