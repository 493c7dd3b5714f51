"""Commands for people and for make; no stage imports them."""
