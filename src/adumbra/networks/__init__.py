"""What maps a case's channels to logits: blocks, the U-Net, its weights on disk, and the table of names."""
