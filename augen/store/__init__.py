"""What was drawn or paid for is kept, known by its whole request and by the content of the model."""
