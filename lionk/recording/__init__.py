"""Recording: a step recorded once, its text for a library, its passes over many arrays, the threads that share them."""
