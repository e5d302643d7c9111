"""A hypothesis in eight dimensions, whose steps follow a curve."""

from pacbound.specs.specs import PROFILE_CODE, BaseOrigin, HypothesisSpec, ProjectorSpec, StepSpec


def stepped(quantizer: StepSpec, /, **fields: object) -> HypothesisSpec:
    """Return it with a quantizer, and other fields where these are given."""
    return HypothesisSpec.model_validate(
        {
            "model": "lenet",
            "layout_digest": "0" * 64,
            "base": BaseOrigin(),
            "projector": ProjectorSpec(kind="fastfood", D=100, d=8),
            "quantizer": quantizer,
            "code": PROFILE_CODE,
            **fields,
        }
    )
