"""Many frames labelled into a folder: which frames, what is there already, and how an interrupted run goes on."""
