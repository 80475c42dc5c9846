"""Where a dataset's schema comes from: built in, or a TOML file of one's own."""

from __future__ import annotations

from pathlib import Path

from consilium.kernel.errors import InputError, NotFoundError
from consilium.readers.open_data import SCHEMAS, schema_text
from consilium.space.plans import DatasetPlan


def schema_of(dataset: DatasetPlan) -> str:
    """Return the TOML text of a dataset's schema.

    Raises
    ------
    InputError
        `space.no_schema`.
    """
    return read_schema_text(dataset.schema, dataset=dataset.name)


def read_schema_text(schema: str, *, dataset: str) -> str:
    """Return the TOML text of a schema given by built-in name or by path.

    Raises
    ------
    InputError
        `space.no_schema`.
    """
    try:
        if schema.endswith(".toml"):
            return Path(schema).read_text(encoding="utf-8")
        return schema_text(schema)
    except (OSError, UnicodeDecodeError, NotFoundError) as error:
        raise InputError(
            "space.no_schema", schema=schema, dataset=dataset, known=", ".join(SCHEMAS)
        ) from error
