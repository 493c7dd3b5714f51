"""Statistics of accuracies, and how well scores tell right from wrong."""
