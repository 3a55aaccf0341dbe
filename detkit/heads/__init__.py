"""What turns maps into predictions: dense heads over every cell, and heads over pooled regions."""
