import numpy as np
import torch

from adumbra.networks.blocks import ChannelDropout, ConditionedNorm, ResidualBlock


def test_the_untrained_norm_is_plain_instance_normalisation():
    x = torch.randn(3, 4, 6, 6, 6) * 5 + 2
    out = ConditionedNorm(4, conditions=2)(x, torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]))
    assert torch.allclose(out, torch.nn.functional.instance_norm(x), atol=1e-5)


def test_each_sample_is_normalised_by_its_own_condition():
    norm = ConditionedNorm(2, conditions=1)
    with torch.no_grad():
        norm.modulation.copy_(torch.tensor([[0.5, 0.0, 0.0, 3.0]]))  # gain +50 % on channel 0, shift +3 on channel 1
    x = torch.randn(2, 2, 4, 4, 4)
    out, plain = norm(x, torch.tensor([[0.0], [1.0]])), torch.nn.functional.instance_norm(x)
    assert torch.allclose(out[0], plain[0], atol=1e-5)
    assert torch.allclose(out[1, 0], 1.5 * plain[1, 0], atol=1e-5)
    assert torch.allclose(out[1, 1], plain[1, 1] + 3.0, atol=1e-5)


def test_a_given_mask_drops_its_channels_and_scales_the_others():
    x = torch.ones(2, 4, 2, 2, 2)
    out = ChannelDropout(4, 0.5).eval()(x, torch.tensor([1.0, 0.0, 0.0, 1.0]))
    assert out[:, :, 0, 0, 0].tolist() == [[2.0, 0.0, 0.0, 2.0]] * 2


def test_dropout_is_random_in_training_and_absent_in_evaluation():
    x, dropout = torch.ones(1, 64, 2, 2, 2), ChannelDropout(64, 0.5)
    torch.manual_seed(1)
    retained = (dropout(x)[0, :, 0, 0, 0] > 0).sum()
    assert 16 < retained < 48
    assert torch.equal(dropout.eval()(x), x)


def test_whole_channels_are_dropped_by_sample():
    torch.manual_seed(0)
    out = ChannelDropout(32, 0.5)(torch.ones(2, 32, 3, 3, 3))
    assert np.isin(out.numpy().reshape(2, 32, -1).std(axis=2), [0.0]).all()
    assert not torch.equal(out[0], out[1])


def test_a_residual_block_changes_the_channels_and_not_the_size():
    assert ResidualBlock(3, 8)(torch.randn(2, 3, 4, 6, 8)).shape == (2, 8, 4, 6, 8)
