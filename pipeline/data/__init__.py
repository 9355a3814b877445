"""The dataset: reading archives, the arrays on disk, batches and augmentation."""
