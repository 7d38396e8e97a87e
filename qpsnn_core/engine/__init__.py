"""A network run forward and backward; what it takes, what it gives, what that costs."""
