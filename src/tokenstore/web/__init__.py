"""What every HTTP answer has in common: problems, headers, CSRF, CORS, request ids, logs, health."""
