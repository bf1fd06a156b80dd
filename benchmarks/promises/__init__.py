"""The table of docs/security.md: every promise, the figure that its test reached last, and how to reach it again."""
