"""What probes of conduct share: packaged questions, claims, swaps of groups, refusals, and shares held side by side."""
