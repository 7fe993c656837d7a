"""`python -m ptq.defects` prints the known defects as a Markdown table."""

from ptq.defects import table

if __name__ == "__main__":
    print(table())
