"""patch_cnn in the size of the experiment `small`: conf/model/patch_cnn_small.yaml."""

from pipeline.models.patch_cnn import Options, build

__all__ = ["Options", "build"]
