"""What lionk raises and warns with, beside TypeError and ValueError."""


class NotAvailable(NotImplementedError):
    """The operation has no implementation for this function; the message says why and what to use."""


class LionKWarning(UserWarning):
    """The run is allowed, but a statement of the theory does not apply to it; the message says which."""
