"""One small target per decoder; ``python -m fuzz --seconds 60 [target]`` runs them, a crash becomes a test."""
