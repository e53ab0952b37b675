"""A good suite.yaml and how one place of it is changed."""

GOOD = """\
schema: 1
plugins: []
settings: {threads: 3, images: 50}
variants:
  pruned: {l1: {amount: 0.3}}
tiers:
  smoke:
    about: the short one
    settings: {images: 20}
    cases:
      - models: [scene-blip]
        variants: [fp32, int8-dynamic, pruned]
        datasets: [scenes]
        settings: {timed_images: 4}
      - models: [blip-base]
        variants: [fp32, bf16]
        datasets: ["scenes:40"]
        questions: [latency, size]
  full:
    cases:
      - {models: [scene-blip], variants: [fp32, int8-dynamic], datasets: [scenes], settings: {image_size: null, batch: 2.0}}
thresholds:
  - cases: "scene-blip/int8-dynamic/*"
    metric: time_per_caption
    against: reference
    floor: 1.05
    reason: faster or useless
  - {cases: "*", metric: time_per_caption, against: baseline, tolerance: 3%, reason: drift}
  - {cases: "*/fp32/*", metric: time_per_caption, against: limit, at_most: 2, reason: usable}
  - {cases: "*", metric: cider, against: limit, at_least: 4.5, reason: it captions}
waivers:
  - {cases: "blip-base/bf16/*", metric: time_per_caption, expected: fail, until: 2027-01-31, reason: slow CPU}
"""
TIER = "schema: 1\ntiers:\n  t:\n    cases:\n"


def changed(old: str, new: str) -> str:
    """The good file with one place changed."""
    assert GOOD.count(old) >= 1
    return GOOD.replace(old, new, 1)
