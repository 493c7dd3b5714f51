"""Which questions with reasonings are fit to train on, and the account of the others."""
