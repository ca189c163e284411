"""What a device's own precision costs in mIoU, on the scene that ships inside."""

from occvino.artifact import Artifact
from occvino.datasets.shipped import shipped_scene
from occvino.metrics import MIoU
from occvino.runtime import Pipeline


def miou_as_run(artifact: Artifact, device: str) -> tuple[float, float]:
    """The mIoU (0..1, voxels that a camera sees) in fp32, and in what the device takes by itself.

    It means something for models that learnt from scenes like these: our own small one.

    Raises:
        OccvinoError: the artifact has other cameras, or the device cannot be used.
    """
    scene, found = shipped_scene(), list[float]()
    for precision in ("fp32", None):
        pipeline, metric = Pipeline(artifact, device, precision=precision), MIoU("camera")
        for sample in scene:
            truth = sample.load_labels()
            labels = pipeline(sample.image_files(), sample.rig).labels
            metric.update(labels, truth.semantics, truth.mask_camera)
        found.append(metric.compute())
    return found[0], found[1]
