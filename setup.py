"""Packages of the wheel: those below src/, and the migrations folder, which ships as `tokenstore.migrations`.

Everything else about the distribution stands in pyproject.toml.
"""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages("src"), "tokenstore.migrations", "tokenstore.migrations.versions"],
    package_dir={"": "src", "tokenstore.migrations": "migrations"},
)
