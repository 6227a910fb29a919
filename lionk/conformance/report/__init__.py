"""Results of a judgement, and how they are written down."""
