"""Networks of backbones of timm, and where their weights come from."""
