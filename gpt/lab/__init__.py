"""The lab: claims of papers as experiments, with arms, seeds, and verdicts that are computed."""
