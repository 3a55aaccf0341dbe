"""Training in stages that can be interrupted at any step and resumed exactly."""
