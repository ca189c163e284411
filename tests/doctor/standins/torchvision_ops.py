"""The two operators of torchvision that detectors use, slow and readable, under the names of the originals.

torchvision itself is not needed; where it is imported, its own operators stand.
"""

import torch


def nms(boxes, scores, iou_threshold):
    kept = []
    for box in scores.argsort(descending=True).tolist():
        if all(overlap(boxes[box], boxes[other]) <= iou_threshold for other in kept):
            kept.append(box)
    return torch.tensor(kept, dtype=torch.int64)


def overlap(a, b):
    width, height = (min(a[i + 2], b[i + 2]) - max(a[i], b[i]) for i in (0, 1))
    common = max(float(width), 0.0) * max(float(height), 0.0)
    return common / (sum(float((box[2] - box[0]) * (box[3] - box[1])) for box in (a, b)) - common)


def roi_align(features, rois, spatial_scale, pooled_height, pooled_width, sampling_ratio, aligned):
    pooled = features.new_zeros(len(rois), features.shape[1], pooled_height, pooled_width)
    for k, (image, *box) in enumerate(rois.tolist()):
        x1, y1, x2, y2 = (side * spatial_scale - 0.5 * aligned for side in box)
        width, height = x2 - x1, y2 - y1
        if not aligned:
            width, height = max(width, 1.0), max(height, 1.0)
        for row in range(pooled_height):
            for column in range(pooled_width):
                values = [
                    pixel(
                        features[int(image)],
                        y1 + height * (row + (i + 0.5) / sampling_ratio) / pooled_height,
                        x1 + width * (column + (j + 0.5) / sampling_ratio) / pooled_width,
                    )
                    for i in range(sampling_ratio)
                    for j in range(sampling_ratio)
                ]
                pooled[k, :, row, column] = torch.stack(values).mean(0)
    return pooled


def pixel(image, y, x):
    height, width = image.shape[1:]
    if y < -1 or y > height or x < -1 or x > width:
        return image.new_zeros(image.shape[0])
    y, x = min(max(y, 0.0), height - 1.0), min(max(x, 0.0), width - 1.0)
    top, left = int(y), int(x)
    below, right = min(top + 1, height - 1), min(left + 1, width - 1)
    upper = image[:, top, left] * (1 - (x - left)) + image[:, top, right] * (x - left)
    lower = image[:, below, left] * (1 - (x - left)) + image[:, below, right] * (x - left)
    return upper * (1 - (y - top)) + lower * (y - top)


def register():
    if hasattr(torch.ops.torchvision, "nms"):
        return None
    library = torch.library.Library("torchvision", "DEF")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define(
        "roi_align(Tensor input, Tensor rois, float spatial_scale, SymInt pooled_height, SymInt pooled_width, "
        "int sampling_ratio, bool aligned) -> Tensor"
    )
    library.impl("nms", nms, "CPU")
    library.impl("roi_align", roi_align, "CPU")
    return library


LIBRARY = register()
