"""The harmony classifier: training on rendered music, and how well generated clips follow it."""
