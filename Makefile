# make          this list
# make repro    install if needed (for a GPU where nvidia-smi answers; GPU=1 or GPU=0 says it), run the pipeline, print what each step gained
# make test     install if needed, run every check and test (what CI runs)
# make check    the fast part: ruff, import-linter, types, unit tests, doctests
# make bench    speed, as ratios against something in the same run; PART names a module of benchmarks/: calls, puzzles, guards, …
# make seeds    the default run with N seeds (default 3): mean and range of each step; PART: of these experiments (see make ablation)
# make gpu-check  the whole pipeline on this machine's GPU, cut to minutes: times, memory, faults (no vLLM or DVC needed)
# make browser  install Chromium by apt-get (root on Debian), for the test of the report page
# make ablation what each part is worth, by experiments with one change each; PART=inference, or PART=data (trains anew)
# make estimate what the stages that draw from models will take and cost: requests, tokens, money, time; sends nothing
# make gpu-lock  requirements-gpu.txt anew, from requirements-gpu.in (needs the package index)
# make demo-apis    stand-ins for the paid APIs on 127.0.0.1, to try those backends without an account

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
GPU ?= $(shell nvidia-smi >/dev/null 2>&1 && echo 1)
LOCK := $(if $(filter 1,$(GPU)),requirements-gpu.txt,requirements.txt)
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help history repro test check bench ablation seeds gpu-check gpu-lock browser estimate demo-apis clean-venv

help:
	@sed -n 's/^# make/make/p' Makefile

.DEFAULT:
	@{ echo "make $@: no such target; there are"; sed -n 's/^# make/make/p' Makefile; } >&2; exit 2

# DVC works on a git repository, which a download as ZIP is not.
history:
	@git rev-parse --git-dir >/dev/null 2>&1 || { echo "This folder is no git repository, which DVC needs. Clone it" \
	"with git; or, if it is a download, run: git init && git add --all && git commit --message start" >&2; exit 1; }

repro: history $(INSTALLED)
	@began=$$(date +%s) && echo dvc repro && dvc repro && \
	echo && cat reports/gains.md && echo && python -m tools.times $$began

# Tests start hundreds of processes. Where the environment forbids Python to keep what it compiled, each of them would
# compile torch anew, which takes longer than all else that it does.
test check: export PYTHONDONTWRITEBYTECODE =

# The last five have doctests, too, but importing them is slow: conftest.py keeps them out of `make check`.
# Ray reads once in a process whether there is a token, so the tests of clusters have a process of their own.
# The longest go first (tests/integration/conftest.py), so that none is left for one process alone at the end.
test: check
	python -m pytest tests/integration/test_ray.py
	python -m pytest -n 2 --dist loadfile --no-loadscope-reorder tests/e2e tests/integration --ignore tests/integration/test_ray.py \
		--doctest-modules augen/adapter/train.py augen/core/cores.py augen/generation/engines/transformers.py augen/scorer/train.py augen/training/trainer.py

# mypy runs beside them, and has its say after them.
UNIT = python -m pytest -n 2 --dist loadfile tests/unit tests/oracles.py --doctest-modules augen tools benchmarks

check: $(INSTALLED)
	ruff check .
	ruff format --check .
	lint-imports --no-logo
	mkdir -p .mypy_cache; mypy >.mypy_cache/said 2>&1 & types=$$!; $(UNIT); unit=$$?; \
	wait $$types; types=$$?; echo mypy; cat .mypy_cache/said; exit $$((unit | types))

BENCHMARKS := $(filter-out __init__ synthetic,$(basename $(notdir $(wildcard benchmarks/*.py))))

bench: $(INSTALLED)
	@test -n "$(filter $(BENCHMARKS),$(PART))" || { echo "make bench PART=...: one of $(BENCHMARKS)" >&2; exit 2; }
	python -m benchmarks.$(PART)

browser:
	command -v chromium && command -v chromedriver || { apt-get update -qq && \
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium chromium-driver; }

ablation: history $(INSTALLED)
	python -m benchmarks.ablation "$(PART)"

seeds: history $(INSTALLED)
	python -m benchmarks.seeds $(N) --part "$(PART)"

# Installs nothing: it runs with whatever is in .venv.
gpu-check:
	python -m tools.gpu_check
	python -m tools.gpu_pretrain

estimate: $(INSTALLED)
	python -m tools.estimate

gpu-lock: $(INSTALLED)
	uv pip compile --quiet --no-annotate --custom-compile-command "make gpu-lock" --python-version 3.11 \
	--python-platform x86_64-manylinux_2_28 requirements-gpu.in --output-file requirements-gpu.txt

demo-apis: $(INSTALLED)
	python -m demo

# uv installs in seconds what takes pip minutes. It does not read pip's configuration, where a folder of wheels
# may be named, so that is passed on. --no-deps: the pins are complete, and two of them disagree on paper only.
$(INSTALLED): $(LOCK) tools/installed.py
	$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "Python 3.11 or later is needed: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet uv==0.13.9
	UV_FIND_LINKS="$${UV_FIND_LINKS:-$$($(BIN)/python -m pip config get global.find-links 2>/dev/null || echo $$PIP_FIND_LINKS)}" \
	UV_EXTRA_INDEX_URL="$${UV_EXTRA_INDEX_URL:-$$PIP_EXTRA_INDEX_URL}" UV_INDEX_STRATEGY=unsafe-best-match \
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --requirement $(LOCK)
	$(BIN)/python -m tools.installed
	touch $@

clean-venv:
	rm -rf .venv
