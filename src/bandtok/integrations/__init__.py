"""BandTok inside other libraries."""
