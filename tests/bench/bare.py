"""What everything is compared with: a Flask application with one view that returns a small JSON object."""

from flask import Flask, Response, jsonify


def create_app() -> Flask:
    """The bare application: `GET /bare`."""
    app = Flask("bare")

    @app.get("/bare")
    def bare() -> Response:
        return jsonify(access_token="x" * 43, token_type="Bearer", expires_in=3600, expires_at=1, scope="openid")

    return app
