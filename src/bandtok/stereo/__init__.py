"""Stereo: pan rows beside the mono grid from which left and right follow."""
