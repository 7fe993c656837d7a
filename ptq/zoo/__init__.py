"""Models and images that ptq ships: trained classifiers, and MobileNet-v1 for timing."""
