"""Answer-set programs that state a puzzle: their language, rules that they may take in, the sandbox that runs them."""
