"""The experiments, one file each; `gpt.lab.catalog` lists them."""
