"""The table of what each layer loses, against the same sums done by hand."""

import math

import numpy as np
import pytest

import ptq
from ptq.build import Builder
from ptq.errors import InputError
from ptq.quality import measure

SAMPLES = [[np.float32([[-1, 0.5, 0.25, 1]])], [np.float32([[0, 1, -0.5, 3]])]]


def doubled():
    b = Builder()
    x = b.input("image", (1, 4))
    return b.finish(b.relu(b.add(x, x, name="sum"), name="positive"))


def converter(graph=None):
    result = ptq.Converter.from_graph(graph or doubled())
    result.representative_dataset = SAMPLES[:1]
    return result


def test_saturation_and_noise_are_those_of_counting_by_hand():
    conversion = converter()
    conversion.calibration = ptq.calibration.calibrate(doubled(), SAMPLES[:1])
    layer = conversion.quality(SAMPLES)["image"]
    # calibrated on [-1, 1]: steps of 2/255; of eight values, only the 3 lies outside
    step = 2 / 255
    values = np.concatenate([s[0].ravel() for s in SAMPLES]).astype(np.float64)
    known = np.clip(np.rint((values + 1) / step), 0, 255) * step - 1
    known = np.round(known + 1 / 255, 9) - 1 / 255  # the zero point is nudged to an integer
    assert (layer.low, layer.high, layer.count, layer.saturated) == (-1, 3, 8, 1)
    assert layer.quantization.scale[0] == np.float32(step)
    assert layer.own_sqnr == layer.sqnr  # nothing comes before it
    lost = (3 - (127 - layer.quantization.zero_point[0]) * step) ** 2
    assert layer.noise == pytest.approx(lost, rel=1e-2)  # roundings add at most 7 * (step / 2)^2
    assert layer.signal == pytest.approx(float(np.sum(values**2)))


def test_layers_stand_in_order_and_print_as_a_table():
    quality = converter().quality()
    assert [x.name for x in quality.layers] == ["image", "positive"]  # the activation was fused
    lines = str(quality).splitlines()
    assert "saturated" in lines[0] and "ADD" in lines[3]
    assert all(x.saturated == 0 and x.sqnr > 35 for x in quality.layers)


def test_a_tensor_of_zeros_has_no_noise():
    conversion = converter()
    conversion.representative_dataset = [[np.zeros((1, 4), np.float32)]]
    assert all(x.sqnr == math.inf for x in conversion.quality().layers)


def test_integer_inputs_are_quantized_on_the_way_in():
    conversion = converter()
    plain = {x.name: x.noise for x in conversion.quality(SAMPLES[:1]).layers}
    conversion.inference_input_type = conversion.inference_output_type = np.int8
    bare = conversion.quality(SAMPLES[:1])
    assert {x.name: x.noise for x in bare.layers} == {"positive": plain["positive"]}


def test_an_unsigned_output_is_no_layer_of_its_own():
    floats, unsigned = converter(), converter()
    unsigned.inference_output_type = np.uint8
    (result,) = ptq.load(unsigned.convert()).outputs
    assert ptq.load(unsigned.convert()).tensors[result].name == "positive"
    assert str(unsigned.quality()) == str(floats.quality())


def test_no_samples_are_an_error():
    with pytest.raises(InputError, match="no samples"):
        measure(doubled(), converter().convert_to_graph(), [])
    with pytest.raises(InputError, match=r"Converter\.quality: no samples"):
        ptq.Converter.from_graph(doubled()).quality()
