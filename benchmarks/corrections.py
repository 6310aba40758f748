"""What fifty corrections do: the share read right of a subject's tweets, before and after.

`python -m benchmarks.corrections DATA [--engine NAME]` reads semeval_5point_CE/val.jsonl of DATA:
20 subjects with 100 tweets each, none of them trained on. Half of a subject's tweets, drawn at
random, are corrected to what their readers said; the other half is read with and without that. Ten
draws of each subject, through the code that weighs corrections in production.
"""

import argparse
import json
import os
import random
import statistics
import tempfile
from collections import defaultdict
from pathlib import Path

CORRECTED, DRAWS = 50, 10
# Two-sided, 95 %, for 19 degrees of freedom.
T = 2.093


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--engine", default="blend")
    options = parser.parse_args()
    os.environ |= {
        "GATOR_VAR": tempfile.mkdtemp(prefix="gator-bench-"),
        "GATOR_ENV_FILE": os.devnull,
        "DJANGO_SETTINGS_MODULE": "gator.settings",
    }

    import django

    django.setup()
    from apps.sentiment import judging
    from apps.sentiment.engines.base import label_for
    from apps.sentiment.evaluating import plain
    from apps.sentiment.likeness import Neighbours

    path = options.data / "semeval_5point_CE" / "val.jsonl"
    rows = [json.loads(line) for line in path.read_text("utf-8").split("\n") if line]
    said = judging.ENGINES[options.engine].analyze_many([row["text"] for row in rows])
    subjects = defaultdict(list)
    for row, each in zip(rows, said, strict=True):
        subjects[row["topic"]].append((row["text"], row["label"], each.score))
    rng = random.Random(7)
    before, after = [], []
    for tweets in subjects.values():
        right = [0, 0]
        for _ in range(DRAWS):
            rng.shuffle(tweets)
            taught, unseen = tweets[:CORRECTED], tweets[CORRECTED:]
            errors = Neighbours(
                (text, judging.SCORES[label] - score) for text, label, score in taught
            )
            for text, label, score in unseen:
                moved = judging.shifted(text, score, errors)
                right[0] += plain(label_for(score)) == plain(label)
                right[1] += plain(label_for(moved)) == plain(label)
        count = DRAWS * (len(tweets) - CORRECTED)
        before.append(right[0] / count)
        after.append(right[1] / count)
    gains = [b - a for a, b in zip(before, after, strict=True)]
    half = T * statistics.stdev(gains) / len(gains) ** 0.5
    found = {
        "engine": options.engine,
        "subjects": len(gains),
        "right_before": round(statistics.mean(before), 4),
        "right_after": round(statistics.mean(after), 4),
        "gain": round(statistics.mean(gains), 4),
        "gain_95": [
            round(statistics.mean(gains) - half, 4),
            round(statistics.mean(gains) + half, 4),
        ],
        "better_on": sum(gain > 0 for gain in gains),
        "worse_on": sum(gain < 0 for gain in gains),
    }
    for name, value in found.items():
        print(f"{name:14} {value}")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
