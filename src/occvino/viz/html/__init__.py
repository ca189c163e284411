"""Results as one HTML file that can be mailed: voxels by WebGL, images, truth and differences, on a slider.

The page is put together of `page.html`, `style.css` and `viewer.js`, which `tools/viewer` bundles with three.js. It
asks the network for nothing.
"""

from occvino.viz.html.page import write_html

__all__ = ["write_html"]
