"""The families of puzzles, one module each, and the words that they share."""
