"""The weights that an artifact was converted from: what the manifest says of them, and where they are now."""

from pathlib import Path
from typing import Any

from occvino.artifact import Artifact
from occvino.errors import ArtifactError
from occvino.files import sha256
from occvino.networks import FlashOcc, build
from occvino.networks.checkpoint import shipped_weights


def provenance(checkpoint: str | Path | None, seed: int) -> dict[str, Any]:
    """For the manifest: the seed of random weights, or path and hash of a checkpoint."""
    if checkpoint is None:
        return {"random_seed": seed}
    path = Path(checkpoint).resolve()
    return {"path": str(path), "sha256": sha256(path)}


def rebuild(artifact: Artifact, checkpoint: str | Path | None = None) -> FlashOcc:
    """The PyTorch model that an artifact was converted from.

    Args:
        artifact: made by `convert`.
        checkpoint: its weights, if they are no longer where they were.

    Raises:
        ArtifactError: they are not there, or are others.
    """
    seed = artifact.manifest.weights.get("random_seed", 0)
    model = build(artifact.manifest.variant, weights_path(artifact, checkpoint), seed=seed)
    model.variant = artifact.variant  # with the artifact's crop, which no layer depends on
    return model


def weights_path(artifact: Artifact, checkpoint: str | Path | None = None) -> Path | None:
    """File of the weights; None if they are random.

    Raises:
        ArtifactError: they are not there, or are others.
    """
    weights = artifact.manifest.weights
    if "random_seed" in weights:
        return None
    shipped = shipped_weights(artifact.manifest.variant)
    path = Path(checkpoint or weights["path"])
    if not path.is_file() and checkpoint is None and shipped and sha256(shipped) == weights["sha256"]:
        return shipped  # converted on another machine, from the weights that ship here too
    if not path.is_file():
        raise ArtifactError(f"the checkpoint {path} that was converted is not there: give it with --checkpoint")
    if sha256(path) != weights["sha256"]:
        raise ArtifactError(f"{path} is not the checkpoint that was converted (sha256 differs): give that one")
    return path
