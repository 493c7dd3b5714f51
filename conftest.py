"""Which modules pytest passes over when it looks for doctests, unless they are named on its command line."""

# They set the environment when they are imported, or load vLLM. None has examples.
collect_ignore = ["augen/generation/engines/ray.py", "augen/generation/engines/vllm.py", "benchmarks/infer.py"]
# They import torch and transformers, which can take longer than all unit tests. `make test` names those with examples.
collect_ignore += ["augen/generation/engines/transformers.py", "augen/scorer/train.py", "augen/scorer/pairwise.py"]
collect_ignore += ["augen/adapter/train.py", "augen/pretrain", "benchmarks/judges.py"]
