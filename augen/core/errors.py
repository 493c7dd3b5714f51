"""The one exception whose message is meant for the user.

A stage prints it without a traceback and ends with exit status 1; anything else that escapes is a defect.
"""


class AugenError(Exception):
    """Something the user can act on: the message says where, what was found, and what to do."""
