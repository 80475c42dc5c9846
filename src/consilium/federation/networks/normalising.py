"""Mean and spread of each channel at one site. They stay there, like every statistic of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Images = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelScaling:
    """Mean and spread of each channel over one site's training part, shape (channels,)."""

    mean: npt.NDArray[np.float32]
    spread: npt.NDArray[np.float32]

    def apply(self, images: Images) -> Images:
        """Scale images of shape (n, height, width, channels)."""
        return np.asarray((images - self.mean) / self.spread, dtype=np.float32)


def learn_channels(images: npt.NDArray[np.generic]) -> ChannelScaling:
    """Learn mean and spread of each channel; a channel that never varies keeps its spread 1.

    Parameters
    ----------
    images : array of shape (n, ..., channels)
        Any numbers, at least one image; the last axis is the channel.

    Discloses
    ---------
    Nothing: what it returns stays in the job process.
    """
    values = images.reshape(-1, images.shape[-1])
    mean = values.mean(axis=0, dtype=np.float64)
    spread = values.std(axis=0, dtype=np.float64)
    varies = spread > 1e-6 * np.maximum(1.0, np.abs(mean))
    return ChannelScaling(
        mean=mean.astype(np.float32), spread=np.where(varies, spread, 1.0).astype(np.float32)
    )


def scale_each(images: Images) -> Images:
    """Scale each image by its own mean and spread, all channels together.

    Parameters
    ----------
    images : array of shape (n, height, width, channels), float32

    Discloses
    ---------
    Nothing: what it returns stays in the job process.
    """
    axes = tuple(range(1, images.ndim))
    mean = images.mean(axis=axes, keepdims=True)
    spread = images.std(axis=axes, keepdims=True)
    return np.asarray((images - mean) / np.maximum(spread, 1e-6), dtype=np.float32)
