"""The exception for faults that the user can fix.

A stage prints its message without a traceback and ends with exit status 1. Any other exception is a defect.
"""


class AugenError(Exception):
    """A fault that the user can fix: the message says where it is, what was found and what to do."""
