"""Long checks that the program keeps its word; see docs/reliability.md."""
