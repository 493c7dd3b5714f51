"""From many samples of a question to one answer."""
