"""The base of every record: frozen, strict, validated when made."""

from typing import ClassVar

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer


class Record(BaseModel):
    """A frozen pydantic model that refuses unknown fields, NaN, infinities and coercion."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class SparseRecord(Record):
    """A record of which the fields named in LEFT_OUT are not written where they are None."""

    LEFT_OUT: ClassVar[tuple[str, ...]] = ()

    @model_serializer(mode="wrap")
    def _written(self, handler: SerializerFunctionWrapHandler):  # type: ignore[no-untyped-def]  # keeps its JSON Schema
        return {name: value for name, value in handler(self).items() if value is not None or name not in self.LEFT_OUT}
