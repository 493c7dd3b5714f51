"""The files of reasoned questions, between `reason_true`, `reason_false` and the trainings, and what each holds."""

FILES = {
    "entries": "right, problems",
    "entries_aug": "right, rewritten",
    "entries_false": "wrong, problems",
    "entries_aug_false": "wrong, rewritten",
    "entries_own": "right, sampled beside the wrong",
}

RIGHT_FILES = ("entries", "entries_aug", "entries_own")
WRONG_FILES = ("entries_false", "entries_aug_false")
