"""Adumbra outlines thrombus and ischemic lesion in stroke MRI, and shades every voxel that it is unsure of.

Research use only, not for diagnosis. Start reading in ``adumbra/pipeline.py``.
"""

from importlib.metadata import version

__version__ = version("adumbra")
