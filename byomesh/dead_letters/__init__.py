"""Dead letters: messages that were refused too often, read without losing them, published again, or dropped."""
