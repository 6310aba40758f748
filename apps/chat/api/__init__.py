"""Chat over HTTP: history, members, answers, files, search, and one's own data."""
