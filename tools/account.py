"""What paid models have cost: by stage, model and day, and what the store has saved.

python -m tools.account
python -m tools.account --cancel
"""

import argparse
import sys
from collections.abc import Mapping, Sequence

from tabulate import tabulate

from augen.core.errors import AugenError
from augen.core.params import load
from augen.generation.served.batch_records import running
from augen.generation.served.batches import cancel
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
    options = _command_line().parse_args(arguments)
    try:
        with Store(default_path()) as store:
            if options.cancel:
                print("\n".join(cancel(store, load("providers").providers.openai)) or "no batch is running")
                return 0
            print(page(store.spending()))
            if batches := running(store):
                print(f"{len(batches)} batches are running, with {sum(len(b.keys) for b in batches):,} requests")
    except AugenError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _command_line() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.account", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--cancel",
        action="store_true",
        help="end the batches that are running, and say how far they got",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
