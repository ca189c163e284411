"""A whole data set labelled: `occvino batch`, in one process or on a cluster, written whole and gone on with."""
