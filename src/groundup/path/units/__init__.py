"""The units of the path: each a folder with its parts, their mistakes and its text; `path.toml` gives their order."""
