"""What both trainings share: the trainer, its checkpoints, several processes."""
