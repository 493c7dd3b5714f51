"""What models are asked, and how much of it fits into their window."""
