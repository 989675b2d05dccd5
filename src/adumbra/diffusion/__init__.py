"""Denoising diffusion: noise schedules, samplers, losses, and the regulariser that shares an encoder."""
