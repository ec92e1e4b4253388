"""Training: the adversarial stage, the refinement stage, the dial."""
