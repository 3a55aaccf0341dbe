"""Knowledge distillation: a student, its teacher, and the losses between them."""
