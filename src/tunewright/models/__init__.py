"""Floor 2: base models and where they come from, tokenisers, chat format, adapters, the text encoder, memory."""
