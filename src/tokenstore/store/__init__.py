"""The database: tables, and one store per port of `tokenstore.core.ports` in SQLAlchemy Core.

Every decision is a statement, never an attribute of a loaded object. Knows no Flask: the engine is handed over.
"""
