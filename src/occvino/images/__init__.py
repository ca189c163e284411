"""Images: what a person hands in, made into what the network takes."""
