"""Measures the project as ratios, side by side in one run: nothing is asserted, and no absolute time is judged."""
