"""Somebody's occupancy detector, written the way mmdetection3d users write them. The doctor's patient."""
