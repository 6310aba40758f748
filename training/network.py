"""MiniLM-L6 with one linear layer of heads, and an additive head whose parts are the evidence.

Written out rather than taken from a library: the training needs torch alone, and the exported graph
holds only what is here. The weights' names are BERT's (Devlin et al. 2019; Wang et al. 2020).
"""

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

WIDTH, LAYERS, HEADS, INNER = 384, 6, 12, 1536
LONGEST = 128
DROP = 0.1
# How much less each layer learns than the one above it.
LOWER = 0.92

# Head: how many logits it has. Their order is the order of the columns that the model puts out.
COLUMNS: dict[str, int] = {
    "three": 3,  # negative, neutral, positive as tweets are labelled
    "polarity": 3,  # the same as GoEmotions' comments have it
    "emotions": 8,
    "fine": 28,  # GoEmotions' own, only to teach
    "acts": 7,  # tweet acts, only to teach
    "irony": 1,
    "intents": 6,
    "others": 3,  # E-c's love, optimism and pessimism, only to teach
    "strengths": 4,  # EI-reg's anger, fear, joy and sadness, only to teach
    "four": 4,  # TweetEval's anger, joy, optimism and sadness
}


class Drop(nn.Module):
    """Dropout with one draw a text, the same at each of its tokens (Gal and Ghahramani 2016).

    On a processor a draw for each token would take a third of a step.
    """

    def forward(self, x: Tensor) -> Tensor:
        """x: texts, tokens, WIDTH."""
        if not self.training:
            return x
        kept = torch.empty(x.shape[0], 1, x.shape[2], dtype=x.dtype).bernoulli_(1 - DROP)
        return x * (kept / (1 - DROP))


