"""Questions are prompted, sampled in rounds, scored and decided."""
