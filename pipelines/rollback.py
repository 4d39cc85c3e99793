"""The command ``recsys rollback``: the model folder that was in use before an update, in use again."""

from collections.abc import Sequence

from recsys.pipelines.model_folder import locked, model_folder
from recsys.pipelines.settings import checked
from recsys.serving.bundle_place import roll_back


def main(overrides: Sequence[str]) -> int:
    """Exchange the two, and say where each is."""
    folder = model_folder(checked(overrides)[0].model, "rollback")
    with locked(folder):
        previous = roll_back(folder)
    print(f"model: {folder}, as it was before")
    print(f"previous: {previous}, what was in use until now")
    return 0
