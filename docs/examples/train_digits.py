"""Train the LeNet-5 that ``dlc demo`` compiles; only numpy, onnx and scikit-learn are needed.

    python docs/examples/train_digits.py [OUT_DIR]

LeCun's LeNet-5 (tanh, trainable-free average pooling followed by a sigmoid, softmax) on the 1797
handwritten digits that ship inside scikit-learn (UCI optical recognition of handwritten digits),
enlarged from 8x8 to 32x32. Every fifth digit is held out. Writes ``lenet5_digits.onnx`` and
``digits_heldout.npz`` (``x`` uint8 [N,1,32,32] of 0..255, ``y`` int64 [N]); the same seed gives the
same files on the same numpy and BLAS.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
from numpy.lib.stride_tricks import sliding_window_view
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_digits

SEED, EPOCHS, BATCH, RATE = 7, 90, 32, 4e-3
Params = dict[str, np.ndarray]


def enlarge(images: np.ndarray) -> np.ndarray:
    """[N,8,8] of 0..16 to [N,1,32,32] of 0..255: bilinear to 28x28, two pixels of border."""
    at = np.clip((np.arange(28) + 0.5) * 8 / 28 - 0.5, 0, 7)
    low = np.minimum(at.astype(int), 6)
    weights = np.zeros((28, 8))
    weights[np.arange(28), low] = 1 - (at - low)
    weights[np.arange(28), low + 1] = at - low
    large = np.einsum("oh,nhw,pw->nop", weights, images, weights) * (255 / 16)
    return np.pad(np.rint(large).astype(np.uint8), ((0, 0), (2, 2), (2, 2)))[:, None]


def initial(rng: np.random.Generator) -> Params:
    shapes = {
        "c1": (6, 1, 5, 5),
        "c2": (16, 6, 5, 5),
        "c3": (120, 16, 5, 5),
        "f1": (84, 120),
        "f2": (10, 84),
    }
    params: Params = {}
    for name, shape in shapes.items():
        fan = np.prod(shape[1:]) + shape[0] * np.prod(shape[2:])
        weight = rng.normal(0, np.sqrt(2 / fan), shape)
        if name in ("c2", "c3"):
            # what a sigmoid feeds them is 0.5 plus little: no mean, and a gain, or nothing is learnt
            weight = 8 * (weight - weight.mean((1, 2, 3), keepdims=True))
        params[name + ".weight"] = weight.astype(np.float32)
        params[name + ".bias"] = np.zeros(shape[0], np.float32)
    return params


def conv(x: np.ndarray, w: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    windows = sliding_window_view(x, w.shape[2:], axis=(2, 3)).transpose(0, 2, 3, 1, 4, 5)
    columns = windows.reshape(*windows.shape[:3], -1)
    return (columns @ w.reshape(len(w), -1).T + b).transpose(0, 3, 1, 2), columns


def conv_back(dy: np.ndarray, columns: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, ...]:
    dy_rows = dy.transpose(0, 2, 3, 1)
    dw = np.tensordot(dy_rows, columns, ((0, 1, 2), (0, 1, 2))).reshape(w.shape)
    k = w.shape[2] - 1
    padded = np.pad(dy, ((0, 0), (0, 0), (k, k), (k, k)))
    flipped = w[:, :, ::-1, ::-1].transpose(1, 0, 2, 3)
    dx, _ = conv(padded, np.ascontiguousarray(flipped), np.zeros(w.shape[1], np.float32))
    return dw, dy.sum((0, 2, 3)), dx


def pool(x: np.ndarray) -> np.ndarray:
    n, c, h, w = x.shape
    return x.reshape(n, c, h // 2, 2, w // 2, 2).mean((3, 5))


def pool_back(dy: np.ndarray) -> np.ndarray:
    return dy.repeat(2, 2).repeat(2, 3) / 4


def gradients(p: Params, x: np.ndarray, y: np.ndarray) -> tuple[float, Params]:
    """Mean cross-entropy of a batch and its gradients."""
    z1, col1 = conv(x, p["c1.weight"], p["c1.bias"])
    a1 = np.tanh(z1)
    s1 = 1 / (1 + np.exp(-pool(a1)))
    z2, col2 = conv(s1, p["c2.weight"], p["c2.bias"])
    a2 = np.tanh(z2)
    s2 = 1 / (1 + np.exp(-pool(a2)))
    z3, col3 = conv(s2, p["c3.weight"], p["c3.bias"])
    a3 = np.tanh(z3)
    h = a3.reshape(len(x), -1)
    a4 = np.tanh(h @ p["f1.weight"].T + p["f1.bias"])
    logits = a4 @ p["f2.weight"].T + p["f2.bias"]
    probs = np.exp(logits - logits.max(1, keepdims=True))
    probs /= probs.sum(1, keepdims=True)
    loss = -np.log(probs[np.arange(len(y)), y] + 1e-12).mean()

    g: Params = {}
    dz = probs.copy()
    dz[np.arange(len(y)), y] -= 1
    dz /= len(y)
    g["f2.weight"], g["f2.bias"] = dz.T @ a4, dz.sum(0)
    dz = dz @ p["f2.weight"] * (1 - a4**2)
    g["f1.weight"], g["f1.bias"] = dz.T @ h, dz.sum(0)
    dz = (dz @ p["f1.weight"]).reshape(a3.shape) * (1 - a3**2)
    g["c3.weight"], g["c3.bias"], dz = conv_back(dz, col3, p["c3.weight"])
    dz = pool_back(dz * s2 * (1 - s2)) * (1 - a2**2)
    g["c2.weight"], g["c2.bias"], dz = conv_back(dz, col2, p["c2.weight"])
    dz = pool_back(dz * s1 * (1 - s1)) * (1 - a1**2)
    g["c1.weight"], g["c1.bias"], _ = conv_back(dz, col1, p["c1.weight"])
    return float(loss), g


def train(x: np.ndarray, y: np.ndarray) -> Params:
    """Adam with shifts of up to two pixels as augmentation and a cosine learning rate."""
    rng = np.random.default_rng(SEED)
    p = initial(rng)
    m = {k: np.zeros_like(v) for k, v in p.items()}
    v = {k: np.zeros_like(w) for k, w in p.items()}
    step, total = 0, EPOCHS * (len(x) // BATCH)
    for epoch in range(EPOCHS):
        order, losses = rng.permutation(len(x)), []
        for start in range(0, len(x) - BATCH + 1, BATCH):
            pick = order[start : start + BATCH]
            shift = tuple(int(s) for s in rng.integers(-2, 3, 2))
            loss, g = gradients(p, np.roll(x[pick], shift, (2, 3)), y[pick])
            losses.append(loss)
            step += 1
            rate = RATE * 0.5 * (1 + np.cos(np.pi * step / total))
            for k in p:
                m[k] += 0.1 * (g[k] - m[k])
                v[k] += 0.001 * (g[k] ** 2 - v[k])
                p[k] -= (
                    rate * (m[k] / (1 - 0.9**step)) / (np.sqrt(v[k] / (1 - 0.999**step)) + 1e-8)
                ).astype(np.float32)
        print(f"epoch {epoch + 1:2d}: loss {np.mean(losses):.4f}")
    return p


def to_onnx(p: Params) -> onnx.ModelProto:
    """The trained network as ONNX, input scaled from 0..255 by its first node."""
    nodes = [helper.make_node("Mul", ["image", "scale"], ["x"], "scale_pixels")]

    def add(op: str, name: str, inputs: list[str], **attributes: object) -> str:
        nodes.append(helper.make_node(op, inputs, [name + "_out"], name, **attributes))
        return name + "_out"

    x = "x"
    for name in ("c1", "c2", "c3"):
        x = add("Conv", name, [x, name + ".weight", name + ".bias"], kernel_shape=[5, 5])
        x = add("Tanh", name + "_tanh", [x])
        if name != "c3":
            x = add("AveragePool", name + "_pool", [x], kernel_shape=[2, 2], strides=[2, 2])
            x = add("Sigmoid", name + "_sigmoid", [x])
    x = add("Flatten", "flatten", [x])
    x = add("Tanh", "f1_tanh", [add("Gemm", "f1", [x, "f1.weight", "f1.bias"], transB=1)])
    x = add("Gemm", "f2", [x, "f2.weight", "f2.bias"], transB=1)
    nodes.append(helper.make_node("Softmax", [x], ["probabilities"], "softmax", axis=1))
    graph = helper.make_graph(
        nodes,
        "lenet5_digits",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 1, 32, 32])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", 10])],
        [numpy_helper.from_array(np.float32(1 / 255), "scale")]
        + [numpy_helper.from_array(array, name) for name, array in p.items()],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], producer_name="train_digits"
    )
    model.ir_version = 8
    onnx.checker.check_model(model, full_check=True)
    return model


def main() -> None:
    out = Path(sys.argv[1] if len(sys.argv) > 1 else "dlc/demo")
    digits = load_digits()
    x, y = enlarge(digits.images), digits.target.astype(np.int64)
    held = np.arange(len(x)) % 5 == 4
    params = train(x[~held].astype(np.float32) / 255, y[~held])
    onnx.save(to_onnx(params), out / "lenet5_digits.onnx")
    np.savez_compressed(out / "digits_heldout.npz", x=x[held], y=y[held])
    import onnxruntime

    session = onnxruntime.InferenceSession(out / "lenet5_digits.onnx")
    probabilities = session.run(None, {"image": x[held].astype(np.float32)})[0]
    print(
        f"held-out accuracy {np.mean(probabilities.argmax(1) == y[held]):.4f} on {held.sum()} digits"
    )


if __name__ == "__main__":
    main()
