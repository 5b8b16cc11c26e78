"""Small random networks: a base and styles of it, quick enough for any test."""

import torch

from stylesr.models.stylesr_net import StyleSRNet


def photo(seed: int = 0) -> StyleSRNet:
    """A base: weights depend on the seed alone, those on the noise are zero."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = StyleSRNet(channels=8, blocks=1, tail_channels=(8, 4))
    _perturb(net, seed)
    torch.nn.init.zeros_(net.noise.weight)
    return net.eval()


def style(base: StyleSRNet, seed: int, name: str = "photo") -> StyleSRNet:
    """A style of `base`: its weights moved at random, with noise."""
    net = StyleSRNet(**{**base.config, "base": name, "base_sha256": base.fingerprint()})
    net.load_state_dict(base.state_dict())
    _perturb(net, seed)
    return net.eval()


def restorer(base: StyleSRNet, seed: int, name: str = "photo") -> StyleSRNet:
    """A photo model with a base: as a style, but those weights on the noise are zero."""
    net = style(base, seed, name)
    torch.nn.init.zeros_(net.noise.weight)
    return net


def _perturb(net: StyleSRNet, seed: int) -> None:
    """Move all weights, by little enough that pictures stay mostly within [0, 1]."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in net.parameters():
            inputs = parameter[0].numel()
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.add_(0.2 / inputs**0.5 * noise if parameter.ndim > 1 else 0.02 * noise)
