"""What each step gained, measured from recorded samples alone, and the pages that show it."""
