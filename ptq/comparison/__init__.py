"""The parts of `ptq compare`: matching, isolating, measuring, classifying and reporting."""
