"""patch_cnn in the size of the experiment `first`: conf/model/patch_cnn_medium.yaml."""

from pipeline.models.patch_cnn import Options, build

__all__ = ["Options", "build"]
