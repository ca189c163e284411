"""ROS bags: reading images, calibrations and poses as a stream, and writing results that RViz and Foxglove show."""
