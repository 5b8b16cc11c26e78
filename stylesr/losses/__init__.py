"""Losses: perceptual (style and content) and adversarial."""
