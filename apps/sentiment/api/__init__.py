"""Sentiment over HTTP: the first description's six endpoints, and the rows behind them."""
