"""Talking to OpenAI-compatible endpoints: paid once, within limits, within a budget.

    LanguageModel.chat ──▶ Fetcher.fetch(Request) ─▶ cache ─▶ gate ─▶ budget ─▶ wire ─▶ cache
    client.py               Endpoint: endpoint.py    cache.py limits.py prices.py exchange.py
    structured.py           BatchEndpoint: batch.py

Speech and transcription make their own `Request` (requests.py) and go the same way. Nothing here
knows what a dialogue is.
"""
