"""What all trainings share: the trainer, its checkpoints, several processes."""
