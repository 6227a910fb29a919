"""The solver: minimize with its arguments, the loop, f as it is evaluated, the step rule, and the result."""
