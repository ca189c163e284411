"""Cut an IR that resizes raw images itself: the network without the resizing part, and that part alone."""

import numpy as np
import openvino as ov

FRAMES, IMAGES = "frames", "images"


def cut_at_images(model: ov.Model) -> ov.Model:
    """The same network from its resized and cropped `images` on, u8 [N, H, W, 3] RGB; `model` stays as it is."""
    copy = model.clone()
    images = next(value for node in copy.get_ops() for value in node.outputs() if IMAGES in value.get_names())
    given = ov.opset8.parameter(images.get_shape(), np.uint8, name=IMAGES)
    for target in images.get_target_inputs():
        target.replace_source_output(given.output(0))
    images.set_names(set())
    given.output(0).set_names({IMAGES})
    copy.remove_parameter(copy.input(FRAMES).get_node())
    copy.add_parameters([given])
    copy.validate_nodes_and_infer_types()
    return copy


def resizing_part(model: ov.Model) -> ov.Model:
    """The resizing part alone: `frames` -> `images`."""
    copy = model.clone()
    images = next(value for node in copy.get_ops() for value in node.outputs() if IMAGES in value.get_names())
    return ov.Model([images], [copy.input(FRAMES).get_node()], "images")  # pyright: ignore[reportGeneralTypeIssues]
