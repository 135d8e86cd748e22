"""The music language model: text -> codes."""
