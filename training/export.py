"""Writes the network as ONNX, in fp32 and in int8; `python -m training.export RUN OUT`."""

import argparse
import hashlib
import json
import shutil
from pathlib import Path

import onnx
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from torch import Tensor, nn

from training import network
from training.train import load


class Exported(nn.Module):
    """The network with its mood centred, so that nought is neutral and the parts are evidence."""

    def __init__(self, net: network.Network, middle: float) -> None:
        super().__init__()
        self.net = net
        with torch.no_grad():
            # The shares sum to one, so a constant off each part is the same off the mood.
            net.mood.bias -= middle
            net.first -= middle

    def forward(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        logits, _, parts = self.net(ids, mask)
        return logits, parts


def trained(run: Path) -> network.Network:
    """The averaged weights of a run."""
    words = (run / "vocab.txt").read_text(encoding="utf-8").splitlines()
    net = network.Network(len(words))
    load(net, torch.load(run / "last.pt")["average"])
    return net.eval()


def sha256(path: Path) -> str:
    """A file's SHA-256."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    net = trained(options.run)
    with torch.no_grad():
        heads = torch.load(options.run / "heads.pt")
        for name in network.COLUMNS.keys() & heads.keys():
            weight, bias = heads[name]
            net.heads.weight[network.columns(name)] = weight
            net.heads.bias[network.columns(name)] = bias
    cuts = net.cuts().tolist()
    middle = (cuts[1] + cuts[2]) / 2
    exported = Exported(net, middle).eval()
    plain = options.run / "fp32.onnx"
    ids = torch.randint(1000, 2000, (3, 9))
    torch.onnx.export(
        exported,
        (ids, torch.ones_like(ids)),
        str(plain),
        input_names=["ids", "mask"],
        output_names=["logits", "parts"],
        dynamic_axes={name: {0: "texts", 1: "tokens"} for name in ("ids", "mask", "parts")}
        | {"logits": {0: "texts"}},
        opset_version=17,
        dynamo=False,
    )
    onnx.checker.check_model(str(plain))
    # The heads stay as they are: 0.2 MB, and their weights of rare features drown in eight bits.
    small = ("/net/heads", "/net/look", "/net/mood")
    whole = [node.name for node in onnx.load(str(plain)).graph.node if node.name.startswith(small)]
    # The quantizer renames a Gemm before it looks whether to leave it out.
    whole += [f"{name}_MatMul" for name in whole]
    # Seven bits a weight (reduce_range): with eight, processors without VNNI saturate sums.
    quantize_dynamic(
        str(plain),
        str(options.out / "model.onnx"),
        weight_type=QuantType.QInt8,
        per_channel=True,
        reduce_range=True,
        nodes_to_exclude=whole,
    )
    shutil.copy(options.run / "vocab.txt", options.out / "vocab.txt")
    manifest = {
        "columns": network.COLUMNS,
        "cuts": [round(cut - middle, 4) for cut in cuts],
        "sha256": {name: sha256(options.out / name) for name in ("model.onnx", "vocab.txt")},
    }
    (options.out / "model.json").write_text(json.dumps(manifest, indent=1) + "\n")
    for path in (plain, *sorted(options.out.iterdir())):
        print(f"{path} {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
