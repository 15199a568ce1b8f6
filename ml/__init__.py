"""Images, segmentation, the fusion network, model packages. Knows nothing of Django."""
