"""What a model and a run are: frozen specs, and how they are planned. No torch here."""
