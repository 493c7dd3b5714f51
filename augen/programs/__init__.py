"""Answer-set programs that a model wrote: run in a sandbox, and matched with the options of a question."""
