"""What paid models have cost: by stage, model and day, and what the store has saved.

python -m tools.account
"""

import argparse
import sys
from collections.abc import Mapping, Sequence

from tabulate import tabulate

from augen.core.errors import AugenError
from augen.store.responses import Store, default_path
from augen.store.spending import Amounts, Heading


def page(spending: Mapping[Heading, Amounts]) -> str:
    """What is shown of `spending`."""
    if not spending:
        return "nothing was spent"
    rows = [(*heading, *amounts.values()) for heading, amounts in spending.items()]
    return tabulate(rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``python -m tools.account``; returns the exit status."""
    _command_line().parse_args(arguments)
    try:
        with Store(default_path()) as store:
            print(page(store.spending()))
    except AugenError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _command_line() -> argparse.ArgumentParser:
    return argparse.ArgumentParser(
        prog="python -m tools.account", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )


if __name__ == "__main__":
    sys.exit(main())
