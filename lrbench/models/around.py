"""What stands around a network and is seen through: its modules are found under their own names."""

from torch import nn


class Around(nn.Module):
    """A module around a network, which does not hide the network's modules.

    Parameters
    ----------
    net : nn.Module
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def get_submodule(self, target: str) -> nn.Module:
        """Find a module by name, here or in the network.

        Raises
        ------
        AttributeError
            If neither has it.
        """
        try:
            return super().get_submodule(target)
        except AttributeError:
            if isinstance(self.net, Around):
                return self.net.get_submodule(target)
            # By torch's own way: a network may answer for its modules in another, or not at all.
            return nn.Module.get_submodule(self.net, target)
