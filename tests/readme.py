"""The commands of README.md, and which test runs each of them."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
READMES = (ROOT / "README.md", ROOT / "README.zh-CN.md")
BLOCK = re.compile(r"^```[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
PROGRAMS = ("accelerate", "dvc", "git", "make", "python", "python3", ".venv/bin/python")
# Blocks that begin with one of these show something and hold no commands.
SHOWN = ("step  ", "{", "prepare ─", "stages/")

# Run as they stand by tests/e2e/test_fresh_clone.py, in a clone in which the pipeline has run.
CLONED = (
    "make repro",
    "dvc stage list",
    "dvc metrics diff",
    "dvc plots show",
    "dvc plots diff",
    "python -m augen.entries show data/filtered/entries.pkl --limit 3",
    "python -m tools.picture docs/result.svg",
    "python -m tools.artifacts --published",
    "python -m augen.puzzles --count 1000 --seed 7 --out more.jsonl",
)
EXPERIMENTS = (  # there too, in this order
    "dvc exp run -S voters=7",
    "dvc exp run -S infer.vote=majority -S max_resample=0",
    "dvc exp run -S voters=9 -S infer.adaptive=true",
    'dvc exp show --only-changed --drop "steps|families|at_k|acceptance|test|adaptive"',
)
# Too slow to run: tests/unit/test_readme.py checks what make would do.
DRY = {
    "make test": ("ruff check .", "mypy", "tests/unit", "tests/integration", "tests/e2e"),
    "make demo-apis": ("python -m demo",),
    "make estimate": ("python -m tools.estimate",),
    "make GPU=1 repro": ("dvc repro",),
    "make gpu-check": ("python -m tools.gpu_check", "python -m tools.gpu_pretrain"),
    "make seeds N=3": ("python -m benchmarks.seeds 3",),
    "make seeds PART=votes N=3": ('python -m benchmarks.seeds 3 --part "votes"',),
    "make ablation PART=inference": ('python -m benchmarks.ablation "inference"',),
}
# Run by other tests: the file, and the parts of its text that have the words of the command.
ELSEWHERE = {
    "python -m augen.store check": ("tests/unit/test_store_repair.py", 'main(["check"])'),
    "python -m augen.store repair": ("tests/unit/test_store_repair.py", 'main(["repair", str(path)])'),
    "python -m tools.account --cancel": ("tests/integration/test_batches.py", 'account.main(["--cancel"])'),
    "python -m tools.estimate reason_true": ("tests/integration/test_estimate.py", 'main(["reason_true"])'),
    "python -m tools.account": ("tests/integration/test_estimate.py", "account.main([])"),
    "python -m tools.pseudo_labels data/pseudo_1.pkl": (
        "tests/unit/test_pseudo_labels.py",
        'main(["data/pseudo_1.pkl"])',
    ),
    "dvc repro": ("tests/e2e/test_fresh_clone.py", 'run("dvc", "repro")'),
    "dvc remote add -d team ssh://me@host/srv/augen": ("tests/e2e/test_sharing.py", '"remote", "add", "-d", "team"'),
    "dvc remote modify team verify true": ("tests/e2e/test_sharing.py", '"remote", "modify", "team"', '"verify"'),
    "dvc push --run-cache": ("tests/e2e/test_sharing.py", 'run("dvc", "push", "--run-cache")'),
    "python -m tools.artifacts": ("tests/e2e/test_sharing.py", 'run("python", "-m", "tools.artifacts")'),
    "cp -rL models/adapter models/adapter_1": ("tests/integration/test_lessons.py", '"cp", "-rL"'),
    "dvc add models/adapter_1": ("tests/integration/test_lessons.py", '"dvc", "add", "models/adapter_1"'),
    ". .venv/bin/activate": ("tests/unit/test_readme.py", "activate"),
    "cp params.production.yaml params.yaml": ("tests/unit/test_readme.py", "cp params.production.yaml"),
}
# Not run, and why.
NOT_RUN = {
    "accelerate launch --config_file launch/ddp.yaml -m stages.finetune": "needs GPUs; launch/cpu.yaml is run instead",
}


def blocks(text: str) -> list[str]:
    """The code blocks of a page, without the comments that explain their lines in the page's language."""
    return [re.sub(r"[ \t]+# .*$", "", block, flags=re.MULTILINE) for block in BLOCK.findall(text)]


def commands(text: str) -> set[str]:
    """Every command of a page: the lines of its code blocks, and inline code that begins with a program's name."""
    lines = [line for block in blocks(text) if not block.startswith(SHOWN) for line in block.splitlines()]
    lines += [span for span in SPAN.findall(BLOCK.sub("", text)) if span.startswith(tuple(f"{p} " for p in PROGRAMS))]
    return {part.strip() for line in lines for part in line.split("&&") if part.strip()}


def known() -> set[str]:
    return {*CLONED, *EXPERIMENTS, *DRY, *ELSEWHERE, *NOT_RUN}
