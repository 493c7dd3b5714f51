"""The LoRA adapter of the generator, trained on prompts as inference builds them."""
