"""Where a run writes."""


def results_of(config: dict) -> str:
    """The folder of a competition's results, from the plain config."""
    return f"results/{config['competition']['name']}"