class Layer(nn.Module):
    """One transformer layer, normalised after each half."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.out = nn.Linear(WIDTH, WIDTH)
        self.norm1 = nn.LayerNorm(WIDTH, eps=1e-12)
        self.up = nn.Linear(WIDTH, INNER)
        self.down = nn.Linear(INNER, WIDTH)
        self.norm2 = nn.LayerNorm(WIDTH, eps=1e-12)
        self.drop = Drop()

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x: texts, tokens, WIDTH; mask: texts, 1, 1, tokens, added to what attention scores."""
        texts, tokens = x.shape[0], x.shape[1]
        parts = self.qkv(x).view(texts, tokens, 3, HEADS, WIDTH // HEADS)
        q, k, v = parts.permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        mixed = mixed.transpose(1, 2).reshape(texts, tokens, WIDTH)
        x = self.norm1(x + self.drop(self.out(mixed)))
        return self.norm2(x + self.drop(self.down(F.gelu(self.up(x)))))


class Network(nn.Module):
    """Token ids in; a row of logits, the mood, and each token's part of the mood out."""

    def __init__(self, words: int) -> None:
        super().__init__()
        self.words = nn.Embedding(words, WIDTH, sparse=True)
        self.places = nn.Embedding(512, WIDTH)
        self.norm = nn.LayerNorm(WIDTH, eps=1e-12)
        self.drop = Drop()
        self.last = nn.Dropout(DROP)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.look = nn.Linear(WIDTH, 1)
        self.mood = nn.Linear(WIDTH, 1)
        self.heads = nn.Linear(2 * WIDTH, sum(COLUMNS.values()))
        # Where the five labels meet on the scale of the mood, as steps so that they stay in order.
        self.first = nn.Parameter(torch.tensor(-3.0))
        self.steps = nn.Parameter(torch.full((3,), 1.0))
        # EmoBank's valence, the lexicon's ratings and tweets' valence on the scale of the mood.
        self.scales = nn.Parameter(torch.tensor([[0.1, 0.0], [0.25, 0.0], [0.25, 0.0]]))
        nn.init.zeros_(self.look.weight)
        nn.init.normal_(self.mood.weight, std=0.05)
        nn.init.normal_(self.heads.weight, std=0.02)
        nn.init.zeros_(self.heads.bias)

    def cuts(self) -> Tensor:
        """The four moods at which the five labels meet."""
        return torch.cat([self.first[None], self.first + torch.cumsum(F.softplus(self.steps), 0)])

    def forward(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """ids and mask (1 for a token, 0 for padding): texts, tokens."""
        there = mask.to(torch.float32)
        places = torch.arange(ids.shape[1], device=ids.device)
        x = self.drop(self.norm(self.words(ids) + self.places(places)[None]))
        blocked = ((1.0 - there) * -10_000.0)[:, None, None, :].to(x.dtype)
        for layer in self.layers:
            x = layer(x, blocked)
        gaze = self.look(x).squeeze(-1).float() + (1.0 - there) * -10_000.0
        share = torch.softmax(gaze, dim=-1)
        parts = share * self.mood(x).squeeze(-1).float()
        x = x.float()
        mean = (x * there[..., None]).sum(1) / there.sum(1, keepdim=True).clamp(min=1.0)
        seen = (x * share[..., None]).sum(1)
        pooled = self.last(torch.cat([mean, seen], dim=-1))
        return self.heads(pooled.to(self.heads.weight.dtype)), parts.sum(-1), parts


def columns(name: str) -> slice:
    """Where a head's logits stand in the row."""
    start = 0
    for each, width in COLUMNS.items():
        if each == name:
            return slice(start, start + width)
        start += width
    raise KeyError(name)


def start(folder: Path, vocabulary: list[str], added: dict[str, list[int]]) -> Network:
    """MiniLM's weights; each word that was added begins as the mean of the words that name it."""
    old = load_file(folder / "model.safetensors")
    old = {name.removeprefix("bert."): value for name, value in old.items()}
    net = Network(len(vocabulary))
    words = old["embeddings.word_embeddings.weight"].clone()
    for index, word in enumerate(vocabulary):
        if word in added:
            words[index] = words[torch.tensor(added[word])].mean(0)
    state = {
        "words.weight": words + old["embeddings.token_type_embeddings.weight"][0],
        "places.weight": old["embeddings.position_embeddings.weight"],
        "norm.weight": old["embeddings.LayerNorm.weight"],
        "norm.bias": old["embeddings.LayerNorm.bias"],
    }
    for i in range(LAYERS):
        from_, to = f"encoder.layer.{i}.", f"layers.{i}."
        for kind in ("weight", "bias"):
            state[f"{to}qkv.{kind}"] = torch.cat(
                [old[f"{from_}attention.self.{part}.{kind}"] for part in ("query", "key", "value")]
            )
            state[f"{to}out.{kind}"] = old[f"{from_}attention.output.dense.{kind}"]
            state[f"{to}norm1.{kind}"] = old[f"{from_}attention.output.LayerNorm.{kind}"]
            state[f"{to}up.{kind}"] = old[f"{from_}intermediate.dense.{kind}"]
            state[f"{to}down.{kind}"] = old[f"{from_}output.dense.{kind}"]
            state[f"{to}norm2.{kind}"] = old[f"{from_}output.LayerNorm.{kind}"]
    missing, unexpected = net.load_state_dict(state, strict=False)
    assert not unexpected and all(
        name.split(".")[0] in {"look", "mood", "heads", "first", "steps", "scales"}
        for name in missing
    ), (missing, unexpected)
    return net


def optimizers(
    net: Network, rate: float, head_rate: float, decay: float
) -> list[torch.optim.Optimizer]:
    """What trains the words, of which each batch sees few, and what trains the rest.

    Lower layers move less (Howard and Ruder 2018); no decay on biases and norms.
    """
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, value in net.named_parameters():
        part = name.split(".")
        full = head_rate
        if part[0] == "layers":
            full = rate * LOWER ** (LAYERS - 1 - int(part[1]))
        elif part[0] in {"places", "norm"}:
            full = rate * LOWER**LAYERS
        if name != "words.weight":
            groups.setdefault((full, value.ndim >= 2), []).append(value)
    dense = torch.optim.AdamW(
        [
            {"params": each, "lr": full, "full": full, "weight_decay": decay if heavy else 0.0}
            for (full, heavy), each in groups.items()
        ],
        fused=True,
    )
    full = rate * LOWER**LAYERS
    words = torch.optim.SparseAdam([{"params": [net.words.weight], "lr": full, "full": full}])
    return [dense, words]


def ordinal(mood: Tensor, cuts: Tensor) -> Tensor:
    """The chance of being above each cut, as logits: texts, 4."""
    return 2.0 * (mood[:, None] - cuts[None])


__all__ = ["COLUMNS", "LONGEST", "Network", "columns", "optimizers", "ordinal", "start"]
