"""What the draws of a posterior say of each voxel, and of the whole target."""
