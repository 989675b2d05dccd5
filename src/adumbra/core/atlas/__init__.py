"""The MNI152 template and the atlas of arterial territories, which several stages share."""
