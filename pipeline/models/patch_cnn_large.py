"""patch_cnn in the size of the experiment `best`: conf/model/patch_cnn_large.yaml."""

from pipeline.models.patch_cnn import Options, build

__all__ = ["Options", "build"]
