"""Sweeps refuse what must not be written down with their command."""

import pytest

from pipeline.core.errors import PipelineError
from pipeline.sweep.secrets import refuse


@pytest.mark.parametrize(
    "override",
    [
        "data.archive=http://me:hidden@host/fer2013.zip",
        "data.archive='https://host/fer2013.zip?token=hidden'",
        "tracking.uri=postgresql://me:hidden@host/mlflow",
        "tracking.uri=postgresql://host/mlflow?user=me&password=hidden",
        "tracking.uri=postgresql://me:hid/den@host/mlflow",
    ],
)
def test_an_address_with_a_secret_is_refused_without_showing_it(override):
    with pytest.raises(PipelineError, match=f"{override.partition('=')[0]} is an address with a password") as error:
        refuse(["seed=1,2", override])
    assert "hid" not in str(error.value)


def test_other_overrides_pass():
    refuse(
        ["seed=1,2", "data.archive=https://host/fer2013.zip", "tracking.uri='sqlite:////tmp/what?.db'", "model=linear"]
    )
