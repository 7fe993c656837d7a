"""What the words of a comparison mean, for `ptq compare --help` and for the HTML report."""

GLOSSARY = {
    "a, b": "The reference, and what is judged by it. Both ran on the same inputs; where one takes integers"
    " and the other floats, those stand for the same reals. Outputs are matched by name where it is unique,"
    " else by order, operator and shape. States (variables) start at zero.",
    "LSB": "One step of the integers of the tensor: b's scale, else a's; DEQUANTIZE's results count as "
    "the integers that they were. Where both are floats, max|a| / 127: the step of an int8 that just holds "
    "a's values.",
    "cumulative": "Both models ran by themselves, so that a layer has the errors of those before it.",
    "isolated": "The operator of b was fed a's values of everything that it reads, quantized where b has "
    "integers. What differs then is its own doing.",
    "identical": "The same reals, bit by bit.",
    "rounding": "Between integers of one scale, at most one LSB; where they are compared with floats, or "
    "with integers of another scale, at most 1.5 LSB: half of it for the nearest integer, one for the "
    "kernel. However large, an isolated difference is rounding, too, if the constants of both agree to half"
    " a step and the result is within a step of what the float kernel computes from the reals of b's "
    "integers; if floats are within a bound derived from the number of terms; or if a rule of ptq.Numerics "
    "that only rounds turns one result into the other bit by bit.",
    "saturation": "Differences beyond rounding exist only where one value is at the end of its integer type"
    " or of its fused activation, and the other one lies beyond that end. Isolated, also: it would be "
    "rounding, but an input was clipped, by more than a step, to what b's integers can hold.",
    "scale": "A factor or an offset, of all values or of single channels (the last axis), is farther from 1"
    " or 0 than rounding can lead, and what it leaves is rounding, or a hundredth of the difference's "
    "power.",
    "inherited": "Of cumulative differences: none of the above, but the operator itself is identical or "
    "rounding.",
    "other": "None of the above; NaN and shapes that differ, too.",
    "max error": "The largest |a - b| of the reals.",
    "SQNR": "10 log10(sum a^2 / sum (a - b)^2) in dB; 20 dB is noise with a hundredth of the signal's power.",
}
