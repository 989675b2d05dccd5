"""Registration of a head to the MNI152 template: coordinates, tissues, arterial territories, midline."""
