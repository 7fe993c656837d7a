"""`python -m ptq.saved_model` prints what differs from TensorFlow's files, as Markdown tables."""

from ptq.saved_model.differences import table

if __name__ == "__main__":
    print(table())
