"""The calculus: rules that make convex functions of convex functions. Each rule names its dual."""
