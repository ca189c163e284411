"""Images: from what the caller gives to what the network takes."""
