"""Lets pages of the clients' origins use the token endpoint, as public clients in browsers need (Fetch, CORS)."""

from __future__ import annotations

from flask import Flask, Response, request

from demo.state import ProviderState


def install_cors(app: Flask, state: ProviderState) -> None:
    """Answer preflights of the token endpoint, and let its answers be read, for `web_origins` and nobody else."""

    def allow(response: Response) -> Response:
        origins = {origin for client in state.config.clients for origin in client.web_origins}
        if request.endpoint == "token" and request.headers.get("Origin") in origins:
            response.headers["Access-Control-Allow-Origin"] = request.headers["Origin"]
            response.headers["Access-Control-Allow-Headers"] = "Content-Type, X-Requested-With"
            response.headers["Vary"] = "Origin"
        return response

    app.after_request(allow)
