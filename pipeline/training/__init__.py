"""What a training is made of: batches, augmentation, the loop, checkpoints, devices."""
