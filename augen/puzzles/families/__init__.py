"""One module per family of puzzles, and the words that they share."""
