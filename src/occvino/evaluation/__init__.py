"""Accuracy over a data set: `occvino eval`. Labels are written first and scored from the files."""
