"""DVC that writes its settings in UTF-8.

An experiment with ``--temp`` or ``--queue`` runs in a copy, into which DVC 3.67 writes the path of the cache as ASCII:
where the repository lies in a folder such as 谜题, it would end with "'ascii' codec can't encode character".
"""

import sys
from typing import Any

from configobj import ConfigObj
from dvc.cli import main

_write = ConfigObj.write


def write_utf8(self: Any, *args: Any, **kwargs: Any) -> Any:
    self.encoding = self.encoding or "utf-8"
    return _write(self, *args, **kwargs)


def dvc() -> None:
    """The program ``dvc`` with the arguments of this one."""
    ConfigObj.write = write_utf8
    sys.exit(main(sys.argv[1:]))
