"""Print docs/FAULTS.md, the page of what can go wrong: ``python -m tests.faults > docs/FAULTS.md``."""

from augen.core.run import no_arguments
from tests.faults import page


def main() -> None:
    print(page(), end="")


if __name__ == "__main__":
    no_arguments(main)
    main()
