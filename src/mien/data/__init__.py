"""Training data as batches of tensors."""
