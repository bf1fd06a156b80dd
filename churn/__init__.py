"""Who may leave? Employee records scored on a stranger's model, without showing it a number."""
