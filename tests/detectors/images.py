"""Inputs for the detectors: noise of a seed, and a picture in which nothing is found."""

from __future__ import annotations

from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray[Any, Any]]
MEAN = np.array([0.485, 0.456, 0.406], np.float32).reshape(3, 1, 1)


def noise(detector: str, seed: int) -> Arrays:
    """Blocks of random brightness under noise, as a detector takes its images."""
    rng = np.random.default_rng(seed)

    def blocks(*shape: int) -> np.ndarray[Any, Any]:
        coarse = rng.standard_normal((3, -(-shape[1] // 8), -(-shape[2] // 8)))
        large = coarse.repeat(8, 1).repeat(8, 2)[:, : shape[1], : shape[2]]
        return np.asarray(0.7 * large + 0.7 * rng.standard_normal(shape), np.float32)

    match detector:
        case "faster_rcnn":
            sides = ((96, 96), (64, 120), (128, 100))[seed % 3]
            return {"image": blocks(3, *sides) * np.float32(0.225) + MEAN}
        case "ssd_resnet34":
            return {"image": blocks(3, 96, 96)[None]}
        case "ssd_mobilenet":
            image = np.clip(127.5 + 60 * blocks(3, 80, 72), 0, 255).astype(np.uint8)
            return {"image_tensor": np.ascontiguousarray(image.transpose(1, 2, 0))[None]}
        case "yolov3":
            shape = (
                np.array([[120, 160]], np.float32) if seed % 2 else np.array([[96, 64]], np.float32)
            )
            sides = ((96, 96), (64, 128), (128, 96))[seed % 3]
            return {"input_1": blocks(3, *sides)[None], "image_shape": shape}
        case _:
            return {"input": blocks(3, 96, 96)[None]}


def blank(detector: str) -> Arrays:
    """A picture of nothing: every feature is near 0."""
    return {
        name: value if name == "image_shape" else np.asarray(grey(detector, value), value.dtype)
        for name, value in noise(detector, 0).items()
    }


def grey(detector: str, image: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    if detector == "faster_rcnn":
        return np.broadcast_to(MEAN, image.shape).copy()
    return np.full_like(image, 128 if image.dtype == np.uint8 else 0)
