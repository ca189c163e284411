"""Where frames and true labels come from: recorded sets, and the procedural street of the demo."""
