"""What a person calls by hand and no stage imports."""
