"""Training: stages of gradient steps that can be cut anywhere and go on exactly."""
