"""The main job on real data: a density of 540,000 image patches, in one command."""
