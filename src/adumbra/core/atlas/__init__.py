"""The MNI152 template, the atlases of arterial territories and of vessels, and context inputs, which stages share."""
