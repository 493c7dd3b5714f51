"""What every part needs: errors, whole files, params, the frame of a stage, seeds, cores."""
