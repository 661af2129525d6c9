"""Talking to OpenAI-compatible endpoints: paid once, within limits, within a budget.

    LanguageModel.chat ─▶ Fetcher.fetch(Request) ─▶ Reply cache ─▶ gate ─▶ budget ─▶ HTTP
     (structured.py)       endpoint.py | batch.py     cache.py     limits.py  prices.py

Nothing here knows what a dialogue is.
"""
