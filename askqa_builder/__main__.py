"""`python -m askqa_builder` is `askqa-build`."""

from askqa_builder.cli import main

if __name__ == "__main__":
    main()
