"""Stereo: pan rows beside the mono grid that say how left and right follow from their mean."""
